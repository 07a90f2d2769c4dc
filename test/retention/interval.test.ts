/** Intervals: what their text means, what is none, and going back by one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseInterval, timeBefore } from '../../src/retention/interval.ts';

const DAY_MS = 86_400_000;

/** The time that is an interval before another, as text. */
function before(time: string, interval: string): string {
  const startMs = timeBefore(Date.parse(time), parseInterval('x', interval));
  return new Date(startMs).toISOString().replace('.000Z', 'Z');
}

describe('an interval', () => {
  test.each([
    ['90s', { months: 0, milliseconds: 90_000 }],
    ['15m', { months: 0, milliseconds: 15 * 60_000 }],
    ['36h', { months: 0, milliseconds: 1.5 * DAY_MS }],
    ['7d', { months: 0, milliseconds: 7 * DAY_MS }],
    ['4w', { months: 0, milliseconds: 28 * DAY_MS }],
    ['6mo', { months: 6, milliseconds: 0 }],
    ['1y', { months: 12, milliseconds: 0 }],
    ['1y5mo7d2h', { months: 17, milliseconds: 7 * DAY_MS + 2 * 3_600_000 }],
    ['1mo1m', { months: 1, milliseconds: 60_000 }],
    ['0y1s', { months: 0, milliseconds: 1000 }],
    ['007d', { months: 0, milliseconds: 7 * DAY_MS }],
    ['999999999y', { months: 11_999_999_988, milliseconds: 0 }],
  ])('%s is read', (text, expected) => {
    expect(parseInterval('keepWithin', text)).toEqual(expected);
  });

  test.each([
    ['', 'nothing'],
    ['7', 'no unit'],
    ['d', 'no number'],
    ['0d', 'no time'],
    ['0y0s', 'no time in two units'],
    ['-1d', 'a sign'],
    ['1.5d', 'a fraction'],
    ['1e3s', 'an exponent'],
    ['1d1y', 'units from small to large'],
    ['1d1d', 'a unit twice'],
    ['1M', 'a unit that there is not'],
    ['1 d', 'a space'],
    [' 1d', 'a space in front'],
    ['1d\n', 'a line break'],
    ['1D', 'a capital'],
    ['1234567890s', 'too many digits'],
    ['١d', 'digits of another script'],
  ])('%j is none: %s', (text) => {
    const read = () => parseInterval('keepDaily', text);
    expect(read).toThrow(RangeError);
    expect(read).toThrow(/^keepDaily is '/);
  });

  test.each([
    ['2026-11-21T10:05:07.123Z', '90s', '2026-11-21T10:03:37.123Z'],
    ['2026-11-21T00:00:00Z', '1s', '2026-11-20T23:59:59Z'],
    ['2026-03-31T12:00:00Z', '1mo', '2026-02-28T12:00:00Z'],
    ['2024-03-31T12:00:00Z', '1mo', '2024-02-29T12:00:00Z'],
    ['2024-02-29T12:00:00Z', '1y', '2023-02-28T12:00:00Z'],
    ['2024-02-29T12:00:00Z', '4y', '2020-02-29T12:00:00Z'],
    ['2024-02-29T12:00:00Z', '124y', '1900-02-28T12:00:00Z'],
    ['2026-01-15T00:00:00Z', '1mo', '2025-12-15T00:00:00Z'],
    ['2026-11-21T00:00:00Z', '23mo', '2024-12-21T00:00:00Z'],
    ['2026-03-31T00:00:00Z', '1mo1d', '2026-02-27T00:00:00Z'],
    ['2026-11-21T10:00:00Z', '1y5mo7d2h', '2025-06-14T08:00:00Z'],
    ['2026-11-21T00:00:00Z', '1927y', '0099-11-21T00:00:00Z'],
    ['1970-01-01T00:00:00Z', '1mo', '1969-12-01T00:00:00Z'],
    ['0001-01-31T00:00:00Z', '11mo', '0000-02-29T00:00:00Z'],
    ['-000003-03-31T00:00:00Z', '1mo', '-000003-02-28T00:00:00Z'],
  ])('before %s, %s ago was %s', (end, interval, start) => {
    expect(before(end, interval)).toBe(start);
  });

  test('may reach beyond all times', () => {
    for (const endMs of [-8.64e15, 0, 8.64e15]) {
      expect(timeBefore(endMs, parseInterval('x', '999999999y'))).toBe(-Infinity);
      expect(timeBefore(endMs, parseInterval('x', '999999999w'))).toBeLessThan(endMs);
    }
    expect(timeBefore(8.64e15, parseInterval('x', '1mo'))).toBe(
      Date.parse('+275760-08-13T00:00:00Z'),
    );
  });

  test('reaches further back the longer it is, from any time', () => {
    const units = fc.constantFrom('y', 'mo', 'w', 'd', 'h', 'm', 's');
    const times = fc.integer({ min: -8e15, max: 8e15 });
    fc.assert(
      fc.property(times, units, fc.integer({ min: 1, max: 500 }), (endMs, unit, number) => {
        const shorter = timeBefore(endMs, parseInterval('x', `${number}${unit}`));
        const longer = timeBefore(endMs, parseInterval('x', `${number + 1}${unit}`));
        expect(shorter).toBeLessThan(endMs);
        expect(longer).toBeLessThan(shorter);
      }),
    );
  });
});
