/** Pairs of pages for properties: a base, and a page that was edited here and there. */
import fc from 'fast-check';
import { PAGE_BYTES } from '../../src/bytes/page.ts';

/** Two pages of 4096 bytes. */
export interface EditedPage {
  readonly page: Uint8Array;
  readonly base: Uint8Array;
}

/** Bases: zeros, one value, and bytes without an order; edits that make little of a difference. */
const bases = fc.nat(2 ** 32 - 1).map((seed) => {
  const page = new Uint8Array(PAGE_BYTES);
  if (seed % 4 === 0) return page.fill(seed >>> 8);
  let state = seed;
  return page.map(() => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24);
});

const lengths = fc.oneof(
  { weight: 40, arbitrary: fc.integer({ min: 1, max: 12 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 1500 }) },
);

const edits = fc.record({ at: fc.nat(PAGE_BYTES - 1), length: lengths, by: fc.nat(255) });

/** A base, and what editing made of it: from no change at all to one everywhere. */
export const editedPages: fc.Arbitrary<EditedPage> = fc
  .tuple(
    bases,
    fc.oneof(
      fc.array(edits, { maxLength: 6 }),
      // Some of these are too much for a difference, and some are just not.
      fc
        .integer({ min: 50, max: 300 })
        .chain((count) => fc.array(edits, { minLength: count, maxLength: count })),
    ),
  )
  .map(([base, list]) => {
    const page = Uint8Array.from(base);
    for (const { at, length, by } of list) {
      const end = Math.min(PAGE_BYTES, at + length);
      for (let i = at; i < end; i++) page[i] = (page[i] as number) ^ by;
    }
    return { page, base };
  });
