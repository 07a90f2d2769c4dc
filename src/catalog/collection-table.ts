/**
 * What collections write to the catalog: which slots are condemned, which packs are retired, which
 * snapshots are gone. Each method is one transaction, and a store is whole before and after it.
 */
import { StoreError } from '../errors.ts';
import type { CatalogDatabase } from './database.ts';
import { isPackName, type LostFrameRow } from './pack-records.ts';
import type { PackTable, SegmentToAdd } from './pack-table.ts';
import { ALL_ROWS, checkRow, decodeIntact, rowChecksum } from './rows.ts';
import type { SnapshotTable } from './snapshot-table.ts';

/** A pack that is complete and in its place. */
export interface PublishedPack {
  readonly name: string;
  readonly sizeBytes: number;
}

/** A snapshot whose manifest has been written once more, with another recipe. */
export interface RewrittenManifest {
  readonly id: string;
  readonly digest: Uint8Array;
  readonly revision: number;
  readonly baseId: string | undefined;
}

/** Slots that nobody needs. */
export interface CondemnedSlots {
  /** The catalog's number of the segment. */
  readonly segment: number;
  /** A slot set; an empty one says that none is condemned any more. */
  readonly slots: Uint8Array;
}

/** What a collection condemns, in one transaction. */
export interface Sentence {
  /** Holds states and manifests; undefined when there is nothing to write. */
  readonly pack: PublishedPack | undefined;
  readonly manifests: readonly RewrittenManifest[];
  /** Ids of snapshots that are marked as removed. */
  readonly snapshots: readonly string[];
  readonly slots: readonly CondemnedSlots[];
  /** Frames of packs that cannot be read, or whole packs: nothing is found to be equal to them. */
  readonly lostFrames: readonly LostFrameRow[];
  /** The changes of states that the pack tells; undefined when it tells none. */
  readonly statesChanged: number | undefined;
}

/** What takes the place of packs, in one transaction. */
export interface Replacement {
  /** Names of the packs that go. */
  readonly packs: readonly string[];
  /** Holds what is still needed of them; undefined when nothing is. */
  readonly pack: PublishedPack | undefined;
  /** Segments that are in it now, by the catalog's number. */
  readonly segments: readonly (SegmentToAdd & { readonly number: number })[];
  /** Numbers of segments of which nothing is left. */
  readonly goneSegments: readonly number[];
  /** Ids of snapshots whose manifests are in it now. */
  readonly manifests: readonly string[];
}

/** A pack that the catalog has let go of. */
export interface RetiredPack {
  readonly name: string;
  readonly generation: number;
  readonly sizeBytes: number;
}

/** Reads and writes what collections do. */
export class CollectionTable {
  readonly #database: CatalogDatabase;
  readonly #packs: PackTable;
  readonly #snapshots: SnapshotTable;

  /** @internal The catalog makes it. */
  constructor(database: CatalogDatabase, packs: PackTable, snapshots: SnapshotTable) {
    this.#database = database;
    this.#packs = packs;
    this.#snapshots = snapshots;
  }

  /**
   * The slots that are condemned, by segment.
   *
   * @param damage gets what is wrong with damaged rows; without it, the first one is thrown.
   */
  condemned(damage?: StoreError[]): CondemnedSlots[] {
    const rows = this.#database.all<CondemnedColumns>('SELECT * FROM condemned ORDER BY segment');
    const found: StoreError[] = [];
    const intact = decodeIntact(rows, found, ({ segment, slots, checksum }) => {
      checkRow(this.#database.file, 'condemned', segment, [segment, slots], checksum);
      return { segment, slots };
    });
    if (damage === undefined && found[0] !== undefined) throw found[0];
    for (const error of found) damage?.push(error);
    return intact;
  }

  /** Packs that the catalog has let go of, and whose files may still be there. */
  retired(): RetiredPack[] {
    // No checksum guards these rows: what is no pack, or one that is needed, is passed over.
    const sql = `SELECT pack AS name, generation, size_bytes AS sizeBytes FROM retired
      WHERE pack NOT IN (SELECT name FROM packs) ORDER BY 1`;
    return this.#database.all<RetiredPack>(sql).filter(({ name }) => isPackName(name));
  }

  /** Ids of snapshots that are gone, while a pack may still have a manifest of them. */
  tombstones(): string[] {
    const sql = 'SELECT snapshot_id AS id FROM tombstones ORDER BY 1';
    return this.#database.all<{ id: string }>(sql).map(({ id }) => id);
  }

  /**
   * Condemns. Whoever begins to work after it never refers to these slots.
   *
   * @returns the new generation; undefined, with nothing changed, when one of the snapshots is no
   * longer marked as removed.
   */
  async condemn(sentence: Sentence, signal?: AbortSignal): Promise<number | undefined> {
    return await this.#database.write(signal, () => {
      const { pack, manifests, snapshots, slots, lostFrames } = sentence;
      if (!snapshots.every((id) => this.#snapshots.isMarked(id))) return undefined;
      const generation = this.#nextGeneration(sentence.statesChanged);
      const number = pack && this.#packs.findOrAddPack(pack);
      for (const manifest of manifests) {
        const { id, digest, revision, baseId } = manifest;
        this.#snapshots.replaceManifest(id, { pack: number as number, digest, revision, baseId });
      }
      for (const id of snapshots) this.#snapshots.condemn(id);
      for (const { segment, slots: set } of slots) this.#putCondemned(segment, set);
      const put = 'INSERT OR IGNORE INTO lost_frames VALUES (?, ?)';
      for (const frame of lostFrames) this.#database.run(put, frame.pack, frame.offset);
      return generation;
    });
  }

  /** @param told the changes of states that a pack tells from here on, if there are no others. */
  #nextGeneration(told: number | undefined): number {
    const store = this.#packs.store();
    const generation = store.generation + 1;
    const statesChanged = store.statesChanged === told ? 0 : store.statesChanged;
    this.#packs.putStore({ ...store, generation, statesChanged });
    return generation;
  }

  #putCondemned(segment: number, slots: Uint8Array): void {
    this.#database.run('DELETE FROM condemned WHERE segment = ?', segment);
    if (slots.length === 0) return;
    const checksum = rowChecksum('condemned', [segment, slots]);
    this.#database.run('INSERT INTO condemned VALUES (?, ?, ?)', segment, slots, checksum);
  }

  /**
   * Puts a pack in the place of others, which are retired.
   *
   * @returns the new generation: work that began before it may still read the old packs.
   */
  async replace(replacement: Replacement, signal?: AbortSignal): Promise<number> {
    return await this.#database.write(signal, () => {
      const { pack, packs, segments, goneSegments, manifests } = replacement;
      const generation = this.#nextGeneration(undefined);
      const number = pack && this.#packs.findOrAddPack(pack);
      for (const segment of segments) {
        this.#packs.moveSegment(segment.number, number as number, segment);
        this.#putCondemned(segment.number, new Uint8Array(0));
      }
      for (const segment of goneSegments) this.#packs.dropSegment(segment);
      for (const id of manifests) this.#snapshots.moveManifest(id, number as number);
      // A pack that became itself again, byte for byte, stays.
      for (const name of packs) if (name !== pack?.name) this.#retire(name, generation);
      return generation;
    });
  }

  #retire(name: string, generation: number): void {
    const sql = 'SELECT size_bytes FROM packs WHERE name = ?';
    const row = this.#database.get<{ size_bytes: number }>(sql, name);
    if (row === undefined) {
      const { file } = this.#database;
      throw new StoreError('CORRUPT', `the catalog lacks the pack ${name}`, { file });
    }
    this.#packs.dropPack(name);
    const put = 'INSERT OR REPLACE INTO retired VALUES (?, ?, ?)';
    this.#database.run(put, name, generation, row.size_bytes);
  }

  /** Forgets a retired pack, whose file is gone. */
  async forgetRetired(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    await this.#database.write(undefined, () => {
      for (const name of names) this.#database.run('DELETE FROM retired WHERE pack = ?', name);
    });
  }

  /**
   * Takes the rows of condemned snapshots away that no recipe differs from any more.
   *
   * @param held ids of others that stay.
   * @param limit how many rows to take at most: whoever gets as many may call again.
   * @returns their ids.
   */
  async bury(
    signal?: AbortSignal,
    held: readonly string[] = [],
    limit: number = ALL_ROWS,
  ): Promise<string[]> {
    return await this.#database.write(signal, () => {
      const ids = this.#snapshots.takeUnneeded(held, limit);
      const sql = 'INSERT OR IGNORE INTO tombstones VALUES (?)';
      for (const id of ids) this.#database.run(sql, id);
      return ids;
    });
  }

  /** Forgets snapshots of which no pack has a manifest any more. */
  async forgetTombstones(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#database.write(undefined, () => {
      for (const id of ids) this.#database.run('DELETE FROM tombstones WHERE snapshot_id = ?', id);
    });
  }
}

interface CondemnedColumns {
  readonly segment: number;
  readonly slots: Uint8Array;
  readonly checksum: Uint8Array;
}
