/** Blocks as they are encoded: small where that is possible, never much longer than their bytes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blockBound, BlockEncoder } from '../../src/pack/block.ts';
import {
  BLOCK_HEADER_BYTES,
  decodeBlock,
  FRAME_BYTES,
  MAX_BLOCK_RAW_BYTES,
} from '../../src/pack/format.ts';
import { makeBlock, zstd } from '../support/made-packs.ts';

const encoder = new BlockEncoder(zstd);

/** Bytes that do not compress. */
function noise(length: number): Uint8Array {
  let state = 1;
  return new Uint8Array(length).map(
    () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24,
  );
}

/** What a block holds. */
function decode(block: Uint8Array): { type: number; codec: number; raw: Uint8Array } {
  const { type, codec, rawBytes } = decodeBlock(block, 'a.pack', 0);
  const stored = block.subarray(BLOCK_HEADER_BYTES);
  if (codec === 0) return { type, codec, raw: stored };
  const raw = new Uint8Array(rawBytes);
  expect(zstd.decompressInto(raw, stored)).toBe(rawBytes);
  return { type, codec, raw };
}

describe('BlockEncoder', () => {
  it('encodes what a reader decodes, at any level, into no more than the bound', () => {
    const sources = fc.oneof(
      fc.uint8Array({ maxLength: 3000 }),
      fc.nat(300_000).map((length) => new Uint8Array(length).fill(length & 0xff)),
      fc.nat(300_000).map(noise),
    );
    const levels = fc.constantFrom(undefined, 1, 3, 6);
    fc.assert(
      fc.property(sources, levels, fc.integer({ min: 1, max: 7 }), (raw, level, type) => {
        const block = encoder.encode(type, raw, level);
        expect(block.length).toBeLessThanOrEqual(blockBound(raw.length));
        expect(block.length).toBeLessThanOrEqual(BLOCK_HEADER_BYTES + raw.length);
        const decoded = decode(block);
        expect(decoded.type).toBe(type);
        expect(Buffer.compare(decoded.raw, raw)).toBe(0);
        if (level === undefined) expect(decoded.codec).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('keeps bytes as they are that do not become less, or are not to be compressed', () => {
    for (const raw of [new Uint8Array(0), Uint8Array.of(1), noise(FRAME_BYTES)]) {
      const block = encoder.encode(1, raw, 1);
      expect(Buffer.compare(block, makeBlock(1, raw))).toBe(0);
    }
    const zeros = new Uint8Array(5000);
    expect(encoder.encode(2, zeros, undefined).length).toBe(BLOCK_HEADER_BYTES + 5000);
    expect(encoder.encode(2, zeros, 1).length).toBeLessThan(100);
  });

  it('encodes blocks longer than a frame, up to the longest', () => {
    const raw = new Uint8Array(4 * FRAME_BYTES).fill(3);
    expect(Buffer.compare(decode(encoder.encode(5, raw, 6)).raw, raw)).toBe(0);
    const tooLong = { length: MAX_BLOCK_RAW_BYTES + 1 } as Uint8Array;
    expect(() => encoder.encode(5, tooLong, 6)).toThrow(RangeError);
  });

  it('reads raw bytes from memory that threads share', () => {
    const raw = new Uint8Array(new SharedArrayBuffer(FRAME_BYTES)).fill(8);
    expect(Buffer.compare(decode(encoder.encode(1, raw, 1)).raw, raw)).toBe(0);
  });
});
