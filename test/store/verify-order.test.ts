/** The order in which a verification reads packs and snapshots. */
import { describe, expect, test } from 'vitest';
import type { PackRow, SnapshotRow } from '../../src/catalog/rows.ts';
import { packsInOrder, snapshotsInOrder } from '../../src/store/verify-order.ts';

const packs: readonly PackRow[] = [1, 2, 3].map((number) => {
  return { number, name: `pack ${number}`, sizeBytes: 1 };
});
const snapshots = [1, 2, 3].map((number) => {
  return { number, id: `snapshot ${number}`, condemned: false } as SnapshotRow;
});
const numbers = (rows: readonly { readonly number: number }[]) => rows.map(({ number }) => number);
const nothing = new Map<string, number>();
const isWhole = () => false;
const timesOf = (verified: ReadonlyMap<string, number>, damaged = nothing) => {
  return { verified, damaged };
};

describe('packs', () => {
  test('that nobody has read come first, the oldest of them before the others', () => {
    const { rows, sinceMs } = packsInOrder(packs, timesOf(new Map([['pack 1', 5]])), isWhole);
    expect([numbers(rows), sinceMs]).toEqual([[2, 3, 1], 0]);
  });

  test('that were found damaged wait since then, as those that were found right', () => {
    const times = timesOf(new Map([['pack 2', 5]]), new Map([['pack 1', 7]]));
    expect(numbers(packsInOrder(packs, times, isWhole).rows)).toEqual([3, 2, 1]);
    const all = timesOf(
      new Map([['pack 2', 5]]),
      new Map([
        ['pack 1', 7],
        ['pack 3', 4],
      ]),
    );
    expect(packsInOrder(packs, all, isWhole).sinceMs).toBe(4);
  });

  test('that are known to be damaged come last, and wait for nothing', () => {
    const isDamaged = ({ number }: PackRow) => number !== 2;
    const { rows, sinceMs } = packsInOrder(packs, timesOf(new Map([['pack 2', 9]])), isDamaged);
    expect([numbers(rows), sinceMs]).toEqual([[2, 1, 3], 9]);
    expect(packsInOrder(packs, timesOf(nothing), () => true).sinceMs).toBe(Infinity);
    expect(packsInOrder([], timesOf(nothing), isWhole)).toEqual({ rows: [], sinceMs: Infinity });
  });
});

describe('snapshots', () => {
  test('come by how long they have waited, the newest first where none was read', () => {
    expect(numbers(snapshotsInOrder(snapshots, nothing).rows)).toEqual([3, 2, 1]);
    const times = new Map(snapshots.map(({ id, number }) => [id, number === 2 ? 4 : 7]));
    const { rows, sinceMs } = snapshotsInOrder(snapshots, times);
    expect([numbers(rows), sinceMs]).toEqual([[2, 3, 1], 4]);
  });

  test('that are condemned come last: they are read with those that need them', () => {
    const rows = snapshots.map((row) => ({ ...row, condemned: row.number === 3 }));
    expect(numbers(snapshotsInOrder(rows, nothing).rows)).toEqual([2, 1, 3]);
  });
});
