/** The order of entries: by digest, segment and slot, in bounded slices. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grownEntries, newEntries, sortEntries, SLICE_ENTRIES } from '../../src/index/entries.ts';
import { finishWork } from '../support/made-runs.ts';

type Line = readonly [prefix: number, rest: number, segment: number, slot: number];

function columns(lines: readonly Line[]) {
  const entries = newEntries(lines.length + 3);
  lines.forEach(([prefix, rest, segment, slot], i) => {
    entries.prefix[i] = prefix;
    entries.rest[i] = rest;
    entries.segment[i] = segment;
    entries.slot[i] = slot;
  });
  return entries;
}

const compareLines = (a: Line, b: Line) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3];

describe('sortEntries', () => {
  it('orders by prefix, rest, segment and slot', () => {
    const line = fc.tuple(
      fc.oneof(fc.nat(2), fc.nat(0xffffffff), fc.constantFrom(0x7ff, 0x800, 0x3fffff, 0xffffffff)),
      fc.oneof(fc.nat(2), fc.constant(0xffff)),
      fc.oneof(fc.nat(2), fc.constant(0xffff)),
      fc.oneof(fc.nat(2), fc.constant(0xffffffff)),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 300 }), (lines) => {
        const order = finishWork(sortEntries(columns(lines), lines.length));
        expect([...order].map((i) => lines[i])).toEqual(lines.toSorted(compareLines));
      }),
    );
  });

  it('yields at least once a slice, and orders across the edges of slices', () => {
    const count = SLICE_ENTRIES * 3 + 5;
    const lines = Array.from({ length: count }, (_, i): Line => {
      // Every prefix twice, far apart, the greater rest first.
      const half = i % Math.ceil(count / 2);
      return [Math.imul(half, 0x9e3779b1) >>> 0, i < count / 2 ? 1 : 0, 0, i];
    });
    const work = sortEntries(columns(lines), count);
    let yields = 0;
    let step = work.next();
    for (; step.done !== true; step = work.next()) yields += 1;
    expect(yields).toBe(4 * 7);
    const sorted = [...step.value].map((i) => lines[i]!);
    expect(sorted).toEqual(lines.toSorted(compareLines));
  });

  it('leaves alone what is behind the count', () => {
    const entries = grownEntries(
      columns([
        [3, 0, 0, 0],
        [1, 0, 0, 1],
        [2, 0, 0, 2],
      ]),
      50,
    );
    expect([...finishWork(sortEntries(entries, 2))]).toEqual([1, 0]);
    expect([...finishWork(sortEntries(entries, 0))]).toEqual([]);
  });
});
