/** Frames of deltas, encoded once more: the pages that are kept are as they were. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIRST_DELTA_SLOT, MAX_SLOTS } from '../../src/bytes/slot.ts';
import {
  applyDelta,
  decodeDeltaFrame,
  type DeltaFrame,
  DeltaFrameBuilder,
} from '../../src/pack/delta-frame.ts';
import { encodeKeptDeltas } from '../../src/pack/kept-deltas.ts';
import { tryRecord } from '../support/made-deltas.ts';
import { editedPages } from '../support/made-edits.ts';

const places = fc.oneof(
  fc.record({ depth: fc.constant(1), slot: fc.nat(FIRST_DELTA_SLOT - 1) }),
  fc.record({ depth: fc.constant(1), slot: fc.nat(9) }),
  fc.record({
    depth: fc.integer({ min: 2, max: 255 }),
    slot: fc.integer({ min: FIRST_DELTA_SLOT, max: MAX_SLOTS - 1 }),
  }),
);
const delta = fc.record({
  pages: editedPages,
  segment: fc.nat(4),
  place: places,
  kept: fc.boolean(),
});

const decode = (raw: Uint8Array): DeltaFrame => decodeDeltaFrame(raw, 'a.pack', 0);

/** What a page of a frame says, and what it makes of two pages that it might stand on. */
function said(frame: DeltaFrame, rank: number): unknown[] {
  const pages = [0, 0xa5].map((fill) => {
    const page = new Uint8Array(4096).fill(fill);
    applyDelta(frame, rank, page, 0);
    return Buffer.from(page).toString('base64');
  });
  return [frame.depth[rank], frame.baseSegment[rank], frame.baseSlot[rank], ...pages];
}

const UNCHANGED = [0, 0xa5].map((fill) => Buffer.alloc(4096, fill).toString('base64'));

describe('some deltas of a frame', () => {
  it('are what they were, on segments with other numbers', () => {
    fc.assert(
      fc.property(fc.array(delta, { maxLength: 64, size: 'max' }), fc.nat(100), (list, shift) => {
        const builder = new DeltaFrameBuilder();
        const kept: boolean[] = [];
        for (const { pages, segment, place, kept: isKept } of list) {
          const record = tryRecord(pages.page, pages.base, { segment: 9, ...place });
          if (record === undefined) continue;
          builder.add(record, segment);
          kept.push(isKept);
        }
        if (kept.length === 0) return;
        const raw = Uint8Array.from(builder.finish());
        const frame = decode(raw);
        const all = kept.map((_, rank) => rank);
        // Nothing changes: neither does a byte.
        expect(encodeKeptDeltas(frame, all, (segment) => segment)).toEqual(raw);
        const ranks = all.filter((rank) => kept[rank]);
        if (ranks.length === 0) return;
        const localOf = (segment: number): number => 4 - segment + shift;
        const some = decode(encodeKeptDeltas(frame, ranks, localOf));
        expect(some.pages).toBe(ranks.length);
        for (const [at, rank] of ranks.entries()) {
          const [depth, segment, ...rest] = said(frame, rank);
          expect(said(some, at)).toEqual([depth, localOf(segment as number), ...rest]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('may be full pages as they are, in a frame that is there or in one that is lost', () => {
    const full = fc.record({ segment: fc.nat(4), slot: fc.nat(FIRST_DELTA_SLOT - 1) });
    fc.assert(
      fc.property(fc.array(fc.tuple(delta, full), { minLength: 1, maxLength: 64 }), (list) => {
        const builder = new DeltaFrameBuilder();
        const copies = new Map<number, { segment: number; slot: number }>();
        for (const [{ pages, segment, place, kept }, copy] of list) {
          const record = tryRecord(pages.page, pages.base, { segment: 9, ...place });
          if (record === undefined) continue;
          if (!kept) copies.set(builder.pages, copy);
          builder.add(record, segment);
        }
        if (builder.pages === 0) return;
        const frame = decode(Uint8Array.from(builder.finish()));
        const all = Array.from({ length: frame.pages }, (_, rank) => rank);
        const lost = all.filter((rank) => copies.has(rank));
        const some = decode(encodeKeptDeltas(frame, all, (segment) => segment, copies));
        for (const rank of all) {
          const copy = copies.get(rank);
          if (copy === undefined) expect(said(some, rank)).toEqual(said(frame, rank));
          else expect(said(some, rank)).toEqual([1, copy.segment, copy.slot, ...UNCHANGED]);
        }
        if (lost.length === 0) return;
        const found = decode(encodeKeptDeltas(undefined, lost, (segment) => segment, copies));
        for (const [at, rank] of lost.entries()) expect(said(found, at)).toEqual(said(some, rank));
      }),
      { numRuns: 60 },
    );
  });

  it('are not made of a frame that is lost', () => {
    const encode = () => encodeKeptDeltas(undefined, [0], (segment) => segment);
    expect(encode).toThrow(new RangeError('page 0 of no frame'));
  });
});
