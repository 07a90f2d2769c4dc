/**
 * Writes a whole catalog anew, as a repair found it in the packs: in a file that nobody else knows,
 * so in steps, none of which holds the thread for long. Its last connection closed, it is one file
 * without a -wal.
 */
import { CatalogDatabase, type Parameter } from './database.ts';
import { rowChecksum } from './rows.ts';
import type { SalvagedCatalog, SalvagedPack } from './salvage.ts';
import { MIGRATIONS } from './schema.ts';
import { SnapshotTable, type SnapshotToAdd } from './snapshot-table.ts';

/** A segment that a catalog is to know. */
export interface SegmentToWrite {
  readonly identity: Uint8Array;
  readonly packName: string;
  readonly local: number;
  readonly pages: number;
  readonly frameBytes: number;
}

/** A snapshot that a catalog is to know. */
export interface SnapshotToWrite {
  readonly facts: SnapshotToAdd;
  /** Of the pack that its manifest is in. */
  readonly packName: string;
  /** One of REMOVED. */
  readonly removed: number;
  readonly pinned: boolean;
  readonly note: string;
}

/** All that a catalog is to hold. Everything refers to packs and timelines of this very list. */
export interface CatalogContent extends Pick<
  SalvagedCatalog,
  'timelines' | 'tombstones' | 'retired' | 'lostFrames' | 'verified' | 'damagedPacks'
> {
  readonly storeId: Uint8Array;
  readonly generation: number;
  /** Whether pins, notes and removals are not all in a pack. */
  readonly statesChanged: boolean;
  readonly packs: readonly SalvagedPack[];
  readonly segments: readonly SegmentToWrite[];
  /** In the order in which they were added. */
  readonly snapshots: readonly SnapshotToWrite[];
}

/** Rows that are written in one go: some 5 ms. */
const ROWS_IN_ONE_GO = 100;

/**
 * Writes a catalog into `file`, which is there and empty.
 *
 * @param pause called between steps; what it throws ends the work.
 * @throws StoreError STORAGE.
 */
export async function writeCatalog(
  file: string,
  content: CatalogContent,
  pause: () => Promise<void>,
): Promise<void> {
  const database = await CatalogDatabase.open(file);
  try {
    await database.write(undefined, () => {
      for (const migration of MIGRATIONS) database.exec(migration);
      database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    });
    const steps = rowsOf(database, content);
    for (let isLeft = true; isLeft;) {
      await pause();
      await database.write(undefined, () => {
        for (let i = 0; i < ROWS_IN_ONE_GO && isLeft; i++) isLeft = steps.next().done !== true;
      });
    }
  } finally {
    database.close();
  }
}

/** Writes one row at each step. */
function* rowsOf(database: CatalogDatabase, content: CatalogContent): Generator<void> {
  const put = function* (table: string, columns: readonly Parameter[], hasChecksum: boolean) {
    const values = hasChecksum ? [...columns, rowChecksum(table, columns)] : columns;
    const marks = values.map(() => '?').join(', ');
    database.run(`INSERT INTO ${table} VALUES (${marks})`, ...values);
    yield;
  };
  const { storeId, generation, statesChanged } = content;
  const store = [storeId, generation, statesChanged ? 1 : 0];
  database.run('INSERT INTO store VALUES (1, ?, ?, ?, ?)', ...store, rowChecksum('store', store));
  yield;
  const timelines = new Map<string, number>();
  for (const { name, lastSequence } of content.timelines) {
    timelines.set(name, timelines.size + 1);
    yield* put('timelines', [timelines.size, name, lastSequence], true);
  }
  const packs = new Map<string, number>();
  for (const { name, sizeBytes, generation: born } of content.packs) {
    packs.set(name, packs.size + 1);
    yield* put('packs', [packs.size, name, sizeBytes, born], true);
  }
  let segments = 0;
  for (const { identity, packName, local, pages, frameBytes } of content.segments) {
    const pack = packs.get(packName) as number;
    yield* put('segments', [++segments, identity, pack, local, pages, frameBytes], true);
  }
  const table = new SnapshotTable(database);
  let snapshots = 0;
  for (const { facts, packName, ...state } of content.snapshots) {
    const timeline = timelines.get(facts.timelineName) as number;
    const pack = packs.get(packName) as number;
    table.add({ number: ++snapshots, timeline, pack }, facts, state);
    yield;
  }
  for (const id of content.tombstones) yield* put('tombstones', [id], false);
  for (const { pack, generation: gone, sizeBytes } of content.retired) {
    yield* put('retired', [pack, gone, sizeBytes], false);
  }
  for (const { pack, atMs } of content.verified) yield* put('verified', [pack, atMs], false);
  for (const { pack, atMs } of content.damagedPacks) {
    yield* put('damaged_packs', [pack, atMs], false);
  }
  for (const { pack, offset } of content.lostFrames) {
    yield* put('lost_frames', [pack, offset], false);
  }
}
