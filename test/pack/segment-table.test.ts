/** The table of segments against a Map: gaps, collisions, growth, and two views of one memory. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SegmentTable } from '../../src/pack/segment-table.ts';

/** A segment as the catalog knows it. */
interface Row {
  readonly number: number;
  readonly identity: Uint8Array;
  readonly packName: string;
  readonly local: number;
}

/** An identity; those of one `place` begin with the same four bytes, and so collide. */
function identityFrom(place: number, number: number): Uint8Array {
  const identity = new Uint8Array(16);
  const view = new DataView(identity.buffer);
  view.setUint32(0, place);
  view.setUint32(12, number);
  return identity;
}

function rowOf(number: number, place: number): Row {
  const packName = (number * 7919).toString(16).padStart(64, 'a');
  return { number, identity: identityFrom(place, number), packName, local: number % 5 };
}

function add(table: SegmentTable, { number, identity, packName, local }: Row): void {
  table.add(number, identity, packName, local);
}

/** Rows as the catalog gives them. */
function rowBytes(rows: readonly Row[]): Buffer {
  return Buffer.concat(
    rows.map(({ number, identity, packName, local }) => {
      const numbers = Buffer.alloc(8);
      numbers.writeUInt32BE(local);
      numbers.writeUInt32BE(number, 4);
      return Buffer.concat([identity, Buffer.from(packName, 'hex'), numbers]);
    }),
  );
}

function expectHolds(table: SegmentTable, rows: readonly Row[]): void {
  for (const { number, identity, packName, local } of rows) {
    expect(table.find(identity)).toBe(number);
    expect(table.has(number)).toBe(true);
    expect(Uint8Array.from(table.identity(number))).toEqual(identity);
    expect([table.packName(number), table.local(number)]).toEqual([packName, local]);
  }
}

describe('SegmentTable', () => {
  const places = fc.oneof(fc.nat(2), fc.nat(2 ** 32 - 1), fc.constant(2 ** 32 - 1));
  const lists = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 4 }), places), { maxLength: 150, size: 'max' })
    .map((steps) => {
      let number = 0;
      return steps.map(([gap, place]) => rowOf((number += gap), place));
    });

  it('finds every segment by its identity and by its number, and no other', () => {
    fc.assert(
      fc.property(lists, places, (rows, place) => {
        const table = new SegmentTable();
        for (const row of rows) add(table, row);
        expectHolds(table, rows);
        const numbers = new Set(rows.map(({ number }) => number));
        const last = rows.at(-1)?.number ?? 0;
        for (let number = -1; number < last + 100; number++) {
          expect(table.has(number)).toBe(numbers.has(number));
        }
        expect(table.find(identityFrom(place, 2 ** 31))).toBe(0);
        expect(table.find(new Uint8Array(16))).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('grows far beyond its first size, with places that all collide', () => {
    const table = new SegmentTable();
    const first = table.buffer;
    const rows = Array.from({ length: 1000 }, (_, i) => rowOf(i + 1, 0xffffffff));
    for (const row of rows) add(table, row);
    expect(table.buffer).not.toBe(first);
    expectHolds(table, rows);
  });

  it('grows at once for a number far ahead', () => {
    const table = new SegmentTable();
    const rows = [rowOf(1, 5), rowOf(5000, 5)];
    for (const row of rows) add(table, row);
    expectHolds(table, rows);
    expect([table.has(2), table.has(4999), table.has(5001)]).toEqual([false, false, false]);
  });

  it('takes rows at once as it takes them one by one', () => {
    fc.assert(
      fc.property(lists, fc.nat(150), (rows, split) => {
        const [one, all] = [new SegmentTable(), new SegmentTable()];
        for (const row of rows) add(one, row);
        for (const part of [rows.slice(0, split), rows.slice(split)]) all.addRows(rowBytes(part));
        expectHolds(all, rows);
        expect(Buffer.from(all.buffer).equals(Buffer.from(one.buffer))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('finds many at once, but for those that are known already', () => {
    const table = new SegmentTable();
    const rows = [rowOf(1, 5), rowOf(3, 5), rowOf(4, 9)];
    table.addRows(rowBytes(rows));
    const identities = [...rows, rowOf(7, 5), rowOf(4, 9)].flatMap(({ identity }) => [...identity]);
    const numbers = Int32Array.of(0, 0, 0, 0, 77);
    // Somewhere in other bytes: words must be aligned, and these need not be.
    table.findAll(Uint8Array.of(9, ...identities).subarray(1), numbers);
    expect([...numbers]).toEqual([1, 3, 4, 0, 77]);
    table.drop(3);
    expect([table.find(identityFrom(5, 3)), table.has(3)]).toEqual([0, false]);
    table.addRows(rowBytes([rowOf(3, 5)]));
    expectHolds(table, rows);
  });

  it('takes a segment twice as once', () => {
    const table = new SegmentTable();
    for (const row of [rowOf(1, 5), rowOf(2, 5), rowOf(1, 5)]) add(table, row);
    expectHolds(table, [rowOf(1, 5), rowOf(2, 5)]);
  });

  it('shows another thread what is added, as long as it does not grow', () => {
    const table = new SegmentTable();
    const reader = new SegmentTable(table.buffer);
    add(table, rowOf(1, 9));
    expectHolds(reader, [rowOf(1, 9)]);
    add(table, rowOf(60, 9));
    expectHolds(reader, [rowOf(60, 9)]);
    add(table, rowOf(64, 9));
    expect(table.buffer).not.toBe(reader.buffer);
    // The old memory stays as it is; the new one is handed on with the next task.
    expectHolds(reader, [rowOf(1, 9), rowOf(60, 9)]);
    expect([reader.find(identityFrom(9, 64)), reader.has(64)]).toEqual([0, false]);
    expectHolds(new SegmentTable(table.buffer), [rowOf(1, 9), rowOf(60, 9), rowOf(64, 9)]);
  });
});
