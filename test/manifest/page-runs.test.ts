/** Runs of pages against a plain array of where each page is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type PageRuns,
  PageRunsBuilder,
  PageRunsCursor,
  ZERO_SEGMENT,
} from '../../src/manifest/page-runs.ts';

/** Where a page is: segment and slot; slot 0 for a page of zeros. */
type Place = readonly [segment: number, slot: number];

interface Run {
  readonly segment: number;
  readonly slot: number;
  readonly pages: number;
}

const runLists: fc.Arbitrary<Run[]> = fc.array(
  fc.record({
    segment: fc.oneof(fc.nat(3), fc.constant(2 ** 32 - 1)),
    slot: fc.oneof(fc.nat(30), fc.integer({ min: 2 ** 31 - 5, max: 2 ** 32 - 50 })),
    pages: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 40 })),
  }),
  { maxLength: 150, size: 'max' },
);

function placesOf(runs: readonly Run[]): Place[] {
  return runs.flatMap(({ segment, slot, pages }) =>
    Array.from({ length: pages }, (_, i): Place => {
      return segment === ZERO_SEGMENT ? [0, 0] : [segment, slot + i];
    }),
  );
}

function build(runs: readonly Run[], builder = new PageRunsBuilder()): PageRuns {
  let pages = 0;
  for (const run of runs) {
    builder.add(run.segment, run.slot, run.pages);
    expect(builder.pages).toBe((pages += run.pages));
  }
  return builder.finish();
}

/** Whether a page goes on where the one before it ends. */
function goesOn(before: Place | undefined, [segment, slot]: Place): boolean {
  if (before?.[0] !== segment) return false;
  return segment === ZERO_SEGMENT || before[1] + 1 === slot;
}

/** How many pages from `page` on are of one run. */
function pagesLeft(places: readonly Place[], page: number): number {
  let end = page + 1;
  while (end < places.length && goesOn(places[end - 1], places[end]!)) end += 1;
  return end - page;
}

function expectFinds(cursor: PageRunsCursor, places: readonly Place[], page: number): void {
  expect(cursor.seek(page)).toBe(page < places.length);
  if (page >= places.length) return;
  expect([cursor.segment, cursor.slot]).toEqual(places[page]);
  expect(cursor.pagesLeft).toBe(pagesLeft(places, page));
}

describe('PageRunsBuilder', () => {
  it('makes one run of what continues, and starts again after each file', () => {
    const builder = new PageRunsBuilder();
    fc.assert(
      fc.property(runLists, (list) => {
        const runs = build(list, builder);
        expect(builder.pages).toBe(0);
        const places = placesOf(list);
        const count = places.filter((place, i) => !goesOn(places[i - 1], place)).length;
        expect(runs.length).toBe(count);
        for (const column of [runs.end, runs.segment, runs.slot]) {
          expect(column).toHaveLength(count);
        }
        expect(runs.end.at(-1) ?? 0).toBe(places.length);
      }),
      { numRuns: 50 },
    );
  });

  it('makes one run of zero pages, whatever their slots are', () => {
    const runs = build([
      { segment: ZERO_SEGMENT, slot: 0, pages: 3 },
      { segment: ZERO_SEGMENT, slot: 9, pages: 4 },
    ]);
    expect([...runs.end]).toEqual([7]);
  });

  it('gives runs that the next file does not change', () => {
    const builder = new PageRunsBuilder();
    const first = build([{ segment: 1, slot: 5, pages: 2 }], builder);
    build([{ segment: 2, slot: 6, pages: 3 }], builder);
    expect([first.end[0], first.segment[0], first.slot[0]]).toEqual([2, 1, 5]);
  });
});

describe('PageRunsCursor', () => {
  it('finds each page after its predecessors, and none behind the last', () => {
    fc.assert(
      fc.property(runLists, (list) => {
        const places = placesOf(list);
        const cursor = new PageRunsCursor(build(list));
        for (let page = 0; page <= places.length + 1; page++) expectFinds(cursor, places, page);
        // Not lost behind the end.
        if (places.length > 0) expectFinds(cursor, places, places.length - 1);
      }),
      { numRuns: 50 },
    );
  });

  it('finds pages backwards, and in jumps of any length', () => {
    fc.assert(
      fc.property(runLists, fc.array(fc.nat(), { maxLength: 60 }), (list, jumps) => {
        const places = placesOf(list);
        const cursor = new PageRunsCursor(build(list));
        for (let page = places.length; page >= 0; page -= 3) expectFinds(cursor, places, page);
        for (const jump of jumps) expectFinds(cursor, places, jump % (places.length + 2));
      }),
      { numRuns: 50 },
    );
  });

  it('finds nothing in a file without pages', () => {
    const cursor = new PageRunsCursor(build([]));
    expect([cursor.seek(0), cursor.seek(7), cursor.seek(0)]).toEqual([false, false, false]);
  });

  it('takes page counts beyond 2^32', () => {
    const runs = build([
      { segment: ZERO_SEGMENT, slot: 0, pages: 2 ** 40 },
      { segment: 3, slot: 7, pages: 2 },
    ]);
    const cursor = new PageRunsCursor(runs);
    expect(cursor.seek(2 ** 40 + 1)).toBe(true);
    expect([cursor.segment, cursor.slot, cursor.pagesLeft]).toEqual([3, 8, 1]);
    expect(cursor.seek(2 ** 40 - 1)).toBe(true);
    expect([cursor.segment, cursor.slot, cursor.pagesLeft]).toEqual([0, 0, 1]);
  });
});
