/** What is known of lost slots. */
import { describe, expect, test } from 'vitest';
import { FIRST_DELTA_SLOT } from '../../src/bytes/slot.ts';
import { LostSlots } from '../../src/store/repair-lost-slots.ts';
import type { SlotNumber } from '../../src/store/slot-finder.ts';

const slotOf = (segment: number, slot: number): SlotNumber => ({ segment, slot });

describe('slots that no table lists', () => {
  test('come once each, ascending, by their segments', () => {
    const lost = new LostSlots();
    for (const slot of [70, FIRST_DELTA_SLOT + 3, 5, 70])
      lost.need(slotOf(1, slot), slotOf(1, slot));
    lost.need(slotOf(1, 6), slotOf(2, 9));
    lost.need(slotOf(3, 8), slotOf(3, 8));
    expect(lost.unlisted(1)).toEqual([5, 6, 70, FIRST_DELTA_SLOT + 3]);
    expect([lost.unlisted(2), lost.unlisted(3)]).toEqual([[], [8]]);
  });

  test('are needed no more when all that stands on them is found by itself', () => {
    const lost = new LostSlots();
    const standing = [slotOf(2, 1), slotOf(2, 2), slotOf(3, 1)];
    lost.need(slotOf(1, 6), slotOf(2, 1));
    lost.need(slotOf(1, 6), slotOf(3, 1));
    lost.need(slotOf(1, 7), slotOf(2, 2));
    lost.need(slotOf(1, 8), slotOf(1, 8));
    const without = (lostStill: SlotNumber[]) => (one: SlotNumber) =>
      !lostStill.some(({ segment, slot }) => segment === one.segment && slot === one.slot);
    expect(lost.unlisted(1, without(standing))).toEqual([6, 7, 8]);
    expect(lost.unlisted(1, without([slotOf(3, 1)]))).toEqual([6, 8]);
    expect(lost.unlisted(1, without([slotOf(2, 2)]))).toEqual([7, 8]);
    // A recipe has it: that its page is found makes it no less needed.
    expect(lost.unlisted(1, () => true)).toEqual([8]);
  });

  test('take some bytes each, though there are a million of them', () => {
    const lost = new LostSlots();
    const gone = lost.numberOf(new Uint8Array(16));
    const before = process.memoryUsage().heapUsed;
    for (let slot = 0; slot < 500_000; slot++) {
      lost.need(slotOf(gone, slot), slotOf(gone, slot));
      lost.need(slotOf(gone, slot), slotOf(2, FIRST_DELTA_SLOT + slot));
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 2 ** 20);
    expect(lost.unlisted(gone)).toHaveLength(500_000);
  });
});
