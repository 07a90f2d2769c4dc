/**
 * The table of snapshots: adding, finding, marking. Part of the catalog; each row is checked
 * against its checksum whenever it is read. Ids and names are resolved by the store, not here.
 */
import { StoreError } from '../errors.ts';
import type { CatalogDatabase } from './database.ts';
import {
  ALL_ROWS,
  checkLine,
  checkRow,
  type ColumnValue,
  decodeIntact,
  type ListedSnapshot,
  type PackLine,
  rowChecksum,
  type SnapshotRow,
} from './rows.ts';
import {
  type ColumnName,
  listedOf,
  REMOVED,
  SELECT_LISTED,
  SELECT_SNAPSHOT,
  SNAPSHOT_COLUMNS,
  type SnapshotLine,
  snapshotOf,
  type TimelineLine,
} from './snapshot-rows.ts';

/** A snapshot that a capture adds. */
export type SnapshotToAdd = Omit<
  SnapshotRow,
  'number' | 'packName' | 'removed' | 'condemned' | 'pinned' | 'note'
>;

/** What may change of a snapshot. */
export interface SnapshotState {
  readonly removed?: boolean;
  readonly pinned?: boolean;
  readonly note?: string;
}

/** The state of a snapshot that is added. */
export interface StateToAdd {
  /** One of REMOVED. */
  readonly removed: number;
  readonly pinned: boolean;
  readonly note: string;
}

/** The id, for messages. */
const KEY_COLUMN = 1;

const NEW_STATE: StateToAdd = { removed: REMOVED.no, pinned: false, note: '' };

type RawColumns = Record<ColumnName, ColumnValue> & { readonly checksum: Uint8Array };

/** A row of the table of timelines. */
export interface TimelineColumns {
  readonly number: number;
  readonly name: string;
  readonly last_sequence: number;
  readonly checksum: Uint8Array;
}

/** Reads and writes rows of snapshots. */
export class SnapshotTable {
  readonly #database: CatalogDatabase;

  /** @internal The catalog makes it. */
  constructor(database: CatalogDatabase) {
    this.#database = database;
  }

  #select(where: string, ...values: ColumnValue[]): SnapshotRow[] {
    const rows = this.#database.texts(`${SELECT_SNAPSHOT} ${where}`, ...values);
    return rows.map((row) => this.#decode(row));
  }

  /** Rows of a list mostly refer to the timeline that the one before refers to. */
  #timeline: { readonly line: string; readonly columns: TimelineLine } | undefined;

  #decode(row: string): SnapshotRow {
    const { file } = this.#database;
    const [own, timeline, pack] = row.split('\n') as [string, string, string];
    const columns = this.#own(own);
    checkLine(file, 'packs', pack);
    if (timeline !== this.#timeline?.line) {
      checkLine(file, 'timelines', timeline);
      this.#timeline = { line: timeline, columns: JSON.parse(timeline) as TimelineLine };
    }
    return snapshotOf(columns, this.#timeline.columns, JSON.parse(pack) as PackLine);
  }

  /** The columns of a snapshot's own line. */
  #own(line: string): SnapshotLine {
    checkLine(this.#database.file, 'snapshots', line, KEY_COLUMN);
    return JSON.parse(line) as SnapshotLine;
  }

  /**
   * Snapshots of a timeline by sequence: the removed ones, or the others. Their packs are not
   * looked at, which would double the time for 2,000 of them.
   */
  ofTimeline(name: string, removed = false): ListedSnapshot[] {
    const timeline = this.#timelineOf(name);
    if (timeline === undefined) return [];
    const sql = `${SELECT_LISTED} WHERE timeline = ? AND removed = ? ORDER BY sequence`;
    const rows = this.#database.texts(sql, timeline.number, removed ? 1 : 0);
    return rows.map((row) => listedOf(this.#own(row), name));
  }

  /**
   * Every snapshot, the removed ones too, in the order they were added; damaged rows go on the
   * list instead.
   */
  all(damage: StoreError[] = []): SnapshotRow[] {
    return this.some(0, ALL_ROWS, damage);
  }

  /** The same, of those with a number above `after`: so many at most. */
  some(after: number, limit: number, damage: StoreError[]): SnapshotRow[] {
    const where = 'WHERE snapshots.number > ? ORDER BY snapshots.number LIMIT ?';
    const sql = `${SELECT_SNAPSHOT} ${where}`;
    const rows = this.#database.texts(sql, after, limit);
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

  /** The snapshot at a position of a timeline, removed or not, unless it is condemned. */
  bySequence(name: string, sequence: number): SnapshotRow | undefined {
    const where = 'WHERE timelines.name = ? AND sequence = ? AND removed < 2';
    return this.#select(where, name, sequence)[0];
  }

  /** The newest snapshot of a timeline that CRIU gave this id. */
  byRunId(name: string, criuRunId: string): SnapshotRow | undefined {
    const where = `WHERE timelines.name = ? AND criu_run_id = ? AND removed = 0
      ORDER BY sequence DESC LIMIT 1`;
    return this.#select(where, name, criuRunId)[0];
  }

  /**
   * Snapshots whose ids start with `prefix` (upper case), removed or not, unless they are
   * condemned; at most `limit`.
   */
  byIdPrefix(prefix: string, limit: number): SnapshotRow[] {
    // '~' is above every character of an id: a range, so that the index on id serves.
    const where = 'WHERE id >= ? AND id < ? AND removed < 2 ORDER BY id LIMIT ?';
    return this.#select(where, prefix, `${prefix}~`, limit);
  }

  /** The snapshot with this id, condemned or not: what recipes may differ from. */
  byId(id: string): SnapshotRow | undefined {
    return this.#select('WHERE id = ?', id)[0];
  }

  /** The sequence of the next snapshot of a timeline: one more than any that it ever had. */
  nextSequence(name: string): number {
    return (this.#timelineOf(name)?.last_sequence ?? 0) + 1;
  }

  #timelineOf(name: string): TimelineColumns | undefined {
    const sql = 'SELECT * FROM timelines WHERE name = ?';
    const row = this.#database.get<TimelineColumns>(sql, name);
    if (row === undefined) return undefined;
    const columns = [row.number, row.name, row.last_sequence];
    checkRow(this.#database.file, 'timelines', row.number, columns, row.checksum);
    return row;
  }

  /**
   * @internal Adds a row inside the catalog's transaction.
   *
   * @param state of a snapshot that is not new.
   */
  add(
    { number, timeline, pack }: { number: number; timeline: number; pack: number },
    snapshot: SnapshotToAdd,
    state: StateToAdd = NEW_STATE,
  ): SnapshotRow {
    const columns: ColumnValue[] = [
      number,
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
      state.removed,
      state.pinned ? 1 : 0,
      state.note,
    ];
    const marks = columns.map(() => '?').join(', ');
    const checksum = rowChecksum('snapshots', columns);
    this.#database.run(`INSERT INTO snapshots VALUES (${marks}, ?)`, ...columns, checksum);
    return this.byId(snapshot.id) as SnapshotRow;
  }

  /** The snapshot with this id, unless it is condemned. @throws StoreError NOT_FOUND. */
  get(id: string): SnapshotRow {
    const row = this.byId(id);
    if (row !== undefined && !row.condemned) return row;
    const message = 'no such snapshot: it was removed, and a collection took it away';
    throw new StoreError('NOT_FOUND', message, { snapshot: id });
  }

  /** @internal Changes what may change of a snapshot inside the catalog's transaction. */
  setState(id: string, { removed, pinned, note }: SnapshotState): SnapshotRow {
    const row = this.get(id);
    this.#update(id, {
      removed: (removed ?? row.removed) ? REMOVED.marked : REMOVED.no,
      pinned: (pinned ?? row.pinned) ? 1 : 0,
      note: note ?? row.note,
    });
    return this.get(id);
  }

  /** @internal Whether a snapshot is marked as removed, and not condemned yet. */
  isMarked(id: string): boolean {
    const sql = 'SELECT removed FROM snapshots WHERE id = ?';
    return this.#database.get<{ removed: number }>(sql, id)?.removed === REMOVED.marked;
  }

  /** @internal Says that a snapshot can no longer be undeleted. */
  condemn(id: string): void {
    this.#update(id, { removed: REMOVED.condemned });
  }

  /** @internal Says that a snapshot's manifest has been written once more, into another pack. */
  replaceManifest(
    id: string,
    manifest: {
      readonly pack: number;
      readonly digest: Uint8Array;
      readonly revision: number;
      readonly baseId: string | undefined;
    },
  ): void {
    this.#update(id, {
      pack: manifest.pack,
      manifest_digest: manifest.digest,
      revision: manifest.revision,
      base_id: manifest.baseId ?? null,
    });
  }

  /** @internal Says that a snapshot's manifest is in another pack. */
  moveManifest(id: string, pack: number): void {
    this.#update(id, { pack });
  }

  /**
   * @internal Takes away what is condemned and no recipe differs from; returns the ids.
   *
   * @param held ids of others that stay.
   * @param limit how many to take at most.
   */
  takeUnneeded(held: readonly string[], limit: number): string[] {
    const sql = `WITH RECURSIVE needed (id) AS (
        SELECT id FROM snapshots
        WHERE removed < 2 OR id IN (SELECT value FROM json_each(?))
        UNION
        SELECT snapshots.base_id FROM snapshots JOIN needed ON needed.id = snapshots.id
        WHERE snapshots.base_id IS NOT NULL
      )
      SELECT id FROM snapshots WHERE removed = 2 AND id NOT IN (SELECT id FROM needed)
      LIMIT ?`;
    const found = this.#database.all<{ id: string }>(sql, JSON.stringify(held), limit);
    const ids = found.map(({ id }) => id);
    for (const id of ids) {
      this.#database.run('DELETE FROM snapshots WHERE id = ?', id);
      this.#database.run('DELETE FROM checked_snapshots WHERE snapshot_id = ?', id);
    }
    return ids;
  }

  /**
   * @internal Marks snapshots as removed inside the catalog's transaction, all or, if one of them
   * is pinned, marked or gone, none. Returns whether they are marked now.
   */
  removeUnpinned(ids: readonly string[]): boolean {
    const read = 'SELECT * FROM snapshots WHERE id = ?';
    for (const id of ids) {
      const row = this.#database.get<RawColumns>(read, id);
      if (row === undefined) this.#checkIsGone(id);
      if (row === undefined || row.removed !== REMOVED.no || row.pinned !== 0) return false;
    }
    for (const id of ids) this.#update(id, { removed: REMOVED.marked });
    return true;
  }

  /** @throws StoreError CORRUPT when only the index of ids does not know a snapshot. */
  #checkIsGone(id: string): void {
    const all = 'SELECT number FROM snapshots NOT INDEXED WHERE id = ?';
    if (this.#database.get(all, id) === undefined) return;
    const { file } = this.#database;
    throw new StoreError('CORRUPT', `the index of snapshots does not know ${id}`, { file });
  }

  /** @internal Sets columns of a row, and its checksum, inside the catalog's transaction. */
  #update(id: string, changes: Partial<Record<ColumnName, ColumnValue>>): void {
    const read = 'SELECT * FROM snapshots WHERE id = ?';
    const before = this.#database.get<RawColumns>(read, id) as RawColumns;
    // A new checksum must not cover up for damage.
    const file = this.#database.file;
    const columns = SNAPSHOT_COLUMNS.map(([name]) => before[name]);
    checkRow(file, 'snapshots', id, columns, before.checksum);
    const row = { ...before, ...changes };
    const checksum = rowChecksum(
      'snapshots',
      SNAPSHOT_COLUMNS.map(([name]) => row[name]),
    );
    const names = Object.keys(changes) as ColumnName[];
    const sets = names.map((name) => `${name} = ?`).join(', ');
    const values = names.map((name) => row[name]);
    this.#database.run(
      `UPDATE snapshots SET ${sets}, checksum = ? WHERE id = ?`,
      ...values,
      checksum,
      id,
    );
  }
}
