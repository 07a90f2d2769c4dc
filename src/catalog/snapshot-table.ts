/**
 * The table of snapshots: adding, finding, marking. Part of the catalog; each row is checked
 * against its checksum whenever it is read. Ids and names are resolved by the store, not here.
 */
import { StoreError } from '../errors.ts';
import type { CatalogDatabase } from './database.ts';
import {
  checkPack,
  checkRow,
  decodeIntact,
  type JoinedPack,
  PACK_COLUMNS,
  rowChecksum,
  type ColumnValue,
  type SnapshotRow,
} from './rows.ts';

/** A snapshot that a capture adds. */
export type SnapshotToAdd = Omit<SnapshotRow, 'number' | 'packName' | 'removed'>;

const SELECT = `SELECT snapshots.*, timelines.name AS timeline_name,
  timelines.checksum AS timeline_checksum, ${PACK_COLUMNS}
  FROM snapshots
  JOIN timelines ON timelines.number = snapshots.timeline
  JOIN packs ON packs.number = snapshots.pack`;
const COLUMNS = [
  'number',
  'id',
  'timeline',
  'sequence',
  'kind',
  'taken_at_ms',
  'digest',
  'parent_id',
  'parent_digest',
  'criu_run_id',
  'labels',
  'logical_bytes',
  'logical_pages',
  'new_pages',
  'stored_bytes',
  'pack',
  'manifest_digest',
  'revision',
  'base_id',
  'removed',
] as const;

type Columns = Record<(typeof COLUMNS)[number] | 'timeline_name', ColumnValue> &
  JoinedPack & { checksum: Uint8Array; timeline_checksum: Uint8Array };

/** Reads and writes rows of snapshots. */
export class SnapshotTable {
  readonly #database: CatalogDatabase;

  /** @internal The catalog makes it. */
  constructor(database: CatalogDatabase) {
    this.#database = database;
  }

  #select(where: string, ...values: ColumnValue[]): SnapshotRow[] {
    const rows = this.#database.all<Columns>(`${SELECT} ${where}`, ...values);
    return rows.map((row) => this.#decode(row));
  }

  #decode(row: Columns): SnapshotRow {
    const columns = COLUMNS.map((name) => row[name]);
    checkRow(this.#database.file, 'snapshots', String(row.id), columns, row.checksum);
    this.#checkReferences(row);
    return {
      number: row.number as number,
      id: row.id as string,
      timelineName: row.timeline_name as string,
      sequence: row.sequence as number,
      kind: row.kind as SnapshotRow['kind'],
      takenAtMs: row.taken_at_ms as number,
      digest: row.digest as Uint8Array,
      parentId: (row.parent_id as string | null) ?? undefined,
      parentDigest: (row.parent_digest as Uint8Array | null) ?? undefined,
      criuRunId: (row.criu_run_id as string | null) ?? undefined,
      labels: JSON.parse(row.labels as string) as SnapshotRow['labels'],
      logicalBytes: row.logical_bytes as number,
      logicalPages: row.logical_pages as number,
      newPages: row.new_pages as number,
      storedBytes: row.stored_bytes as number,
      packName: row.pack_name,
      manifestDigest: row.manifest_digest as Uint8Array,
      revision: row.revision as number,
      baseId: (row.base_id as string | null) ?? undefined,
      removed: row.removed === 1,
    };
  }

  #checkReferences(row: Columns): void {
    const { timeline, timeline_name: name, timeline_checksum: checksum } = row;
    checkRow(this.#database.file, 'timelines', timeline as number, [timeline, name], checksum);
    checkPack(this.#database.file, row);
  }

  /** Snapshots of a timeline by sequence: the removed ones, or the others. */
  ofTimeline(name: string, removed = false): SnapshotRow[] {
    const where = 'WHERE timelines.name = ? AND removed = ? ORDER BY sequence';
    return this.#select(where, name, removed ? 1 : 0);
  }

  /**
   * Every snapshot, the removed ones too, in the order they were added; damaged rows go on the
   * list instead.
   */
  all(damage: StoreError[] = []): SnapshotRow[] {
    const rows = this.#database.all<Columns>(`${SELECT} ORDER BY snapshots.number`);
    return decodeIntact(rows, damage, (row) => this.#decode(row));
  }

  /** The newest snapshot of a timeline of any kind, by sequence. */
  newest(name: string): SnapshotRow | undefined {
    const where = 'WHERE timelines.name = ? AND removed = 0 ORDER BY sequence DESC LIMIT 1';
    return this.#select(where, name)[0];
  }

  /** The newest restorable snapshot of a timeline, by sequence. */
  latest(name: string): SnapshotRow | undefined {
    const where = `WHERE timelines.name = ? AND removed = 0 AND kind = 'restorable'
      ORDER BY sequence DESC LIMIT 1`;
    return this.#select(where, name)[0];
  }

  /** The restorable snapshot with the greatest time not after `takenAtMs`, ties by sequence. */
  at(name: string, takenAtMs: number): SnapshotRow | undefined {
    const where = `WHERE timelines.name = ? AND removed = 0 AND kind = 'restorable'
      AND taken_at_ms <= ? ORDER BY taken_at_ms DESC, sequence DESC LIMIT 1`;
    return this.#select(where, name, takenAtMs)[0];
  }

  /** The snapshot at a position of a timeline, removed or not. */
  bySequence(name: string, sequence: number): SnapshotRow | undefined {
    return this.#select('WHERE timelines.name = ? AND sequence = ?', name, sequence)[0];
  }

  /** The newest snapshot of a timeline that CRIU gave this id. */
  byRunId(name: string, criuRunId: string): SnapshotRow | undefined {
    const where = `WHERE timelines.name = ? AND criu_run_id = ? AND removed = 0
      ORDER BY sequence DESC LIMIT 1`;
    return this.#select(where, name, criuRunId)[0];
  }

  /** Snapshots whose ids start with `prefix` (upper case), removed or not; at most `limit`. */
  byIdPrefix(prefix: string, limit: number): SnapshotRow[] {
    // '~' is above every character of an id: a range, so that the index on id serves.
    const where = 'WHERE id >= ? AND id < ? ORDER BY id LIMIT ?';
    return this.#select(where, prefix, `${prefix}~`, limit);
  }

  /** The last snapshot of a timeline of any kind, removed or not: it fixes the next sequence. */
  last(name: string): SnapshotRow | undefined {
    return this.#select('WHERE timelines.name = ? ORDER BY sequence DESC LIMIT 1', name)[0];
  }

  /** @internal Adds a row inside the catalog's transaction. */
  add(timeline: number, pack: number, snapshot: SnapshotToAdd): SnapshotRow {
    const next = 'SELECT coalesce(max(number), 0) + 1 AS number FROM snapshots';
    const columns: ColumnValue[] = [
      (this.#database.get<{ number: number }>(next) as { number: number }).number,
      snapshot.id,
      timeline,
      snapshot.sequence,
      snapshot.kind,
      snapshot.takenAtMs,
      snapshot.digest,
      snapshot.parentId ?? null,
      snapshot.parentDigest ?? null,
      snapshot.criuRunId ?? null,
      JSON.stringify(snapshot.labels),
      snapshot.logicalBytes,
      snapshot.logicalPages,
      snapshot.newPages,
      snapshot.storedBytes,
      pack,
      snapshot.manifestDigest,
      snapshot.revision,
      snapshot.baseId ?? null,
      0,
    ];
    const marks = columns.map(() => '?').join(', ');
    const checksum = rowChecksum('snapshots', columns);
    this.#database.run(`INSERT INTO snapshots VALUES (${marks}, ?)`, ...columns, checksum);
    return this.#get(snapshot.id);
  }

  #get(id: string): SnapshotRow {
    const [row] = this.#select('WHERE id = ?', id);
    if (row === undefined) throw new StoreError('NOT_FOUND', 'no such snapshot', { snapshot: id });
    return row;
  }

  /** @internal Sets or clears the mark inside the catalog's transaction. */
  setRemoved(id: string, removed: boolean): SnapshotRow {
    this.#get(id);
    const read = 'SELECT * FROM snapshots WHERE id = ?';
    const row = { ...(this.#database.get<Columns>(read, id) as Columns), removed: removed ? 1 : 0 };
    const columns = COLUMNS.map((name) => row[name]);
    const update = 'UPDATE snapshots SET removed = ?, checksum = ? WHERE id = ?';
    this.#database.run(update, row.removed, rowChecksum('snapshots', columns), id);
    return this.#get(id);
  }
}
