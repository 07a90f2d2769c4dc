/** Arithmetic of runs, against sets of the pages in them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  inOrder,
  orderOf,
  pagesAt,
  RunIndex,
  subtract,
  unite,
  type Pieces,
} from '../../src/tree/runs.ts';
import type { SpaceRuns } from '../../src/tree/tree.ts';
import { runsOf } from '../support/made-nodes.ts';
import { addressesOf } from '../support/planned-trees.ts';

type Pair = readonly [number, number];

function spaceOf(pairs: readonly Pair[]): SpaceRuns {
  const { start, length } = runsOf(...pairs);
  return { runStart: start, runLength: length };
}

const pairsOf = ({ runStart, runLength }: SpaceRuns): Pair[] =>
  [...runStart].map((start, i) => [start, runLength[i] as number]);

/** A set of pages as the fewest runs. */
function fewest(pages: Iterable<number>): Pair[] {
  const pairs: [number, number][] = [];
  for (const page of [...pages].sort((a, b) => a - b)) {
    const last = pairs.at(-1);
    if (last !== undefined && last[0] + last[1] === page) last[1] += 1;
    else pairs.push([page, 1]);
  }
  return pairs;
}

const pagesOfPieces = ({ start, length }: Pieces): Set<number> =>
  new Set(addressesOf(start, length));
const pagesOfSpace = ({ runStart, runLength }: SpaceRuns): number[] =>
  addressesOf(runStart, runLength);

/** Ascending runs that do not touch. */
const spaces: fc.Arbitrary<SpaceRuns> = fc
  .uniqueArray(fc.nat(60), { maxLength: 40 })
  .map((pages) => spaceOf(fewest(pages)));
/** Pieces in any order that may touch and not overlap. */
const pieces: fc.Arbitrary<Pieces> = fc
  .array(fc.record({ gap: fc.nat(4), length: fc.integer({ min: 1, max: 5 }) }), { maxLength: 15 })
  .map((steps) => {
    let end = 0;
    return steps.map(({ gap, length }): Pair => {
      const start = end + gap;
      end = start + length;
      return [start, length];
    });
  })
  .chain((pairs) => fc.shuffledSubarray(pairs, { minLength: pairs.length }))
  .map((pairs) => runsOf(...pairs));
const anyPieces: fc.Arbitrary<Pieces> = fc
  .array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 9 })), { maxLength: 12 })
  .map((pairs) => runsOf(...pairs));

describe('the order of pieces', () => {
  it('is that of their addresses', () => {
    expect([...orderOf(runsOf([9, 1], [2, 1], [2000, 1], [100, 1]))]).toEqual([1, 0, 3, 2]);
    expect([...orderOf(runsOf([2, 1], [9, 1], [100, 1]))]).toEqual([0, 1, 2]);
    expect([...orderOf(runsOf())]).toEqual([]);
    fc.assert(
      fc.property(pieces, ({ start, length }) => {
        const order = [...orderOf({ start, length })];
        const sorted = [...start].sort((a, b) => a - b);
        expect(order.map((piece) => start[piece])).toEqual(sorted);
        expect(new Set(order).size).toBe(start.length);
      }),
    );
  });
});

describe('subtracting pieces from runs', () => {
  it.each<[string, Pair[], Pair[], Pair[]]>([
    ['nothing', [[0, 4]], [], [[0, 4]]],
    ['all', [[0, 4]], [[0, 4]], []],
    ['the middle', [[0, 9]], [[3, 2]], [[0, 3], [5, 4]]], // prettier-ignore
    ['both ends', [[10, 9]], [[18, 4], [5, 6]], [[11, 7]]], // prettier-ignore
    ['one over two runs', [[0, 4], [6, 4]], [[2, 6]], [[0, 2], [8, 2]]], // prettier-ignore
    ['what is not there', [[5, 2]], [[0, 5], [7, 3]], [[5, 2]]], // prettier-ignore
    ['from nothing', [], [[0, 5]], []],
  ])('takes away %s', (_, runs, gone, left) => {
    expect(pairsOf(subtract(spaceOf(runs), runsOf(...gone)))).toEqual(left);
  });

  it('is that of sets, also where pieces overlap', () => {
    fc.assert(
      fc.property(spaces, fc.oneof(pieces, anyPieces), (runs, gone) => {
        const covered = pagesOfPieces(gone);
        const left = pagesOfSpace(runs).filter((page) => !covered.has(page));
        expect(pairsOf(subtract(runs, gone))).toEqual(fewest(left));
      }),
      { numRuns: 500 },
    );
  });
});

describe('uniting runs and pieces', () => {
  it('makes one of neighbours', () => {
    const runs: Pair[] = [[5, 2], [10, 1]]; // prettier-ignore
    const united = unite(spaceOf(runs), runsOf([11, 3], [7, 3], [0, 4]));
    expect(pairsOf(united)).toEqual([[0, 4], [5, 9]]); // prettier-ignore
    expect(pairsOf(unite(spaceOf([]), runsOf()))).toEqual([]);
  });

  it('is that of sets', () => {
    fc.assert(
      fc.property(spaces, pieces, (runs, came) => {
        const kept = subtract(runs, came);
        const all = new Set([...pagesOfSpace(kept), ...pagesOfPieces(came)]);
        expect(pairsOf(unite(kept, came))).toEqual(fewest(all));
      }),
      { numRuns: 500 },
    );
  });
});

describe('numbers of pages', () => {
  it('are found by addresses, in their order or in any', () => {
    fc.assert(
      fc.property(spaces, fc.array(fc.nat(65)), (runs, addresses) => {
        const all = pagesOfSpace(runs);
        const index = new RunIndex(runs);
        for (const address of addresses) expect(index.find(address)).toBe(all.indexOf(address));
        const among = all.filter((address) => addresses.includes(address));
        const numbers = pagesAt(runs, Float64Array.from(among));
        expect([...numbers]).toEqual(among.map((address) => all.indexOf(address)));
      }),
      { numRuns: 500 },
    );
  });

  it('are none outside of the runs', () => {
    const index = new RunIndex(spaceOf([[5, 2]]));
    expect([4, 5, 6, 7, -1, NaN].map((address) => index.find(address))).toEqual([
      -1, 0, 1, -1, -1, -1,
    ]);
    expect(new RunIndex(spaceOf([])).find(0)).toBe(-1);
  });
});

describe('numbers in another order', () => {
  it('are those that the order names, which may be fewer', () => {
    const values = Float64Array.of(10, 20, 30);
    expect([...inOrder(values, Uint32Array.of(2, 0))]).toEqual([30, 10]);
    expect(inOrder(values, new Uint32Array(0)).length).toBe(0);
  });
});
