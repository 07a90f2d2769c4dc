/** Buckets of time: their names, where they begin and end, and that numbers say the same. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BUCKET_RULES, bucketName, bucketNumber } from '../../src/retention/buckets.ts';

describe('a bucket', () => {
  test('has the name of its time in ISO 8601', () => {
    const timeMs = Date.parse('2026-11-21T10:05:07.123Z');
    expect(BUCKET_RULES.map((rule) => bucketName(rule, timeMs))).toEqual([
      '2026-11-21T10:05:07',
      '2026-11-21T10:05',
      '2026-11-21T10',
      '2026-11-21',
      '2026-W47',
      '2026-11',
      '2026',
    ]);
  });

  test.each([
    ['secondly', '2026-11-21T10:05:06.999Z', '2026-11-21T10:05:07Z'],
    ['minutely', '2026-11-21T10:04:59.999Z', '2026-11-21T10:05:00Z'],
    ['hourly', '2026-11-21T09:59:59.999Z', '2026-11-21T10:00:00Z'],
    ['daily', '2026-11-20T23:59:59.999Z', '2026-11-21T00:00:00Z'],
    ['daily', '1969-12-31T23:59:59.999Z', '1970-01-01T00:00:00Z'],
    ['daily', '2024-02-28T23:59:59.999Z', '2024-02-29T00:00:00Z'],
    ['daily', '2024-02-29T23:59:59.999Z', '2024-03-01T00:00:00Z'],
    ['weekly', '2026-11-22T23:59:59.999Z', '2026-11-23T00:00:00Z'],
    ['weekly', '1969-12-28T23:59:59.999Z', '1969-12-29T00:00:00Z'],
    ['monthly', '2024-02-29T23:59:59.999Z', '2024-03-01T00:00:00Z'],
    ['monthly', '1969-12-31T23:59:59.999Z', '1970-01-01T00:00:00Z'],
    ['yearly', '2026-12-31T23:59:59.999Z', '2027-01-01T00:00:00Z'],
  ] as const)('(%s) ends at %s, and the next begins at %s', (rule, last, first) => {
    const [lastMs, firstMs] = [Date.parse(last), Date.parse(first)];
    expect(bucketNumber(rule, firstMs)).toBe(bucketNumber(rule, lastMs) + 1);
    expect(bucketName(rule, firstMs)).not.toBe(bucketName(rule, lastMs));
    expect(bucketName(rule, firstMs + 999)).toBe(bucketName(rule, firstMs));
  });

  // Around new year, where the year of the week and that of the day differ.
  test.each([
    ['2020-12-31', '2020-W53'],
    ['2021-01-01', '2020-W53'],
    ['2021-01-03', '2020-W53'],
    ['2021-01-04', '2021-W01'],
    ['2024-12-29', '2024-W52'],
    ['2024-12-30', '2025-W01'],
    ['2025-12-28', '2025-W52'],
    ['2025-12-29', '2026-W01'],
    ['2026-12-31', '2026-W53'],
    ['2027-01-03', '2026-W53'],
    ['2027-01-04', '2027-W01'],
    ['1970-01-01', '1970-W01'],
    ['1969-12-28', '1969-W52'],
    ['2000-02-29', '2000-W09'],
    ['2023-01-01', '2022-W52'],
  ])('of %s is the week %s', (day, week) => {
    expect(bucketName('weekly', Date.parse(day))).toBe(week);
  });

  test('is there for every time that a Date can hold', () => {
    const names = (timeMs: number) => BUCKET_RULES.map((rule) => bucketName(rule, timeMs));
    expect(names(8.64e15)).toEqual([
      '+275760-09-13T00:00:00',
      '+275760-09-13T00:00',
      '+275760-09-13T00',
      '+275760-09-13',
      '+275760-W37',
      '+275760-09',
      '+275760',
    ]);
    expect(names(-8.64e15).slice(3)).toEqual([
      '-271821-04-20',
      '-271821-W16',
      '-271821-04',
      '-271821',
    ]);
  });

  test('has a number of its own, which grows with time', () => {
    const times = fc.oneof(
      fc.integer({ min: -8.64e15, max: 8.64e15 }),
      fc.integer({ min: -1e12, max: 3e12 }),
    );
    const steps = fc.constantFrom(1, 999, 60_000, 3_600_000, 86_400_000, 6 * 86_400_000, 3e9, 4e10);
    fc.assert(
      fc.property(times, steps, (timeMs, step) => {
        const otherMs = Math.max(timeMs - step, -8.64e15);
        for (const rule of BUCKET_RULES) {
          const isSameName = bucketName(rule, timeMs) === bucketName(rule, otherMs);
          const difference = bucketNumber(rule, timeMs) - bucketNumber(rule, otherMs);
          expect(difference === 0).toBe(isSameName);
          expect(difference).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
