/**
 * The catalog: the SQLite database that says which timelines, snapshots, segments and packs exist.
 * Its commit is the only commit point of the store; the only SQL of the library is in this room.
 *
 * Reading is synchronous and needs no lock (WAL). Writing waits at most 5 ms in the calling thread
 * and tries again asynchronously. Every row that decides what exists is checked when it is read;
 * `uncheckedSegments` alone leaves that to who uses them, hints and derived files apart.
 */
import { sameBytes } from '../bytes/hex.ts';
import { StoreError } from '../errors.ts';
import { BackupRecords } from './backup-records.ts';
import { CollectionTable } from './collection-table.ts';
import { CatalogDatabase } from './database.ts';
import { isPackName, type LostFrameRow, PackRecords } from './pack-records.ts';
import { PackTable } from './pack-table.ts';
import {
  ALL_ROWS,
  checkRow,
  decodeIntact,
  rowChecksum,
  type PackRow,
  type SegmentRow,
  type SnapshotRow,
} from './rows.ts';
import { MIGRATIONS } from './schema.ts';
import {
  SnapshotTable,
  type SnapshotState,
  type SnapshotToAdd,
  type TimelineColumns,
} from './snapshot-table.ts';

/** What one capture adds, in one transaction. */
export interface CaptureToCommit {
  readonly pack: { readonly name: string; readonly sizeBytes: number };
  /** The segment that the pack holds; it may have no pages. */
  readonly segment: {
    readonly identity: Uint8Array;
    readonly pages: number;
    /** Of the frames that hold them. */
    readonly frameBytes: number;
  };
  readonly snapshot: SnapshotToAdd;
}

/** How to open a catalog. */
export interface CatalogOptions {
  /** Whether an empty database becomes a new catalog; otherwise it is one that is lost. */
  readonly mayBeNew?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How much there is. */
export interface CatalogTotals {
  readonly timelines: number;
  readonly snapshots: number;
  readonly removedSnapshots: number;
  readonly packs: number;
  readonly packBytes: number;
  readonly pages: number;
  readonly frameBytes: number;
  readonly logicalBytes: number;
  readonly generation: number;
}

/** An open catalog. */
export class Catalog {
  /** The table of snapshots. */
  readonly snapshots: SnapshotTable;
  /** What collections write. */
  readonly collections: CollectionTable;
  readonly #packs: PackTable;
  /** What is known of the health of packs. */
  readonly packRecords: PackRecords;
  /** What backups have been made. */
  readonly backupRecords: BackupRecords;
  readonly #database: CatalogDatabase;

  private constructor(database: CatalogDatabase) {
    this.#database = database;
    this.#packs = new PackTable(database);
    this.snapshots = new SnapshotTable(database);
    this.collections = new CollectionTable(database, this.#packs, this.snapshots);
    this.packRecords = new PackRecords(database);
    this.backupRecords = new BackupRecords(database);
  }

  /**
   * Opens the catalog in `file`, which must exist (an empty file becomes a new catalog).
   *
   * @param storeId of format.json: the catalog must belong to it.
   * @throws StoreError CORRUPT, UNSUPPORTED_VERSION, STORAGE, ABORTED.
   */
  static async open(
    file: string,
    storeId: Uint8Array,
    { mayBeNew = true, signal }: CatalogOptions = {},
  ): Promise<Catalog> {
    const database = await CatalogDatabase.open(file, signal);
    try {
      await migrate(database, storeId, mayBeNew, signal);
      const catalog = new Catalog(database);
      catalog.#checkStoreId(storeId);
      return catalog;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  get #file(): string {
    return this.#database.file;
  }

  #checkStoreId(storeId: Uint8Array): void {
    if (sameBytes(this.#packs.store().storeId, storeId)) return;
    throw new StoreError('CORRUPT', 'the catalog belongs to another store', { file: this.#file });
  }

  /** Raised whenever slots are condemned or segments move; older work may still use them. */
  get generation(): number {
    return this.#packs.store().generation;
  }

  /** How many changes of pins, notes and marks no pack tells yet. */
  get statesChanged(): number {
    return this.#packs.store().statesChanged;
  }

  /** Names of all timelines, sorted. */
  timelineNames(): string[] {
    return this.timelines().map(({ name }) => name);
  }

  /** All timelines by name, and the greatest sequence that each ever gave. @throws StoreError. */
  timelines(): { readonly name: string; readonly lastSequence: number }[] {
    const damage: StoreError[] = [];
    const timelines = this.intactTimelines(damage);
    const [first] = damage;
    if (first !== undefined) throw first;
    return timelines;
  }

  /** The same; damaged rows go on the list instead. */
  intactTimelines(
    damage: StoreError[],
  ): { readonly name: string; readonly lastSequence: number }[] {
    const rows = this.#database.all<TimelineColumns>('SELECT * FROM timelines ORDER BY name');
    return decodeIntact(rows, damage, (row) => {
      const { number, name, last_sequence: lastSequence, checksum } = row;
      checkRow(this.#file, 'timelines', number, [number, name, lastSequence], checksum);
      return { name, lastSequence };
    });
  }

  /**
   * Packs with a number above `after`, the oldest first. Damaged rows are left out, so that they
   * are no hindrance to what does not need them, and put on the list if one is given; so many rows
   * at most.
   */
  packs(after = 0, damage: StoreError[] = [], limit: number = ALL_ROWS): PackRow[] {
    return this.#packs.packs(after, damage, limit);
  }

  /** Segments with a number above `after`, the oldest first; damaged rows as in `packs`. */
  segments(after = 0, damage: StoreError[] = [], limit: number = ALL_ROWS): SegmentRow[] {
    return this.#packs.segments(after, damage, limit);
  }

  /**
   * Segments with a number above `after`, the oldest first, each to be checked when it is used: as
   * rows of a SegmentTable.
   */
  uncheckedSegments(after: number): Uint8Array {
    return this.#packs.uncheckedSegments(after);
  }

  /** The segments with these numbers, checked; without those that are gone or damaged. */
  segmentsAmong(numbers: readonly number[]): SegmentRow[] {
    return this.#packs.segmentsAmong(numbers);
  }

  /** The one commit of a capture: after it, the snapshot exists; before it, it does not. */
  async commitCapture(capture: CaptureToCommit, signal?: AbortSignal): Promise<SnapshotRow> {
    return await this.#database.write(signal, () => {
      const pack = this.#packs.addPack(capture.pack);
      this.#packs.addSegment(pack, { ...capture.segment, local: 0 });
      const { timelineName, sequence } = capture.snapshot;
      const timeline = this.#timelineNumber(timelineName, sequence);
      const number = this.#packs.nextNumber('snapshots');
      return this.snapshots.add({ number, timeline, pack }, capture.snapshot);
    });
  }

  /** The number of a timeline, which this makes if it is new, and which now has `sequence`. */
  #timelineNumber(name: string, sequence: number): number {
    const sql = 'SELECT * FROM timelines WHERE name = ?';
    const known = this.#database.get<TimelineColumns>(sql, name);
    const number = known?.number ?? this.#packs.nextNumber('timelines');
    const last = Math.max(known?.last_sequence ?? 0, sequence);
    const checksum = rowChecksum('timelines', [number, name, last]);
    // Not REPLACE: it would also write the index of names.
    const put = `INSERT INTO timelines VALUES (?, ?, ?, ?) ON CONFLICT (number)
      DO UPDATE SET last_sequence = excluded.last_sequence, checksum = excluded.checksum`;
    this.#database.run(put, number, name, last, checksum);
    return number;
  }

  /**
   * Changes what may change of snapshots, all in one transaction: what is marked as removed or
   * pinned, and notes.
   *
   * @throws StoreError NOT_FOUND when one of them is gone; then none is changed.
   */
  async setStates(
    states: readonly (SnapshotState & { readonly id: string })[],
    signal?: AbortSignal,
  ): Promise<SnapshotRow[]> {
    return await this.#database.write(signal, () => {
      this.#countStates(states.length);
      return states.map((state) => this.snapshots.setState(state.id, state));
    });
  }

  #countStates(changed: number): void {
    const store = this.#packs.store();
    this.#packs.putStore({ ...store, statesChanged: store.statesChanged + changed });
  }

  /**
   * Marks snapshots as removed, all in one transaction, unless one of them has been pinned, marked
   * or let go of since the caller looked: then none is.
   *
   * @returns whether they are marked now.
   */
  async removeUnpinned(ids: readonly string[], signal?: AbortSignal): Promise<boolean> {
    return await this.#database.write(signal, () => {
      if (!this.snapshots.removeUnpinned(ids)) return false;
      this.#countStates(ids.length);
      return true;
    });
  }

  /** Frames that were found damaged, by pack and offset. */
  lostFrames(): LostFrameRow[] {
    const rows = this.#database.all<LostFrameRow>('SELECT pack, offset FROM lost_frames');
    return rows.filter(({ pack, offset }) => isPackName(pack) && Number.isSafeInteger(offset));
  }

  /** Records frames that were found damaged, but for those of packs that are gone by now. */
  async addLostFrames(frames: readonly { pack: string; offset: number }[]): Promise<void> {
    await this.#database.write(undefined, () => {
      const sql = `INSERT OR IGNORE INTO lost_frames
        SELECT name, ? FROM packs WHERE name = ?`;
      for (const { pack, offset } of frames) this.#database.run(sql, offset, pack);
    });
  }

  /** Records that a lease is held, by whom, and the generation its oldest work began in. */
  async putLease(name: string, processId: number, generation?: number): Promise<void> {
    const sql = 'INSERT OR REPLACE INTO leases VALUES (?, ?, ?)';
    await this.#database.write(undefined, () =>
      this.#database.run(sql, name, generation ?? this.generation, processId),
    );
  }

  /** The generation in which the oldest work of a lease began; undefined for an unknown one. */
  leaseGeneration(name: string): number | undefined {
    const sql = 'SELECT generation FROM leases WHERE name = ?';
    return this.#database.get<{ generation: number }>(sql, name)?.generation;
  }

  /** Forgets a lease that nobody holds any more. */
  async deleteLease(name: string): Promise<void> {
    await this.#database.write(undefined, () =>
      this.#database.run('DELETE FROM leases WHERE name = ?', name),
    );
  }

  /** Names of all registered leases. */
  leaseNames(): string[] {
    return this.#database.all<{ name: string }>('SELECT name FROM leases').map(({ name }) => name);
  }

  /** Copies the catalog as it is at one moment, beside whoever writes, to an empty file. */
  async copyTo(file: string, signal?: AbortSignal): Promise<void> {
    await this.#database.copyTo(file, signal);
  }

  /** In a copy: forgets the processes of the original, and what is only true of its files. */
  async forgetOriginal(): Promise<void> {
    await this.#database.write(undefined, () => {
      this.#database.run('DELETE FROM leases');
      this.#database.run('DELETE FROM retired');
      this.#database.run('DELETE FROM verified');
      this.#database.run('DELETE FROM damaged_packs');
      this.#database.run('DELETE FROM checked_snapshots');
    });
  }

  /** How much there is. */
  totals(): CatalogTotals {
    const sql = `SELECT
      (SELECT count(*) FROM timelines) AS timelines,
      (SELECT count(*) FROM snapshots WHERE removed = 0) AS snapshots,
      (SELECT count(*) FROM snapshots WHERE removed = 1) AS removedSnapshots,
      (SELECT count(*) FROM packs) AS packs,
      (SELECT coalesce(sum(size_bytes), 0) FROM packs) AS packBytes,
      (SELECT coalesce(sum(pages), 0) FROM segments) AS pages,
      (SELECT coalesce(sum(frame_bytes), 0) FROM segments) AS frameBytes,
      (SELECT coalesce(sum(logical_bytes), 0) FROM snapshots WHERE removed = 0) AS logicalBytes,
      (SELECT generation FROM store) AS generation`;
    return this.#database.get<CatalogTotals>(sql) as CatalogTotals;
  }

  /** Reads every row and lists what is damaged. */
  check(): StoreError[] {
    const damage: StoreError[] = [];
    this.#checkFile(damage);
    this.packs(0, damage);
    this.segments(0, damage);
    this.snapshots.all(damage);
    this.collections.condemned(damage);
    return damage;
  }

  #checkFile(damage: StoreError[]): void {
    const answer = this.#database.pragma('integrity_check(1)');
    const orphan = this.#database.pragma('foreign_key_check');
    if (answer === 'ok' && orphan === undefined) return;
    const found = answer === 'ok' ? `a row of ${String(orphan)} refers to nothing` : String(answer);
    const message = `SQLite finds damage: ${found}`;
    damage.push(new StoreError('CORRUPT', message, { file: this.#file }));
  }

  /** Closes the database. */
  close(): void {
    this.#database.close();
  }
}

/** Brings the schema to this version; a new catalog also learns whose it is. */
async function migrate(
  database: CatalogDatabase,
  storeId: Uint8Array,
  mayBeNew: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const versionOf = () => database.pragma('user_version') as number;
  if (versionOf() === MIGRATIONS.length) return;
  await database.write(signal, () => {
    // Once more, under the lock: another process may have been faster.
    const version = versionOf();
    if (version > MIGRATIONS.length) {
      const { file } = database;
      throw new StoreError('UNSUPPORTED_VERSION', `catalog version ${version}`, { file });
    }
    const { tables } = database.get<{ tables: number }>(
      'SELECT count(*) AS tables FROM sqlite_schema',
    ) as { tables: number };
    if (version < 0 || (version === 0 && (tables > 0 || !mayBeNew))) {
      const { file } = database;
      throw new StoreError('CORRUPT', `catalog of ${tables} tables has version ${version}`, {
        file,
      });
    }
    for (const migration of MIGRATIONS.slice(version)) database.exec(migration);
    database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    if (version > 0) return;
    const checksum = rowChecksum('store', [storeId, 0, 0]);
    database.run('INSERT INTO store VALUES (1, ?, 0, 0, ?)', storeId, checksum);
  });
}
