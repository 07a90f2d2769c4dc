/** Frames that are compressed: raw bytes, and pages where they lie in a slice, in a row or not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blockBound } from '../../src/pack/block.ts';
import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  CODEC,
  decodeBlock,
  FRAME_BYTES,
} from '../../src/pack/format.ts';
import { BLOCK_OFFSET, encode, FRAME_BUFFER_BYTES } from '../../src/slices/encode.ts';
import type { FrameToEncode } from '../../src/slices/tasks.ts';
import { SLICE_PAGES } from '../../src/slices/slice.ts';
import { randomPages } from '../support/made-memory.ts';
import { numberedPage, zstd } from '../support/made-packs.ts';
import { newSession, newSlice } from '../support/made-slices.ts';
import { PackDirectory } from '../support/pack-directory.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const directory = new PackDirectory(nextPath());
const FRAME_PAGES = FRAME_BYTES / 4096;

/** A slice full of pages that are all different; every fourth does not compress. */
function fullSlice() {
  const slice = newSlice();
  const random = randomPages(0, 64, 1);
  for (let i = 0; i < SLICE_PAGES; i++) {
    slice.pages.set(i % 4 === 0 ? random.get((i / 4) % 64)! : numberedPage(i), i * 4096);
    slice.pages.writeUInt32LE(i, i * 4096);
  }
  return slice;
}

function newBuffer(): SharedArrayBuffer {
  return new SharedArrayBuffer(FRAME_BUFFER_BYTES);
}

function frameOf(pages: readonly number[]): FrameToEncode {
  const from = Uint16Array.from(pages);
  return { buffer: newBuffer(), rawBytes: from.length * 4096, pages: from };
}

function frameOfBytes(bytes: Uint8Array): FrameToEncode {
  const buffer = newBuffer();
  new Uint8Array(buffer).set(bytes);
  return { buffer, rawBytes: bytes.length, pages: undefined };
}

/** What the block in a frame's memory holds. */
function decoded({ buffer }: FrameToEncode, length: number | undefined, type: number): Buffer {
  const block = Uint8Array.from(new Uint8Array(buffer, BLOCK_OFFSET, length));
  const header = decodeBlock(block, 'a.pack', 0);
  expect(header.type).toBe(type);
  const raw = Buffer.alloc(header.rawBytes);
  const stored = block.subarray(BLOCK_HEADER_BYTES);
  if (header.codec === CODEC.none) raw.set(stored);
  else zstd.decompressInto(raw, stored);
  return raw;
}

describe('encode', () => {
  const slice = fullSlice();
  const before = Uint8Array.from(slice.pages);
  const pagesOf = (pages: readonly number[]) => Buffer.concat(pages.map((i) => slice.view(i)));
  const of = { slice: slice.handle, type: BLOCK.frame, level: 1 };

  it('makes a block of raw bytes, of any number and kind', () => {
    const session = newSession(directory);
    const pieces = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 5000 }),
      fc.nat(FRAME_BYTES - 1).map((length) => new Uint8Array(length + 1).fill(length)),
      fc.constant(Buffer.concat([...randomPages(0, FRAME_PAGES, 2).values()])),
    );
    const property = fc.property(pieces, fc.constantFrom(1, 3), (bytes, level) => {
      const frame = frameOfBytes(bytes);
      const type = BLOCK.deltaFrame;
      const [length] = encode(session, { frames: [frame], slice: undefined, type, level });
      expect(decoded(frame, length, type).equals(bytes)).toBe(true);
    });
    fc.assert(property, { numRuns: 30 });
  });

  it('makes a block of pages of a slice that lie in a row', () => {
    const session = newSession(directory);
    for (const [first, count] of [
      [0, FRAME_PAGES],
      [77, FRAME_PAGES],
      [SLICE_PAGES - FRAME_PAGES, FRAME_PAGES],
      [500, 1],
      [3, 40],
    ] as const) {
      const pages = Array.from({ length: count }, (_, i) => first + i);
      const frame = frameOf(pages);
      const [length] = encode(session, { ...of, frames: [frame] });
      expect(decoded(frame, length, BLOCK.frame).equals(pagesOf(pages))).toBe(true);
    }
  });

  it('makes a block of pages of a slice that lie scattered', () => {
    const session = newSession(directory);
    const scattered = fc
      .uniqueArray(fc.nat(SLICE_PAGES - 1), { minLength: 1, maxLength: FRAME_PAGES, size: 'max' })
      .map((pages) => pages.sort((a, b) => a - b));
    const property = fc.property(scattered, (pages) => {
      const frame = frameOf(pages);
      const [length] = encode(session, { ...of, frames: [frame] });
      expect(decoded(frame, length, BLOCK.frame).equals(pagesOf(pages))).toBe(true);
    });
    fc.assert(property, { numRuns: 30 });
  });

  it('makes blocks of several frames, each in its own memory, and changes no page', () => {
    const session = newSession(directory);
    const all = Array.from({ length: SLICE_PAGES }, (_, i) => i);
    const lists = [
      all.slice(10, 10 + FRAME_PAGES),
      all.filter((i) => i % 3 === 0).slice(0, FRAME_PAGES),
      all.filter((i) => i % 5 === 1).slice(0, FRAME_PAGES),
      // Fewer than the one before: nothing of that one comes with it.
      [1, 9, 1023],
    ];
    const bytes = Buffer.from('as it is');
    const frames = [...lists.map(frameOf), frameOfBytes(bytes)];
    const lengths = encode(session, { ...of, frames });
    expect(lengths).toHaveLength(5);
    const expected = [...lists.map(pagesOf), bytes];
    frames.forEach((frame, i) => {
      expect(decoded(frame, lengths[i], BLOCK.frame).equals(expected[i]!)).toBe(true);
    });
    expect(slice.pages.equals(before)).toBe(true);
  });

  it('has room for a frame that does not compress at all', () => {
    const bytes = Buffer.concat([...randomPages(0, FRAME_PAGES, 3).values()]);
    const frame = frameOfBytes(bytes);
    const [length] = encode(newSession(directory), { ...of, frames: [frame] });
    expect(length).toBeGreaterThan(FRAME_BYTES);
    expect(length).toBeLessThanOrEqual(blockBound(FRAME_BYTES));
    expect(decoded(frame, length, BLOCK.frame).equals(bytes)).toBe(true);
  });
});
