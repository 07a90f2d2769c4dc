/** The filter of a run: it never denies what is there, and rarely claims what is not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../src/bytes/checksum.ts';
import {
  type Filter,
  filterKey,
  filterLinesFor,
  FilterWriter,
  mayHold,
  newFilter,
} from '../../src/index/filter.ts';

type Hashed = readonly [prefix: number, rest: number];

/** The filter of these entries, as it is read back. */
function filterOf(entries: readonly Hashed[], lines = filterLinesFor(entries.length)): Filter {
  const bytes = Buffer.alloc(lines * 64, 0xff);
  const offsets: number[] = [];
  const writer = new FilterWriter(lines, (part, offset) => {
    offsets.push(offset);
    bytes.set(part, offset);
  });
  for (const [prefix, rest] of entries.toSorted((a, b) => a[0] - b[0])) writer.add(prefix, rest);
  expect(writer.finish()).toBe(crc32(bytes));
  expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
  return newFilter(Uint32Array.from({ length: lines * 16 }, (_, i) => bytes.readUInt32LE(i * 4)));
}

const holds = (filter: Filter, [prefix, rest]: Hashed) =>
  mayHold(filter, prefix, filterKey(prefix, rest));

function randomEntries(count: number, seed: number): Hashed[] {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) ^ (state >>> 3)) >>> 0;
  };
  return Array.from({ length: count }, () => [next(), next() & 0xffff]);
}

describe('a filter', () => {
  it('never denies an entry that it has', () => {
    const entry = fc.tuple(
      fc.oneof(fc.nat(0xffffffff), fc.nat(3), fc.constant(0xffffffff)),
      fc.nat(0xffff),
    );
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 200 }), fc.nat(3), (entries, more) => {
        const filter = filterOf(entries, filterLinesFor(entries.length) + more * 700);
        for (const each of entries) expect(holds(filter, each)).toBe(true);
      }),
    );
  });

  it('claims less than 1 % of what it does not have', () => {
    const entries = randomEntries(200_000, 1);
    const filter = filterOf(entries);
    expect(entries.every((entry) => holds(filter, entry))).toBe(true);
    const strangers = randomEntries(200_000, 99);
    const claimed = strangers.filter((entry) => holds(filter, entry)).length;
    expect(claimed / strangers.length).toBeLessThan(0.01);
    // The entries share many prefixes with these: the rest of the digest counts too.
    const others = entries.map(([prefix, rest]): Hashed => [prefix, rest ^ 0x155]);
    expect(others.filter((entry) => holds(filter, entry)).length / others.length).toBeLessThan(
      0.02,
    );
  });

  it('is 64 bytes for 42 entries, and nothing for none', () => {
    expect([0, 1, 42, 43, 4200].map(filterLinesFor)).toEqual([0, 1, 1, 2, 100]);
  });

  it('sets three bits in each half of the line of a prefix', () => {
    const { words } = filterOf([[0x80000000, 0x1234]], 4);
    const bits = [...words].map((word) => word.toString(2).replaceAll('0', '').length);
    expect(bits.slice(0, 32).concat(bits.slice(48))).toEqual(Array(48).fill(0));
    for (const half of [bits.slice(32, 40), bits.slice(40, 48)]) {
      expect(half.filter((count) => count > 0)).toHaveLength(1);
      expect(Math.max(...half)).toBeLessThanOrEqual(3);
    }
    // As the format says, computed apart: key 0x12340000, its two products.
    const key = 0x12340000n;
    const [a, b] = [0x47b6137bn, 0x9efc4947n].map((salt) => (key * salt) & 0xffffffffn) as [
      bigint,
      bigint,
    ];
    const bitsOf = (h: bigint) =>
      [24n, 19n, 14n].reduce((word, shift) => word | (1n << ((h >> shift) & 31n)), 0n);
    expect(BigInt(words[32 + Number(a >> 29n)]!)).toBe(bitsOf(a));
    expect(BigInt(words[40 + Number(b >> 29n)]!)).toBe(bitsOf(b));
  });
});
