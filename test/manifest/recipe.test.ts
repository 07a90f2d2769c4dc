/** Recipes against a plain list of pages: what was added comes out, in the order of the pages. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../src/bytes/writer.ts';
import { StoreError } from '../../src/errors.ts';
import { RecipeBuilder, RecipeCursor, RUN } from '../../src/manifest/recipe.ts';

/** A page: zero, the same as in the base, or a slot of a segment. */
type Page = 'zero' | 'same' | readonly [segment: number, slot: number];

/** The last slots of full pages, and of delta pages. */
const LAST_FULL = 2 ** 31 - 1;
const LAST_SLOT = 2 ** 32 - 1;

/** Where a run of at most 8 slots may start. */
const firstSlots = fc.oneof(
  fc.nat(40),
  fc.nat(40).map((slot) => LAST_FULL + 1 + slot),
  fc.nat(LAST_FULL - 8),
  fc.integer({ min: LAST_FULL + 1, max: LAST_SLOT - 8 }),
);

/** Pages in runs, as a capture makes them, and without any order. */
const pageLists: fc.Arbitrary<Page[]> = fc
  .array(
    fc.oneof(
      fc
        .tuple(fc.constantFrom('zero' as const, 'same' as const), fc.nat(5))
        .map(([page, count]) => Array<Page>(count).fill(page)),
      fc
        .tuple(fc.nat(3), firstSlots, fc.integer({ min: 1, max: 8 }))
        .map(([segment, slot, count]) =>
          Array.from({ length: count }, (_, i): Page => [segment, slot + i]),
        ),
    ),
    { maxLength: 20, size: 'max' },
  )
  .map((runs) => runs.flat());

function build(builder: RecipeBuilder, pages: readonly Page[]): Uint8Array {
  for (const page of pages) {
    if (page === 'zero') builder.addZero();
    else if (page === 'same') builder.addSame();
    else builder.addSlot(...page);
  }
  return Uint8Array.from(builder.finish());
}

/** The pages of a recipe, and in how many runs they came. */
function walk(
  recipe: Uint8Array,
  pageCount: number,
  segments = 4,
): { pages: Page[]; runs: number } {
  const cursor = new RecipeCursor(recipe, pageCount, segments, 'a.pack');
  const pages: Page[] = [];
  let runs = 0;
  while (cursor.next()) {
    runs += 1;
    for (let i = 0; i < cursor.pages; i++) pages.push(pageOf(cursor, i));
  }
  expect(cursor.next()).toBe(false);
  return { pages, runs };
}

function pageOf({ kind, segment, slot }: RecipeCursor, i: number): Page {
  if (kind === RUN.slots) return [segment, slot + i];
  return kind === RUN.zero ? 'zero' : 'same';
}

/** How many runs a list of pages has at least. */
function runsOf(pages: readonly Page[]): number {
  return pages.filter((page, i) => {
    const before = pages[i - 1];
    if (before === undefined || typeof page === 'string' || typeof before === 'string') {
      return page !== before;
    }
    return page[0] !== before[0] || page[1] !== before[1] + 1;
  }).length;
}

/** A recipe of one byte string for each column. */
function recipeOf(runs: number, ...columns: [number[], number[], number[]]): Uint8Array {
  const [heads, segments, gaps] = columns.map((values) => {
    const writer = new ByteWriter();
    for (const value of values) writer.varint(value);
    return Uint8Array.from(writer.bytes());
  }) as [Uint8Array, Uint8Array, Uint8Array];
  const writer = new ByteWriter();
  writer.varint(runs);
  writer.varint(heads.length);
  writer.varint(segments.length);
  for (const column of [heads, segments, gaps]) writer.raw(column);
  return writer.bytes();
}

describe('a recipe', () => {
  it('gives back the pages it was built of, in as few runs as there are', () => {
    const builder = new RecipeBuilder();
    fc.assert(
      fc.property(pageLists, (pages) => {
        const recipe = build(builder, pages);
        expect(walk(recipe, pages.length)).toEqual({ pages, runs: runsOf(pages) });
        // A builder that has been used starts again as if it had not.
        expect(build(new RecipeBuilder(), pages)).toEqual(recipe);
      }),
    );
  });

  it('is refused by a space of any other number of pages', () => {
    fc.assert(
      fc.property(pageLists, fc.nat(200), (pages, pageCount) => {
        fc.pre(pageCount !== pages.length);
        const recipe = build(new RecipeBuilder(), pages);
        expect(() => walk(recipe, pageCount)).toThrow(
          expect.objectContaining({ code: 'CORRUPT', file: 'a.pack' }),
        );
      }),
    );
  });

  it('is refused at every cut and with a byte more', () => {
    fc.assert(
      fc.property(pageLists, (pages) => {
        const recipe = build(new RecipeBuilder(), pages);
        for (let length = 0; length < recipe.length; length++) {
          expect(() => walk(recipe.subarray(0, length), pages.length)).toThrow(StoreError);
        }
        const longer = Uint8Array.from([...recipe, 0]);
        expect(() => walk(longer, pages.length)).toThrow(/1 bytes too many/);
      }),
    );
  });

  it('is an error or the right number of pages whatever its bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), fc.nat(100), (recipe, pageCount) => {
        try {
          expect(walk(recipe, pageCount).pages).toHaveLength(pageCount);
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('takes three bytes a run where runs follow each other', () => {
    const pages = Array.from({ length: 1000 }, (_, i): Page =>
      i % 2 === 0 ? 'zero' : [0, i >> 1],
    );
    expect(build(new RecipeBuilder(), pages).length).toBeLessThan(1000 + 500 * 2 + 10);
    expect(build(new RecipeBuilder(), [])).toEqual(Uint8Array.of(0, 0, 0));
  });

  it('takes a byte for a run of deltas that goes on where the last one ended', () => {
    const pages = Array.from({ length: 1000 }, (_, i): Page =>
      i % 2 === 0 ? 'same' : [1, LAST_FULL + 1 + (i >> 1)],
    );
    expect(build(new RecipeBuilder(), pages).length).toBeLessThan(1000 + 500 * 2 + 10);
  });

  it('is written as documented: counts, then the columns', () => {
    const pages: Page[] = ['zero', 'zero', [1, 5], [1, 6], [1, 4], [0, 1], 'same'];
    const recipe = recipeOf(5, [8, 9, 5, 5, 6], [2, 2, 0], [10, 5, 2]);
    expect(build(new RecipeBuilder(), pages)).toEqual(Uint8Array.from(recipe));
  });

  it('counts full and delta pages of a segment each from their first slot', () => {
    const first = LAST_FULL + 1;
    const pages: Page[] = [
      [1, 0],
      [1, first],
      [1, first + 1],
      [1, 1],
      [1, first + 9],
    ];
    const recipe = recipeOf(4, [5, 9, 5, 5], [2, 3, 2, 3], [0, 0, 0, 14]);
    expect(build(new RecipeBuilder(), pages)).toEqual(Uint8Array.from(recipe));
    expect(walk(recipe, 5).pages).toEqual(pages);
  });
});

describe('RecipeCursor', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['a run of no pages', recipeOf(1, [0], [], []), /other pages than its space/],
    ['a run of too many pages', recipeOf(1, [2 ** 50], [], []), /other pages than its space/],
    ['a run of an unknown kind', recipeOf(1, [11], [], []), /run of unknown kind 3/],
    ['an unknown segment', recipeOf(1, [9], [8], [0]), /unknown segment 4/],
    ['an absurd segment', recipeOf(1, [9], [2 ** 53 - 1], [0]), /unknown segment 4503599627370495/],
    ['a slot below 0', recipeOf(1, [9], [0], [1]), /slot -1/],
    ['a full page beyond the last', recipeOf(1, [9], [0], [2 * LAST_FULL]), /slot 2147483647/],
    ['a delta page below the first', recipeOf(1, [9], [1], [1]), /slot 2147483647/],
    ['a slot beyond 2^32', recipeOf(1, [9], [1], [2 * LAST_FULL]), /slot 4294967295/],
    ['a slot that is absurd', recipeOf(1, [9], [0], [2 ** 53 - 2]), /slot 4503599627370495/],
    ['fewer runs than it says', recipeOf(2, [8], [], []), /expected, 0 left/],
    ['more runs than it says', recipeOf(1, [8, 8], [], []), /too many/],
    ['a segment that no run uses', recipeOf(1, [8], [0], []), /too many/],
    ['a gap that no run uses', recipeOf(1, [10], [], [0]), /too many/],
    ['columns longer than it', Uint8Array.of(1, 99, 0, 4), /99 bytes expected/],
  ])('refuses %s', (_, recipe, message) => {
    expect(() => walk(recipe, 2)).toThrow(message);
  });

  it('takes the last slots of both kinds', () => {
    const pages: Page[] = [
      [3, LAST_FULL],
      [3, LAST_SLOT],
    ];
    expect(walk(build(new RecipeBuilder(), pages), 2).pages).toEqual(pages);
  });
});
