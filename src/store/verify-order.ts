/**
 * In which order a verification reads packs and snapshots: those first that have waited longest for
 * it, so that runs with little time or few bytes get round all of them. Pure.
 */
import type { PackRow, SnapshotRow } from '../catalog/rows.ts';

/** What waits, in its order. */
export interface Waiting<Row> {
  readonly rows: readonly Row[];
  /** Since when the first of them waits, in milliseconds since 1970; 0 when it never was read. */
  readonly sinceMs: number;
}

/** When packs were last read, by their names, in milliseconds since 1970. */
export interface PackTimes {
  /** When each was last found right. */
  readonly verified: ReadonlyMap<string, number>;
  /** When each was last read that was found damaged then. */
  readonly damaged: ReadonlyMap<string, number>;
}

/**
 * Packs, the oldest first where none was read. Those that are known to be damaged come last: what
 * is wrong with them is known, and they must not take the budget of the others again and again.
 *
 * @param times one that was found damaged has waited since then, as if it had been found right: it
 * must not come before all others again and again.
 */
export function packsInOrder(
  rows: readonly PackRow[],
  { verified, damaged }: PackTimes,
  isDamaged: (row: PackRow) => boolean,
): Waiting<PackRow> {
  const ranked = rows.map((row) => {
    const readMs = damaged.get(row.name) ?? verified.get(row.name) ?? 0;
    return { row, rank: isDamaged(row) ? Infinity : readMs };
  });
  return inOrder(ranked, (a, b) => a.number - b.number);
}

/**
 * Snapshots, the newest first where none was read. Those that are condemned come last: only their
 * recipes are needed, by others, which are read with them.
 *
 * @param times when each was last read, by its id.
 */
export function snapshotsInOrder(
  rows: readonly SnapshotRow[],
  times: ReadonlyMap<string, number>,
): Waiting<SnapshotRow> {
  const ranked = rows.map((row) => {
    return { row, rank: row.condemned ? Infinity : (times.get(row.id) ?? 0) };
  });
  return inOrder(ranked, (a, b) => b.number - a.number);
}

function inOrder<Row>(
  ranked: readonly { readonly row: Row; readonly rank: number }[],
  compare: (a: Row, b: Row) => number,
): Waiting<Row> {
  // Not by difference: that of two infinities is no number.
  const sorted = ranked.toSorted((a, b) =>
    a.rank === b.rank ? compare(a.row, b.row) : a.rank < b.rank ? -1 : 1,
  );
  return { rows: sorted.map(({ row }) => row), sinceMs: sorted[0]?.rank ?? Infinity };
}
