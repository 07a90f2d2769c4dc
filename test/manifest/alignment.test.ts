/** Which page of a base a page is compared with, against a way that looks at every address. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AlignedFile, Alignment } from '../../src/manifest/alignment.ts';

/** Runs of addresses, ascending; some follow each other, and some have no pages. */
const spaces: fc.Arbitrary<AlignedFile> = fc
  .tuple(
    fc.oneof(fc.nat(20), fc.constant(2 ** 52 - 2000)),
    fc.array(fc.tuple(fc.oneof(fc.constant(0), fc.nat(9)), fc.nat(8)), {
      maxLength: 30,
      size: 'max',
    }),
  )
  .map(([first, runs]) => {
    let end = first;
    const starts = runs.map(([gap, length]) => {
      const start = end + gap;
      end = start + length;
      return start;
    });
    const runStart = Float64Array.from(starts);
    const runLength = Float64Array.from(runs, ([, length]) => length);
    const pageCount = runLength.reduce((sum, length) => sum + length, 0);
    return { pageCount, addresses: { name: 'pagemap-1', runStart, runLength } };
  });

const files: fc.Arbitrary<AlignedFile> = fc
  .nat(60)
  .map((pageCount) => ({ pageCount, addresses: undefined }));

/** The address of each page. */
function addressesOf({ addresses }: AlignedFile): number[] {
  const { runStart, runLength } = addresses!;
  return [...runStart].flatMap((start, run) =>
    Array.from({ length: runLength[run] as number }, (_, i) => start + i),
  );
}

/** The base's page for each page of the file. */
function naive(file: AlignedFile, base: AlignedFile): number[] {
  if (file.addresses === undefined || base.addresses === undefined) {
    return Array.from({ length: file.pageCount }, (_, page) => (page < base.pageCount ? page : -1));
  }
  const baseAddresses = addressesOf(base);
  return addressesOf(file).map((address) => baseAddresses.indexOf(address));
}

function expectFinds(alignment: Alignment, expected: readonly number[], page: number): void {
  expect(alignment.find(page)).toBe(expected[page]);
  const { pagesLeft } = alignment;
  expect(pagesLeft).toBeGreaterThan(0);
  expect(page + pagesLeft).toBeLessThanOrEqual(expected.length);
  for (let i = 1; i < pagesLeft; i++) {
    const found = expected[page] as number;
    expect(expected[page + i]).toBe(found < 0 ? -1 : found + i);
  }
}

describe('Alignment', () => {
  const pairs = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(spaces, spaces) },
    { weight: 1, arbitrary: fc.tuple(files, files) },
    { weight: 1, arbitrary: fc.tuple(spaces, files) },
    { weight: 1, arbitrary: fc.tuple(files, spaces) },
  );

  it('finds each page after its predecessors', () => {
    fc.assert(
      fc.property(pairs, ([file, base]) => {
        const expected = naive(file, base);
        const alignment = new Alignment(file, base);
        for (let page = 0; page < expected.length; page++) expectFinds(alignment, expected, page);
      }),
      { numRuns: 300 },
    );
  });

  it('finds pages in jumps as far as it says that the same distance applies', () => {
    fc.assert(
      fc.property(pairs, ([file, base]) => {
        const expected = naive(file, base);
        const alignment = new Alignment(file, base);
        let steps = 0;
        for (let page = 0; page < expected.length; page += alignment.pagesLeft) {
          expectFinds(alignment, expected, page);
          steps += 1;
        }
        const runs =
          (file.addresses?.runStart.length ?? 0) + (base.addresses?.runStart.length ?? 0);
        expect(steps).toBeLessThanOrEqual(2 * runs + 2);
      }),
      { numRuns: 300 },
    );
  });

  it('finds pages backwards and in any order', () => {
    fc.assert(
      fc.property(pairs, fc.array(fc.nat(), { maxLength: 40 }), ([file, base], jumps) => {
        const expected = naive(file, base);
        fc.pre(expected.length > 0);
        const alignment = new Alignment(file, base);
        for (let page = expected.length - 1; page >= 0; page--) {
          expectFinds(alignment, expected, page);
        }
        for (const jump of jumps) expectFinds(alignment, expected, jump % expected.length);
      }),
      { numRuns: 200 },
    );
  });

  it('goes by address where a space moved in its file, and by place in other files', () => {
    const space = (runStart: number[], runLength: number[]): AlignedFile => ({
      pageCount: runLength.reduce((sum, length) => sum + length, 0),
      addresses: {
        name: 'pagemap-1',
        runStart: Float64Array.from(runStart),
        runLength: Float64Array.from(runLength),
      },
    });
    // A page came in front: all others are one further in the file.
    const alignment = new Alignment(space([99, 500], [3, 2]), space([100, 500], [2, 2]));
    expect([0, 1, 2, 3, 4].map((page) => alignment.find(page))).toEqual([-1, 0, 1, 2, 3]);
    const files = new Alignment(
      { pageCount: 5, addresses: undefined },
      { pageCount: 4, addresses: undefined },
    );
    expect([0, 3, 4].map((page) => files.find(page))).toEqual([0, 3, -1]);
  });
});
