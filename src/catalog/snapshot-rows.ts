/**
 * Rows of the table of snapshots: how they are asked for, together with the rows of timelines and
 * packs that they refer to, and what their columns mean. Nothing is checked here.
 */
import {
  bytesOf,
  type Columns,
  type JoinedPack,
  jsonOf,
  type JsonValue,
  PACK_COLUMNS,
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
const TIMELINE_AT = OWN_COLUMNS.length;
const PACK_AT = TIMELINE_AT + TIMELINE_COLUMNS.length;
const ALL_COLUMNS: Columns = [...OWN_COLUMNS, ...TIMELINE_COLUMNS, ...PACK_COLUMNS];
/** A query for snapshots, which any condition may follow. */
export const SELECT_SNAPSHOT: string = `SELECT ${jsonOf(ALL_COLUMNS)}
  FROM snapshots
  JOIN timelines ON timelines.number = snapshots.timeline
  JOIN packs ON packs.number = snapshots.pack`;

type JoinedTimeline = readonly [
  number: number,
  name: string,
  lastSequence: number,
  checksum: string,
];

/** What `SELECT_SNAPSHOT` gives: columns of a snapshot, of its timeline and of its pack. */
export type JoinedSnapshot = readonly [
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
  checksum: string,
  ...JoinedTimeline,
  ...JoinedPack,
];

/** The columns of the rows that one is joined of, for their checksums. */
export function partsOf(row: JoinedSnapshot): {
  readonly own: { readonly columns: readonly JsonValue[]; readonly checksum: string };
  readonly timeline: JoinedTimeline;
  readonly pack: JoinedPack;
} {
  const columns = row.slice(0, SNAPSHOT_COLUMNS.length);
  return {
    own: { columns, checksum: row[SNAPSHOT_COLUMNS.length] },
    timeline: row.slice(TIMELINE_AT, PACK_AT) as unknown as JoinedTimeline,
    pack: row.slice(PACK_AT) as unknown as JoinedPack,
  };
}

/** What a row says. */
export function snapshotOf(row: JoinedSnapshot): SnapshotRow {
  return {
    number: row[0],
    id: row[1],
    timelineName: row[TIMELINE_AT + 1] as string,
    sequence: row[3],
    kind: row[4] as SnapshotRow['kind'],
    takenAtMs: row[5],
    digest: bytesOf(row[6]),
    parentId: row[7] ?? undefined,
    parentDigest: row[8] === null ? undefined : bytesOf(row[8]),
    criuRunId: row[9] ?? undefined,
    labels: JSON.parse(row[10]) as SnapshotRow['labels'],
    logicalBytes: row[11],
    logicalPages: row[12],
    newPages: row[13],
    storedBytes: row[14],
    packName: row[PACK_AT + 1] as string,
    manifestDigest: bytesOf(row[16]),
    revision: row[17],
    baseId: row[18] ?? undefined,
    removed: row[19] !== REMOVED.no,
    condemned: row[19] === REMOVED.condemned,
    pinned: row[20] === 1,
    note: row[21],
  };
}
