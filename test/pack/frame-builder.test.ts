/** Frames in the making: which slot a page gets, and what is in the frame when it is full. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCK } from '../../src/pack/format.ts';
import { applyDelta, decodeDeltaFrame } from '../../src/pack/delta-frame.ts';
import { DeltaFrames, FullFrames, type RawFrame } from '../../src/pack/frame-builder.ts';
import { changedPage, recordOf } from '../support/made-deltas.ts';
import { numberedPage } from '../support/made-packs.ts';

const pageLengths = fc.array(fc.oneof(fc.constant(4096), fc.integer({ min: 1, max: 4095 })), {
  minLength: 1,
  maxLength: 200,
  size: 'max',
});

/** A frame whose raw bytes stay when the builder goes on. */
function kept(frame: RawFrame | undefined): RawFrame[] {
  return frame === undefined ? [] : [{ ...frame, raw: Uint8Array.from(frame.raw) }];
}

/** The short pages that a list of lengths has, by the slots that follow from it. */
function shortPagesOf(lengths: readonly number[], first: number): unknown[] {
  return lengths.flatMap((bytes, i) => (bytes < 4096 ? [{ slot: first + i, bytes }] : []));
}

describe('FullFrames', () => {
  it('numbers pages without a gap, and fills short ones up with zeros', () => {
    fc.assert(
      fc.property(pageLengths, (lengths) => {
        const frames = new FullFrames();
        const made: RawFrame[] = [];
        lengths.forEach((length, i) => {
          // Full of sevens: what a page leaves behind in the buffer shows in the next frame.
          const page = new Uint8Array(length).fill(7);
          page[0] = i;
          expect(frames.add(page, new Uint8Array(32).fill(i))).toBe(i);
          expect(frames.isFull).toBe(i % 64 === 63);
          if (frames.isFull) made.push(...kept(frames.take()));
        });
        made.push(...kept(frames.take()));
        expect(frames.take()).toBeUndefined();
        expect(made.map(({ frame, type }) => [frame, type])).toEqual(
          made.map((_, i) => [i, BLOCK.frame]),
        );
        expect(made.reduce((sum, { pages }) => sum + pages, 0)).toBe(lengths.length);
        expect(made.flatMap(({ shortPages }) => shortPages)).toEqual(shortPagesOf(lengths, 0));
        made.forEach(({ frame, pages, raw, digests }) => {
          expect([raw.length, digests.length]).toEqual([pages * 4096, pages * 32]);
          for (let rank = 0; rank < pages; rank++) {
            const slot = frame * 64 + rank;
            const expected = Buffer.alloc(4096).fill(7, 0, lengths[slot]);
            expected[0] = slot;
            expect(expected.equals(raw.subarray(rank * 4096, (rank + 1) * 4096))).toBe(true);
            expect(digests[rank * 32 + 31]).toBe(slot);
          }
        });
      }),
      { numRuns: 40 },
    );
  });

  it('keeps digests that the caller goes on to change', () => {
    const frames = new FullFrames();
    const digest = new Uint8Array(32).fill(1);
    frames.add(numberedPage(1), digest);
    const first = frames.take();
    frames.add(numberedPage(2), digest.fill(2));
    expect(first?.digests).toEqual(new Uint8Array(32).fill(1));
  });
});

describe('DeltaFrames', () => {
  const base = numberedPage(1);

  it('numbers pages from the first delta slot on, and keeps what they stand on', () => {
    fc.assert(
      fc.property(pageLengths, (lengths) => {
        const frames = new DeltaFrames();
        const made: RawFrame[] = [];
        lengths.forEach((length, i) => {
          const record = recordOf(changedPage(base, i), base, { segment: 900, slot: i, depth: 1 });
          expect(frames.add(record, i % 3, length)).toBe(2 ** 31 + i);
          expect(frames.isFull).toBe(i % 64 === 63);
          if (frames.isFull) made.push(...kept(frames.take()));
        });
        made.push(...kept(frames.take()));
        expect(frames.take()).toBeUndefined();
        expect(made.flatMap(({ shortPages }) => shortPages)).toEqual(
          shortPagesOf(lengths, 2 ** 31),
        );
        made.forEach((one, i) => {
          expect(one).toMatchObject({ type: BLOCK.deltaFrame, frame: 2 ** 25 + i });
          expect(one.digests).toHaveLength(0);
          const frame = decodeDeltaFrame(one.raw, 'a.pack', 0);
          expect(frame.pages).toBe(one.pages);
          for (let rank = 0; rank < one.pages; rank++) {
            const number = i * 64 + rank;
            expect(frame.baseSegment[rank]).toBe(number % 3);
            expect(frame.baseSlot[rank]).toBe(number);
            const page = Buffer.from(base);
            applyDelta(frame, rank, page, 0);
            expect(page.equals(changedPage(base, number))).toBe(true);
          }
        });
      }),
      { numRuns: 20 },
    );
  });
});
