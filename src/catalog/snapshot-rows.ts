/**
 * Rows of the table of snapshots: how they are asked for, together with the rows of timelines and
 * packs that they refer to, and what their columns mean. Nothing is checked here.
 */
import {
  bytesOf,
  type Columns,
  linesOf,
  type ListedSnapshot,
  PACK_COLUMNS,
  type PackLine,
  type SnapshotRow,
} from './rows.ts';

/** What a mark says: nothing, that it is removed, or that it can no longer be undeleted. */
export const REMOVED = { no: 0, marked: 1, condemned: 2 } as const;

/** The columns of a snapshot, as they are stored, but for the checksum at the end. */
export const SNAPSHOT_COLUMNS = [
  ['number', 'integer'],
  ['id', 'text'],
  ['timeline', 'integer'],
  ['sequence', 'integer'],
  ['kind', 'text'],
  ['taken_at_ms', 'integer'],
  ['digest', 'blob'],
  ['parent_id', 'text'],
  ['parent_digest', 'blob'],
  ['criu_run_id', 'text'],
  ['labels', 'text'],
  ['logical_bytes', 'integer'],
  ['logical_pages', 'integer'],
  ['new_pages', 'integer'],
  ['stored_bytes', 'integer'],
  ['pack', 'integer'],
  ['manifest_digest', 'blob'],
  ['revision', 'integer'],
  ['base_id', 'text'],
  ['removed', 'integer'],
  ['pinned', 'integer'],
  ['note', 'text'],
] as const;
/** One of them. */
export type ColumnName = (typeof SNAPSHOT_COLUMNS)[number][0];

const OWN_COLUMNS: Columns = [...SNAPSHOT_COLUMNS, ['checksum', 'blob'] as const].map(
  ([name, type]) => {
    return [`snapshots.${name}`, type];
  },
);
const TIMELINE_COLUMNS: Columns = [
  ['timelines.number', 'integer'],
  ['timelines.name', 'text'],
  ['timelines.last_sequence', 'integer'],
  ['timelines.checksum', 'blob'],
];
/**
 * A query for snapshots, which any condition may follow: a line each for the snapshot, its timeline
 * and its pack.
 */
export const SELECT_SNAPSHOT: string = `SELECT
  ${linesOf(OWN_COLUMNS, TIMELINE_COLUMNS, PACK_COLUMNS)}
  FROM snapshots
  JOIN timelines ON timelines.number = snapshots.timeline
  JOIN packs ON packs.number = snapshots.pack`;

/** The same of a snapshot alone: its own line. */
export const SELECT_LISTED: string = `SELECT ${linesOf(OWN_COLUMNS)} FROM snapshots`;

/** The line of a timeline. */
export type TimelineLine = readonly [number: number, name: string];

/** The line of a snapshot. */
export type SnapshotLine = readonly [
  number: number,
  id: string,
  timeline: number,
  sequence: number,
  kind: string,
  takenAtMs: number,
  digest: string,
  parentId: string | null,
  parentDigest: string | null,
  criuRunId: string | null,
  labels: string,
  logicalBytes: number,
  logicalPages: number,
  newPages: number,
  storedBytes: number,
  pack: number,
  manifestDigest: string,
  revision: number,
  baseId: string | null,
  removed: number,
  pinned: number,
  note: string,
];

/** What the lines of a snapshot, and of what it refers to, say. */
export function snapshotOf(
  row: SnapshotLine,
  [, timelineName]: TimelineLine,
  [, packName]: PackLine,
): SnapshotRow {
  return {
    ...listedOf(row, timelineName),
    number: row[0],
    parentDigest: row[8] === null ? undefined : bytesOf(row[8]),
    packName,
    manifestDigest: bytesOf(row[16]),
    revision: row[17],
    baseId: row[18] ?? undefined,
    condemned: row[19] === REMOVED.condemned,
  };
}

/** What the line of a snapshot alone says. */
export function listedOf(row: SnapshotLine, timelineName: string): ListedSnapshot {
  return {
    id: row[1],
    timelineName,
    sequence: row[3],
    kind: row[4] as SnapshotRow['kind'],
    takenAtMs: row[5],
    digest: bytesOf(row[6]),
    parentId: row[7] ?? undefined,
    criuRunId: row[9] ?? undefined,
    labels: JSON.parse(row[10]) as SnapshotRow['labels'],
    logicalBytes: row[11],
    logicalPages: row[12],
    newPages: row[13],
    storedBytes: row[14],
    removed: row[19] !== REMOVED.no,
    pinned: row[20] === 1,
    note: row[21],
  };
}
