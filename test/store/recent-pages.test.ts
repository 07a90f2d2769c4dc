/**
 * The pages that are new in a capture, by digest: what was added is found until its set is full or
 * so many others have come, and never is the number of another page given.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecentPages } from '../../src/store/recent-pages.ts';

/** Entries of a set, and pages that are remembered at most. */
const WAYS = 4;
const CAPACITY = 2 ** 19;
/** Where the sets of digests come from. */
const SETS = CAPACITY / WAYS;

/** One table for all tests: it takes 18 MB. */
const pages = new RecentPages();

/** A digest in a set; the rest of it follows from `id`, and is no other's of the same set. */
function digestOf(set: number, id: number): Int32Array {
  return Int32Array.of(1, 2, set, 4, 5, 6, id >>> 16, id);
}

/** Digests one after the other. */
function join(digests: readonly Int32Array[]): Int32Array {
  return Int32Array.from(digests.flatMap((digest) => [...digest]));
}

describe('recent pages', () => {
  it('are found by all of their digests, wherever these lie', () => {
    pages.clear();
    const digests = join(Array.from({ length: 1000 }, (_, i) => digestOf(i * 7919, i)));
    for (let i = 0; i < 1000; i++) {
      expect(pages.find(digests, i)).toBe(-1);
      pages.add(digests, i, i);
    }
    for (let i = 0; i < 1000; i++) expect(pages.find(digests, i)).toBe(i);
  });

  it('are found in a small capture as well, which uses less of the table', () => {
    const digests = join(Array.from({ length: 3000 }, (_, i) => digestOf(i * 7919, i)));
    for (const count of [10, 3000, 100]) {
      pages.begin(count);
      for (let i = 0; i < count; i++) {
        expect(pages.find(digests, i)).toBe(-1);
        pages.add(digests, i, i);
      }
      let found = 0;
      for (let i = 0; i < count; i++) if (pages.find(digests, i) === i) found += 1;
      expect(found).toBeGreaterThan(0.95 * count);
    }
    pages.begin(2 ** 20);
    for (let i = 0; i < 3000; i++) expect(pages.find(digests, i)).toBe(-1);
  });

  it('are told apart by every word of their digests', () => {
    pages.clear();
    const digest = Int32Array.of(11, 12, 13, 14, 15, 16, 17, 18);
    pages.add(digest, 0, 0);
    expect(pages.find(digest, 0)).toBe(0);
    for (let word = 0; word < 8; word++) {
      const other = Int32Array.from(digest);
      // Some are in another set, some only in other bits of the word that chooses the set.
      other[word] = (other[word] ?? 0) + 0x4000_0000;
      expect(pages.find(other, 0), `word ${word}`).toBe(-1);
    }
  });

  it('are forgotten when four others of their set have come, the oldest first', () => {
    pages.clear();
    const digests = join(Array.from({ length: 7 }, (_, i) => digestOf(5, i)));
    const found = () => Array.from({ length: 7 }, (_, i) => pages.find(digests, i));
    for (let i = 0; i < 4; i++) pages.add(digests, i, i);
    // Of another set: it forgets nothing here.
    pages.add(digestOf(6, 0), 0, 4);
    expect(found()).toEqual([0, 1, 2, 3, -1, -1, -1]);
    pages.add(digests, 4, 5);
    expect(found()).toEqual([-1, 1, 2, 3, 5, -1, -1]);
    pages.add(digests, 5, 6);
    pages.add(digests, 6, 7);
    expect(found()).toEqual([-1, -1, -1, 3, 5, 6, 7]);
  });

  it('are forgotten when as many others have come as there is room for', () => {
    pages.clear();
    const first = join([digestOf(1, 1), digestOf(2, 1)]);
    pages.add(first, 0, 0);
    pages.add(first, 1, 1);
    const other = digestOf(3, 0);
    for (let number = 2; number < CAPACITY; number++) {
      // Into all sets but the first few, each with room.
      other[2] = 3 + (number % (SETS - 3));
      other[7] = number;
      pages.add(other, 0, number);
    }
    expect([pages.find(first, 0), pages.find(first, 1)]).toEqual([0, 1]);
    pages.add(digestOf(0, 1), 0, CAPACITY);
    expect([pages.find(first, 0), pages.find(first, 1)]).toEqual([-1, 1]);
    pages.add(digestOf(0, 2), 0, CAPACITY + 1);
    expect([pages.find(first, 0), pages.find(first, 1)]).toEqual([-1, -1]);
    expect(pages.find(digestOf(0, 1), 0)).toBe(CAPACITY);
  });

  it('are none after all has been forgotten', () => {
    pages.clear();
    const digests = join([digestOf(1, 1), digestOf(1, 2)]);
    pages.add(digests, 0, 3 * CAPACITY);
    pages.add(digests, 1, 3 * CAPACITY + 1);
    pages.clear();
    expect([pages.find(digests, 0), pages.find(digests, 1)]).toEqual([-1, -1]);
    // A small number counts again.
    pages.add(digests, 1, 0);
    expect([pages.find(digests, 0), pages.find(digests, 1)]).toEqual([-1, 0]);
  });

  it('are never taken for another one, and missed only where there is no room', () => {
    const steps = fc.array(
      fc.record({
        set: fc.constantFrom(0, 1, SETS - 1, SETS, -1),
        id: fc.nat(9),
        // Numbers that are left out stand for pages in other sets.
        leftOut: fc.oneof(
          { weight: 9, arbitrary: fc.nat(2) },
          fc.constantFrom(CAPACITY / 2, CAPACITY - 2, CAPACITY - 1),
        ),
      }),
      { maxLength: 60, size: 'max' },
    );
    const property = fc.property(steps, (list) => {
      pages.clear();
      const bySet = new Map<number, { readonly key: string; readonly number: number }[]>();
      let number = 0;
      for (const { set, id, leftOut } of list) {
        const digest = digestOf(set, id);
        const key = digest.join(' ');
        const entries = bySet.get(set & (SETS - 1)) ?? [];
        const isThere = entries.slice(0, WAYS).find((entry) => entry.key === key);
        const isForgotten = isThere === undefined || isThere.number < number - CAPACITY;
        const expected = isForgotten ? -1 : isThere.number;
        expect(pages.find(digest, 0)).toBe(expected);
        if (expected >= 0) continue;
        number += leftOut;
        pages.add(digest, 0, number);
        bySet.set(set & (SETS - 1), [{ key, number }, ...entries]);
        number += 1;
      }
    });
    fc.assert(property, { numRuns: 60 });
  });
});
