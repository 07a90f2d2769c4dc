/** Differences between pages: against a naive way to find them, and back to the page again. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAGE_BYTES } from '../../src/bytes/page.ts';
import { ByteReader } from '../../src/bytes/reader.ts';
import { applyDelta, decodeDeltaFrame, DeltaFrameBuilder } from '../../src/pack/delta-frame.ts';
import { type DiffRecord, PageDiff } from '../../src/pack/page-diff.ts';
import { editedPages } from '../support/made-edits.ts';
import { recordAt, recordOf, seen, tryRecord, viewOf } from '../support/made-deltas.ts';

const reference = { segment: 3, slot: 77, depth: 1 };
const MARK = 0xa5;

interface Run {
  readonly start: number;
  readonly end: number;
}

/** The runs that a difference should have, by looking at whole pages. */
function naiveRuns(page: Uint8Array, base: Uint8Array): Run[] {
  const differs = (i: number): boolean => page[i] !== base[i];
  const words = Array.from({ length: PAGE_BYTES / 4 }, (_, word) => word).filter((word) =>
    [0, 1, 2, 3].some((i) => differs(word * 4 + i)),
  );
  const groups: number[][] = [];
  for (const word of words) {
    const last = groups.at(-1);
    // One word in between that did not change costs less than another run.
    if (last !== undefined && word - (last.at(-1) as number) <= 2) last.push(word);
    else groups.push([word]);
  }
  return groups.map((group) => {
    let [start, end] = [group[0]! * 4, group.at(-1)! * 4 + 4];
    while (!differs(start)) start += 1;
    while (!differs(end - 1)) end -= 1;
    return { start, end };
  });
}

const varintBytes = (value: number): number => (value < 128 ? 1 : 2);

function naiveCost(runs: readonly Run[]): number {
  return runs.reduce((sum, { start, end }, i) => {
    const skip = start - (runs[i - 1]?.end ?? 0);
    return sum + varintBytes(skip) + varintBytes(end - start - 1) + end - start;
  }, 0);
}

/** The runs that a record says. */
function runsOf(record: DiffRecord): Run[] {
  const { skips, lengths } = seen(record);
  const place = { code: 'CORRUPT' } as const;
  const [skipReader, lengthReader] = [new ByteReader(skips, place), new ByteReader(lengths, place)];
  const runs: Run[] = [];
  while (lengthReader.remaining > 0) {
    const start = (runs.at(-1)?.end ?? 0) + skipReader.varint();
    runs.push({ start, end: start + lengthReader.varint() + 1 });
  }
  skipReader.end();
  return runs;
}

function restored(record: DiffRecord, base: Uint8Array): Uint8Array {
  const builder = new DeltaFrameBuilder();
  builder.add(record, 0);
  const frame = decodeDeltaFrame(builder.finish(), 'a.pack', 0);
  const target = Uint8Array.from(base);
  applyDelta(frame, 0, target, 0);
  return target;
}

describe('a difference', () => {
  it('turns the base into the page again, or is refused exactly when it is too long', () => {
    let [accepted, refused] = [0, 0];
    fc.assert(
      fc.property(editedPages, ({ page, base }) => {
        const runs = naiveRuns(page, base);
        const record = tryRecord(page, base, reference);
        expect(record !== undefined).toBe(naiveCost(runs) <= 2048);
        if (record === undefined) return void (refused += 1);
        accepted += 1;
        expect(runsOf(record)).toEqual(runs);
        expect(Buffer.compare(restored(record, base), page)).toBe(0);
      }),
      { numRuns: 300 },
    );
    // The property means nothing unless both happen.
    expect(Math.min(accepted, refused)).toBeGreaterThan(20);
  });

  it('may take 2048 bytes, and no more', () => {
    const base = new Uint8Array(PAGE_BYTES);
    const page = Uint8Array.from(base);
    // A byte for the skip and two for the length.
    page.fill(1, 0, 2045);
    expect(restored(recordOf(page, base, reference), base)).toEqual(page);
    page.fill(1, 0, 2046);
    expect(tryRecord(page, base, reference)).toBeUndefined();
  });

  it('is refused for pages that have nothing in common', () => {
    const page = new Uint8Array(PAGE_BYTES).fill(1);
    expect(tryRecord(page, new Uint8Array(PAGE_BYTES), reference)).toBeUndefined();
    // The most runs that there can be: every third word.
    const sparse = new Uint8Array(PAGE_BYTES).map((_, i) => (i % 12 === 0 ? 1 : 0));
    const record = recordOf(sparse, new Uint8Array(PAGE_BYTES), reference);
    expect(runsOf(record)).toHaveLength(342);
  });

  it('of a page that is the same has no runs', () => {
    const page = new Uint8Array(PAGE_BYTES).fill(9);
    const record = recordOf(page, page, reference);
    const { skips, lengths, bytes } = seen(record);
    expect([skips.length, lengths.length, bytes.length]).toEqual([0, 0, 0]);
    expect(restored(record, page)).toEqual(page);
  });

  it.each([
    ['the first byte', 0, 1],
    ['the last byte', PAGE_BYTES - 1, PAGE_BYTES],
    ['a byte in the middle of a word', 1001, 1002],
    ['bytes over the border of two words', 1002, 1005],
  ])('of %s has just that run', (_, start, end) => {
    const base = new Uint8Array(PAGE_BYTES).fill(3);
    const page = Uint8Array.from(base).fill(4, start, end);
    const record = recordOf(page, base, reference);
    expect(runsOf(record)).toEqual([{ start, end }]);
    expect([...seen(record).bytes]).toEqual(Array(end - start).fill(4));
  });

  it('starts again with each comparison, after one that was refused as well', () => {
    const difference = new PageDiff();
    const zeros = viewOf(new Uint8Array(0));
    const far = viewOf(new Uint8Array(PAGE_BYTES).fill(1));
    const near = viewOf(Uint8Array.of(7));
    expect(difference.compare(far, zeros)).toBe(false);
    expect(difference.compare(near, zeros)).toBe(true);
    const target = new Uint8Array(PAGE_BYTES);
    difference.writeRecord(target, 0, reference);
    const expected = recordOf(near.bytes, zeros.bytes, reference);
    expect(seen(recordAt(target, 0))).toEqual(seen(expected));
  });
});

describe('a record', () => {
  it('lies within the 4096 bytes of its page, and says what its base is', () => {
    const words = fc.nat(2 ** 32 - 1);
    fc.assert(
      fc.property(editedPages, words, words, fc.nat(255), (pages, segment, slot, depth) => {
        const difference = new PageDiff();
        fc.pre(difference.compare(viewOf(pages.page), viewOf(pages.base)));
        const target = new Uint8Array(3 * PAGE_BYTES).fill(MARK);
        difference.writeRecord(target, PAGE_BYTES, { segment, slot, depth });
        const around = Buffer.concat([
          target.subarray(0, PAGE_BYTES),
          target.subarray(2 * PAGE_BYTES),
        ]);
        expect(around.equals(Buffer.alloc(2 * PAGE_BYTES, MARK))).toBe(true);
        const record = recordAt(target, PAGE_BYTES);
        expect(record).toMatchObject({ segment, slot, depth });
        const { skipsLength, lengthsLength, bytesLength } = record;
        const end = record.start + skipsLength + lengthsLength + bytesLength;
        expect(end).toBeLessThanOrEqual(2 * PAGE_BYTES);
        const back = restored({ ...record, slot: 0, depth: 1 }, pages.base);
        expect(Buffer.compare(back, pages.page)).toBe(0);
      }),
    );
  });

  it('has the layout that threads agree upon', () => {
    const base = new Uint8Array(PAGE_BYTES);
    const page = Uint8Array.from(base).fill(9, 200, 202).fill(8, 300, 301);
    const difference = new PageDiff();
    difference.compare(viewOf(page), viewOf(base));
    const target = new Uint8Array(PAGE_BYTES);
    difference.writeRecord(target, 0, { segment: 0x01020304, slot: 0x80000005, depth: 6 });
    expect(Buffer.from(target.subarray(0, 16)).toString('hex')).toBe(
      '04030201' + '05000080' + '0600' + '0300' + '0200' + '0300',
    );
    // 200 bytes, then 98; 2 bytes, then 1; and the bytes.
    expect([...target.subarray(16, 24)]).toEqual([0xc8, 1, 98, 1, 0, 9, 9, 8]);
  });
});
