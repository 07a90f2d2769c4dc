/** Frames of deltas: what is put in comes out, and no damage ever reaches outside of a page. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIRST_DELTA_SLOT, MAX_SLOTS } from '../../src/bytes/slot.ts';
import { ByteWriter } from '../../src/bytes/writer.ts';
import { StoreError } from '../../src/errors.ts';
import {
  applyDelta,
  decodeDeltaFrame,
  type DeltaFrame,
  DeltaFrameBuilder,
  memoryOf,
} from '../../src/pack/delta-frame.ts';
import { changedPage, tryRecord } from '../support/made-deltas.ts';
import { type EditedPage, editedPages } from '../support/made-edits.ts';

/** A page, and what it stands on. */
interface Delta extends EditedPage {
  readonly segment: number;
  readonly slot: number;
  readonly depth: number;
}

const places = fc.oneof(
  fc.record({ depth: fc.constant(1), slot: fc.nat(FIRST_DELTA_SLOT - 1) }),
  fc.record({
    depth: fc.integer({ min: 2, max: 255 }),
    slot: fc.integer({ min: FIRST_DELTA_SLOT, max: MAX_SLOTS - 1 }),
  }),
);
const deltas: fc.Arbitrary<Delta> = fc
  .tuple(editedPages, fc.oneof(fc.nat(3), fc.nat(2 ** 31 - 1)), places)
  .map(([pages, segment, place]) => ({ ...pages, segment, ...place }));

const decode = (raw: Uint8Array) => decodeDeltaFrame(raw, 'a.pack', 500);

function frameOf(list: readonly Delta[], builder = new DeltaFrameBuilder()): Uint8Array {
  for (const { page, base, segment, slot, depth } of list) {
    const record = tryRecord(page, base, { segment: 999, slot, depth });
    if (record !== undefined) builder.add(record, segment);
  }
  return Uint8Array.from(builder.finish());
}

/** Applies every page of a frame in the middle of a marked buffer; nothing around it may change. */
function expectInside(frame: DeltaFrame): void {
  const buffer = new Uint8Array(3 * 4096);
  for (let index = 0; index < frame.pages; index++) {
    applyDelta(frame, index, buffer, 4096);
    expect(frame.depth[index]).toBeGreaterThan(0);
    const isDelta = (frame.baseSlot[index] as number) >= FIRST_DELTA_SLOT;
    expect(isDelta).toBe((frame.depth[index] as number) > 1);
  }
  const around = [...buffer.subarray(0, 4096), ...buffer.subarray(2 * 4096)];
  expect(around.every((byte) => byte === 0)).toBe(true);
  // Bytes that are not there would be read as undefined, and written as 0.
  expect(frame.firstRun[0]).toBe(0);
  const runs = frame.runs.subarray(0, frame.firstRun.at(-1));
  expect(runs.reduce((sum, run) => sum + (run >>> 16), 0)).toBe(frame.bytes.length);
  expect(frame.firstByte.at(-1)).toBe(frame.bytes.length);
}

/** The frame, or undefined after the one error that there may be. */
function attempt(raw: Uint8Array): DeltaFrame | undefined {
  try {
    return decode(raw);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    expect(error).toMatchObject({ code: 'CORRUPT', file: 'a.pack' });
    expect(error.offset).toBeGreaterThanOrEqual(500);
    return undefined;
  }
}

describe('a frame of deltas', () => {
  it('gives every page back from its base, and says which base that is', () => {
    const builder = new DeltaFrameBuilder();
    fc.assert(
      fc.property(fc.array(deltas, { maxLength: 64, size: 'max' }), (list) => {
        const kept = list.filter(
          ({ page, base }) =>
            tryRecord(page, base, { segment: 0, slot: 0, depth: 1 }) !== undefined,
        );
        const raw = frameOf(kept, builder);
        expect(builder.pages).toBe(0);
        // A builder that has been used starts again as if it had not.
        expect(frameOf(kept)).toEqual(raw);
        const frame = decode(raw);
        expect(frame.pages).toBe(kept.length);
        kept.forEach(({ page, base, segment, slot, depth }, i) => {
          expect([frame.baseSegment[i], frame.baseSlot[i]]).toEqual([segment, slot]);
          expect(frame.depth[i]).toBe(depth);
          const target = new Uint8Array(4096 + 20);
          target.set(base, 11);
          applyDelta(frame, i, target, 11);
          expect(Buffer.compare(target.subarray(11, 11 + 4096), page)).toBe(0);
        });
        expectInside(frame);
        expect(memoryOf(frame)).toBeGreaterThan(frame.bytes.length + frame.runs.length * 4);
      }),
      { numRuns: 40 },
    );
  });

  it('takes a byte of each of four columns where bases follow each other', () => {
    const base = new Uint8Array(4096).fill(5);
    const page = Uint8Array.from(base).fill(6, 100, 101);
    const at = (first: number, depth: number) =>
      Array.from({ length: 64 }, (_, i) => ({ page, base, segment: 0, slot: first + i, depth }));
    // Also three sizes, a skip, a length and a byte for each, and the counts in front.
    expect(frameOf(at(0, 1)).length).toBe(64 * 9 + 7);
    expect(frameOf(at(FIRST_DELTA_SLOT, 2)).length).toBe(64 * 9 + 7);
  });

  it('is written as documented: counts, then the columns', () => {
    const base = new Uint8Array(4096);
    const pages = [
      { page: Uint8Array.from(base).fill(7, 2, 4).fill(9, 200, 201), slot: 5, depth: 1 },
      { page: base, slot: FIRST_DELTA_SLOT + 1, depth: 2 },
    ].map((delta) => ({ ...delta, base, segment: 1 }));
    expect([...frameOf(pages)]).toEqual([
      ...[2, 2, 2, 6, 3, 2], // pages; bytes of segments, gaps, sizes, skips, lengths
      ...[1, 2], // depths
      ...[2, 3], // segment 1: its full pages, its delta pages
      ...[10, 2], // slot 5 where 0 was expected, 2^31 + 1 where 2^31 was
      ...[3, 2, 3, 0, 0, 0], // bytes of skips, lengths and new bytes of each page
      ...[2, 196, 1], // skips of 2 and of 196
      ...[1, 0], // lengths of 2 and of 1
      ...[7, 7, 9],
    ]);
  });
});

describe('a damaged frame of deltas', () => {
  const base = new Uint8Array(4096).fill(1);
  const good = frameOf(
    Array.from({ length: 12 }, (_, i) => ({
      page: changedPage(base, i),
      base,
      segment: i % 3,
      slot: i % 2 === 0 ? i : FIRST_DELTA_SLOT + i,
      depth: (i % 2) + 1,
    })),
  );

  it('is an error, or nothing that reaches outside, with any bit changed', () => {
    let refused = 0;
    for (let bit = 0; bit < good.length * 8; bit++) {
      const raw = Uint8Array.from(good);
      raw[bit >> 3]! ^= 1 << (bit & 7);
      const frame = attempt(raw);
      if (frame === undefined) refused += 1;
      else expectInside(frame);
    }
    expect(refused).toBeGreaterThan(good.length);
  });

  it('is an error, or nothing that reaches outside, with any byte at an extreme', () => {
    for (let offset = 0; offset < good.length; offset++) {
      for (const byte of [0, 0x7f, 0x80, 0xff]) {
        const raw = Uint8Array.from(good);
        raw[offset] = byte;
        const frame = attempt(raw);
        if (frame !== undefined) expectInside(frame);
      }
    }
  });

  it('is refused at every cut and with a byte more', () => {
    for (let length = 0; length < good.length; length++) {
      expect(attempt(good.subarray(0, length)), `${length} bytes`).toBeUndefined();
    }
    expect(() => decode(Uint8Array.from([...good, 0]))).toThrow(/new bytes, \d+ expected/);
  });

  it('is an error, or nothing that reaches outside, whatever its bytes are', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(4), fc.uint8Array({ maxLength: 6 })), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(changes, (list) => {
        let raw = [...good];
        for (const [at, remove, insert] of list) {
          raw = raw.toSpliced(at % raw.length, remove, ...insert);
        }
        const frame = attempt(Uint8Array.from(raw));
        if (frame !== undefined) expectInside(frame);
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (raw) => {
        const frame = attempt(raw);
        if (frame !== undefined) expectInside(frame);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('decodeDeltaFrame', () => {
  interface Columns {
    readonly pages?: number;
    readonly depths?: number[];
    readonly segments?: number[];
    readonly gaps?: number[];
    readonly sizes?: number[];
    readonly skips?: number[];
    readonly lengths?: number[];
    readonly bytes?: number;
  }

  /** A frame of one page with one new byte, but for the columns that are given. */
  function raw(columns: Columns): Uint8Array {
    const { pages = 1, depths = [1], segments = [0], gaps = [0], sizes = [1, 1, 1] } = columns;
    const { skips = [0], lengths = [0], bytes = 1 } = columns;
    const varints = [segments, gaps, sizes, skips, lengths].map((values) => {
      const writer = new ByteWriter();
      for (const value of values) writer.varint(value);
      return writer.bytes();
    });
    const writer = new ByteWriter();
    writer.varint(pages);
    for (const column of varints) writer.varint(column.length);
    for (const column of [Uint8Array.from(depths), ...varints]) writer.raw(column);
    writer.raw(new Uint8Array(bytes));
    return Uint8Array.from(writer.bytes());
  }

  it('takes what the others differ from', () => {
    expect(decode(raw({}))).toMatchObject({ pages: 1, depth: Uint8Array.of(1) });
    expect(decode(raw({ depths: [2], segments: [1] })).baseSlot[0]).toBe(FIRST_DELTA_SLOT);
    const last = raw({ skips: [4095], sizes: [2, 1, 1] });
    expect(decode(last).runs[0]).toBe(4095 | (1 << 16));
  });

  it.each<[string, Columns, RegExp]>([
    ['more pages than a frame holds', { pages: 65 }, /65 delta pages, at most 64/],
    ['pages without a depth', { pages: 2 }, /expected, 0 left|delta page of depth/],
    ['a depth of 0', { depths: [0] }, /delta page of depth 0 on slot 0/],
    ['a depth of 1 upon a delta page', { segments: [1] }, /depth 1 on slot 2147483648/],
    ['a depth of 2 upon a full page', { depths: [2] }, /depth 2 on slot 0/],
    ['a slot below 0', { gaps: [1] }, /on slot -1/],
    ['a full page beyond the last', { gaps: [2 ** 32] }, /on slot 2147483648/],
    ['a delta page beyond the last', { depths: [2], segments: [1], gaps: [2 ** 32] }, /4294967296/],
    ['a slot that is absurd', { gaps: [2 ** 53 - 2] }, /on slot 4503599627370495/],
    ['a segment that is absurd', { segments: [2 ** 32] }, /as segment number, at most/],
    ['a segment that no page uses', { segments: [0, 0] }, /1 bytes too many/],
    ['a slot that no page uses', { gaps: [0, 0] }, /1 bytes too many/],
    ['sizes that no page uses', { sizes: [1, 1, 1, 0] }, /1 bytes too many/],
    ['a size that is absurd', { sizes: [1, 2 ** 50, 1] }, /expected, 0 left/],
    ['skips of other bytes', { sizes: [2, 1, 1] }, /other bytes than its runs/],
    ['lengths of other bytes', { sizes: [1, 0, 1] }, /other bytes than its runs/],
    ['new bytes of another count', { sizes: [1, 1, 2] }, /other bytes than its runs/],
    ['a run that starts behind its page', { skips: [4096] }, /a run of bytes leaves its page/],
    ['a run that ends behind its page', { lengths: [4096] }, /a run of bytes leaves its page/],
    ['a run that is absurd', { lengths: [2 ** 50] }, /a run of bytes leaves its page/],
    ['fewer bytes than its runs', { bytes: 0 }, /0 new bytes, 1 expected/],
    ['more bytes than its runs', { bytes: 2 }, /2 new bytes, 1 expected/],
  ])('refuses %s', (_, columns, message) => {
    expect(() => decode(raw(columns))).toThrow(message);
    expect(() => decode(raw(columns))).toThrow(
      expect.objectContaining({ code: 'CORRUPT', file: 'a.pack' }),
    );
  });

  it('refuses columns longer than it before it allocates anything', () => {
    const writer = new ByteWriter();
    for (const value of [64, 1, 1, 1, 1, 2 ** 52]) writer.varint(value);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => decode(writer.bytes())).toThrow(/bytes expected, 0 left/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
  });
});
