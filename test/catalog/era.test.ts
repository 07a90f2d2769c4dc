/** Eras of generations: a repair begins one, whatever the clock and what is known say. */
import { expect, it } from 'vitest';
import { eraOf, nextEra } from '../../src/catalog/era.ts';

const NOW_MS = 1_800_000_000_000;

it('begins an era above that of all that is known, by any clock', () => {
  const first = nextEra(12, NOW_MS);
  expect(first).toBe(1_800_000_000 * 2 ** 20);
  const second = nextEra(first + 5, NOW_MS - 3_600_000);
  expect(eraOf(second)).toBe(eraOf(first) + 1);
  expect(nextEra(0, 0)).toBe(2 ** 20);
});

it('counts on within an era, from 0 in a store that was never repaired', () => {
  expect([0, 12, 2 ** 20 - 1].map(eraOf)).toEqual([0, 0, 0]);
  const first = nextEra(0, NOW_MS);
  expect(eraOf(first + 1000)).toBe(eraOf(first));
  expect(Number.isSafeInteger(nextEra(0, NOW_MS * 4))).toBe(true);
});

it('leaves room for later generations, though the clock is centuries ahead', () => {
  for (const year of [2242, 2300, 9999]) {
    const generation = nextEra(12, Date.UTC(year, 11, 31));
    expect(generation).toBe(2 ** 20);
    expect(Number.isSafeInteger(nextEra(generation, NOW_MS) + 2 ** 20)).toBe(true);
  }
});
