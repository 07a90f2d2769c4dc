/** Frame tables with gaps, as compaction will leave them, against the naive way to do the same. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  countBits,
  decodeFrameTable,
  encodeFrameTable,
  type FrameEntry,
  type FrameTable,
  lowBits,
  type ShortPage,
} from '../../src/pack/frame-table.ts';

const words = fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0, 1, 0x80000000, 0xffffffff));

/** Of full pages, of delta pages, and near the border between them. */
const frameNumbers = fc.oneof(
  fc.nat(20),
  fc.integer({ min: 2 ** 25 - 3, max: 2 ** 25 + 3 }),
  fc.nat(2 ** 26 - 1),
);

const frameEntries: fc.Arbitrary<FrameEntry[]> = fc
  .uniqueArray(
    fc.record({
      frame: frameNumbers,
      slotsLow: words,
      slotsHigh: words,
      offset: fc.maxSafeNat(),
      blockBytes: fc.nat(0xffffffff),
      digestsOffset: fc.maxSafeNat(),
    }),
    { selector: ({ frame }) => frame, minLength: 1, maxLength: 12 },
  )
  .map((entries) => entries.sort((a, b) => a.frame - b.frame));

/** The slots of a line, by looking at each bit. */
function slotsOf({ frame, slotsLow, slotsHigh }: FrameEntry): number[] {
  const bits = (BigInt(slotsHigh) << 32n) | BigInt(slotsLow);
  return Array.from({ length: 64 }, (_, i) => i)
    .filter((i) => ((bits >> BigInt(i)) & 1n) === 1n)
    .map((i) => frame * 64 + i);
}

function tableOf(
  entries: readonly FrameEntry[],
  shortPages: readonly ShortPage[] = [],
): FrameTable {
  return decodeFrameTable(encodeFrameTable(entries, shortPages), 'a.pack', 1000);
}

describe('countBits and lowBits', () => {
  it('agree with text in base 2', () => {
    fc.assert(
      fc.property(words, (word) => {
        const ones = word.toString(2).replaceAll('0', '').length;
        expect(countBits(word)).toBe(ones);
        // The same bits as a signed number, as the operators of JavaScript leave them.
        expect(countBits(word | 0)).toBe(ones);
      }),
    );
    for (let count = 0; count < 32; count++) {
      expect((lowBits(count) >>> 0).toString(2)).toBe('1'.repeat(count) || '0');
    }
  });
});

describe('a frame table', () => {
  it('is decoded to what was encoded', () => {
    const shortPages = fc.array(
      fc.record({ slot: fc.nat(0xffffffff), bytes: fc.integer({ min: 1, max: 4095 }) }),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(frameEntries, shortPages, (entries, shorts) => {
        const table = tableOf(entries, shorts);
        expect(table.length).toBe(entries.length);
        expect(entries.map((_, i) => table.entryAt(i))).toEqual(entries);
        const lengths = new Map(shorts.map(({ slot, bytes }) => [slot, bytes]));
        for (const [slot, bytes] of lengths) expect(table.pageBytes(slot)).toBe(bytes);
        expect(table.pageBytes(2 ** 33)).toBe(4096);
      }),
    );
  });

  it('finds every slot it holds, its rank and its neighbours, and no other slot', () => {
    fc.assert(
      fc.property(frameEntries, (entries) => {
        const table = tableOf(entries);
        entries.forEach((entry, index) => {
          const slots = slotsOf(entry);
          expect(table.slotsAt(index)).toEqual(slots);
          expect(table.pagesAt(index)).toBe(slots.length);
          expect(table.isDelta(index)).toBe(entry.frame >= 2 ** 25);
          const first = entry.frame * 64;
          for (let slot = first; slot < first + 64; slot++) {
            const rank = slots.indexOf(slot);
            expect(table.indexOf(slot)).toBe(rank < 0 ? -1 : index);
            if (rank >= 0) expect(table.rankOf(index, slot)).toBe(rank);
          }
        });
        const frames = new Set(entries.map(({ frame }) => frame));
        for (const { frame } of entries) {
          if (!frames.has(frame + 1)) expect(table.indexOf((frame + 1) * 64)).toBe(-1);
          if (!frames.has(frame - 1)) expect(table.indexOf(frame * 64 - 1)).toBe(-1);
        }
      }),
    );
  });

  it('counts the slots that follow each other in a frame, up to a limit', () => {
    fc.assert(
      fc.property(frameEntries, fc.integer({ min: 1, max: 70 }), (entries, limit) => {
        const table = tableOf(entries);
        entries.forEach((entry, index) => {
          const slots = slotsOf(entry);
          for (const slot of slots) {
            let count = 0;
            while (count < limit && slots.includes(slot + count)) count += 1;
            expect(table.consecutive(index, slot, limit)).toBe(count);
          }
        });
      }),
    );
  });

  it('may be empty', () => {
    expect([tableOf([]).length, tableOf([]).indexOf(0)]).toEqual([0, -1]);
  });
});

describe('decodeFrameTable', () => {
  const line = { slotsLow: 1, slotsHigh: 0, offset: 16, blockBytes: 30, digestsOffset: 46 };
  const good = encodeFrameTable([{ frame: 0, ...line }], [{ slot: 0, bytes: 5 }]);
  const decode = (bytes: Uint8Array) => decodeFrameTable(bytes, 'a.pack', 1000);
  const changed = (offset: number, byte: number) => {
    const bytes = Uint8Array.from(good);
    bytes[offset] = byte;
    return bytes;
  };

  it('refuses every other length than the counts ask for', () => {
    for (let length = 0; length < good.length; length++) {
      expect(() => decode(good.subarray(0, length)), `${length}`).toThrow(
        expect.objectContaining({ code: 'CORRUPT', file: 'a.pack' }),
      );
    }
    expect(() => decode(Uint8Array.from([...good, 0]))).toThrow(/wrong size/);
  });

  it.each([
    ['a count that is absurd', 3, 0xff, /wrong size/],
    ['a short count that is absurd', 7, 0xff, /wrong size/],
    ['reserved bytes that are used', 8 + 28, 1, /reserved bytes are not zero/],
    ['an offset beyond 2^53', 8 + 16 + 7, 1, /too large/],
    ['a short page of 0 bytes', 48 + 4, 0, /short page of 0 bytes/],
    ['a short page of a whole page', 48 + 5, 0x10, /short page of 4101 bytes/],
  ])('refuses %s', (_, offset, byte, message) => {
    expect(() => decode(changed(offset, byte))).toThrow(message);
  });

  it('refuses frames out of order, and twice the same', () => {
    for (const [first, second] of [
      [1, 0],
      [1, 1],
    ]) {
      const entries = [first, second].map((frame) => ({ frame: frame as number, ...line }));
      expect(() => decode(encodeFrameTable(entries, []))).toThrow(/frames out of order/);
    }
  });

  it('refuses more frames than a table lists', () => {
    const entries = Array.from({ length: 4097 }, (_, frame) => ({ frame, ...line }));
    expect(() => decode(encodeFrameTable(entries, []))).toThrow(/wrong size/);
    expect(decode(encodeFrameTable(entries.slice(1), [])).length).toBe(4096);
  });

  it('says that a kind of frame of a newer version is not supported', () => {
    expect(() => decode(changed(8 + 4, 2))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_VERSION', file: 'a.pack' }),
    );
  });

  it('refuses a kind that does not go with the number of the frame', () => {
    const kinds = [
      [0, 2],
      [0, 3],
      [2 ** 25 - 1, 2],
      [2 ** 25, 1],
      [2 ** 25, 0],
    ] as const;
    for (const [frame, kind] of kinds) {
      const bytes = encodeFrameTable([{ frame, ...line }], []);
      const right = bytes[8 + 4];
      bytes[8 + 4] = kind;
      expect(() => decode(bytes)).toThrow(new RegExp(`frame of unknown kind ${kind}`));
      bytes[8 + 4] = right as number;
      expect(decode(bytes).isDelta(0)).toBe(right === 2);
    }
  });
});
