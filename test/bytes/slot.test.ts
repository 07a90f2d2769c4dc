/** Slots: two series for each segment, and where each of them goes on. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  areInSeries,
  FIRST_DELTA_SLOT,
  MAX_SLOTS,
  segmentOf,
  SlotSeries,
} from '../../src/bytes/slot.ts';

const slots = fc.oneof(
  fc.nat(100),
  fc.integer({ min: FIRST_DELTA_SLOT - 5, max: FIRST_DELTA_SLOT + 5 }),
  fc.integer({ min: MAX_SLOTS - 5, max: MAX_SLOTS - 1 }),
  fc.nat(MAX_SLOTS - 1),
);
const segments = fc.oneof(fc.nat(5), fc.nat(2 ** 31));

describe('a series', () => {
  it('belongs to one segment, and to one kind of pages', () => {
    const series = new SlotSeries();
    fc.assert(
      fc.property(segments, slots, (segment, slot) => {
        const number = series.seriesOf(segment, slot);
        expect(segmentOf(number)).toBe(segment);
        expect(number % 2).toBe(slot < FIRST_DELTA_SLOT ? 0 : 1);
        expect(areInSeries(number, slot, 1)).toBe(true);
        expect(areInSeries(number % 2 === 0 ? number + 1 : number - 1, slot, 1)).toBe(false);
      }),
    );
  });

  it('ends with its last slot', () => {
    expect(areInSeries(0, FIRST_DELTA_SLOT - 2, 2)).toBe(true);
    expect(areInSeries(0, FIRST_DELTA_SLOT - 2, 3)).toBe(false);
    expect(areInSeries(7, MAX_SLOTS - 2, 2)).toBe(true);
    expect(areInSeries(7, MAX_SLOTS - 2, 3)).toBe(false);
    expect([areInSeries(0, -1, 1), areInSeries(1, -1, 1)]).toEqual([false, false]);
  });
});

describe('SlotSeries', () => {
  it('expects each series where it was followed to last, and at first where it begins', () => {
    const steps = fc.array(fc.tuple(fc.nat(3), slots), { maxLength: 30 });
    fc.assert(
      fc.property(steps, (list) => {
        const series = new SlotSeries();
        const expected = new Map<string, number>();
        for (const [segment, slot] of list) {
          const isDelta = slot >= FIRST_DELTA_SLOT;
          const key = `${segment} ${isDelta}`;
          const number = series.seriesOf(segment, slot);
          const first = isDelta ? FIRST_DELTA_SLOT : 0;
          expect(series.expected(number)).toBe(expected.get(key) ?? first);
          series.follow(number, slot + 1);
          expected.set(key, slot + 1);
        }
      }),
    );
  });

  it('starts again when it is cleared', () => {
    const series = new SlotSeries();
    series.follow(2, 9);
    series.follow(3, FIRST_DELTA_SLOT + 9);
    series.clear();
    expect([series.expected(2), series.expected(3)]).toEqual([0, FIRST_DELTA_SLOT]);
  });
});
