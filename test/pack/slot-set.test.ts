/** Sets of slots against a plain Set, and their bytes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIRST_DELTA_SLOT } from '../../src/bytes/slot.ts';
import { StoreError } from '../../src/errors.ts';
import { FIRST_DELTA_FRAME } from '../../src/pack/format.ts';
import { decodeSlotSet, encodeSlotSet, SlotSet } from '../../src/pack/slot-set.ts';

const place = fc.oneof(fc.nat(300), fc.nat(100_000), fc.constantFrom(0, 31, 32, 63, 64, 127));
const kind = fc.constantFrom(0, FIRST_DELTA_SLOT);
const word = fc.oneof(fc.constantFrom(0, 1, 0x80000000, 0xffffffff), fc.nat(0xffffffff));

/** One addition: of a run, or of the bits of a frame. */
const addition = fc.oneof(
  fc.record({ first: place, kind, count: fc.oneof(fc.nat(5), fc.nat(300)) }),
  fc.record({ frame: fc.nat(20), kind, low: word, high: word }),
);

type Addition = typeof addition extends fc.Arbitrary<infer T> ? T : never;

/** The set, and the same as a plain one. */
function setsOf(additions: readonly Addition[]): { set: SlotSet; plain: Set<number> } {
  const set = new SlotSet();
  const plain = new Set<number>();
  for (const each of additions) {
    if ('count' in each) {
      const first = each.kind + each.first;
      if (each.count === 1) set.add(first);
      else set.addRun(first, each.count);
      for (let i = 0; i < each.count; i++) plain.add(first + i);
    } else {
      const frame = each.frame + (each.kind === 0 ? 0 : FIRST_DELTA_FRAME);
      set.addFrame(frame, each.low, each.high);
      for (let bit = 0; bit < 64; bit++) {
        const bits = bit < 32 ? each.low : each.high;
        if (((bits >>> (bit & 31)) & 1) === 1) plain.add(frame * 64 + bit);
      }
    }
  }
  return { set, plain };
}

function expectSame(set: SlotSet, plain: ReadonlySet<number>): void {
  expect(set.size).toBe(plain.size);
  expect(set.isEmpty).toBe(plain.size === 0);
  const frames = new Set([...plain].map((slot) => Math.floor(slot / 64)));
  expect([...set.frames()]).toEqual([...frames].sort((a, b) => a - b));
  expect([...set.slots()]).toEqual([...plain].sort((a, b) => a - b));
  for (const frame of frames) {
    for (let bit = 0; bit < 64; bit++) {
      const bits = bit < 32 ? set.lowOf(frame) : set.highOf(frame);
      const expected = plain.has(frame * 64 + bit);
      expect(((bits >>> (bit & 31)) & 1) === 1).toBe(expected);
      expect(set.has(frame * 64 + bit)).toBe(expected);
    }
  }
}

describe('a set of slots', () => {
  it('has what was added to it, and its bytes give it back', () => {
    fc.assert(
      fc.property(fc.array(addition, { maxLength: 12 }), (additions) => {
        const { set, plain } = setsOf(additions);
        expectSame(set, plain);
        const bytes = encodeSlotSet(set);
        expect(bytes.length === 0).toBe(plain.size === 0);
        const decoded = decodeSlotSet(bytes, 'a file');
        expectSame(decoded, plain);
        expect(encodeSlotSet(decoded)).toEqual(bytes);
        // What is not in it, at its edges and far away.
        for (const slot of [5_000_000, FIRST_DELTA_SLOT + 5_000_000]) {
          expect(set.has(slot)).toBe(false);
          expect([set.lowOf(slot / 64), set.highOf(slot / 64)]).toEqual([0, 0]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('takes a byte or two for each frame that is in it whole', () => {
    const set = new SlotSet();
    set.addRun(0, 64 * 1000);
    expect(encodeSlotSet(set).length).toBeLessThan(1010);
  });

  it('has no bytes that are cut off, or that say more', () => {
    const { set } = setsOf([{ first: 3, kind: 0, count: 400 }]);
    const bytes = encodeSlotSet(set);
    for (let length = 1; length < bytes.length; length++) {
      expect(() => decodeSlotSet(bytes.subarray(0, length), 'a file')).toThrow(StoreError);
    }
    expect(() => decodeSlotSet(Uint8Array.of(...bytes, 0), 'a file')).toThrow(/a file/);
    expect(() => decodeSlotSet(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0), 'f')).toThrow(/empty/);
  });
});
