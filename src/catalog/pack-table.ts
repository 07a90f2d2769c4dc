/**
 * The tables of packs and segments, and the row of the store: what is where, and in which
 * generation. Part of the catalog; every method that writes belongs inside its transaction.
 */
import { StoreError } from '../errors.ts';
import type { CatalogDatabase } from './database.ts';
import {
  bytesOf,
  checkPack,
  checkRow,
  type Columns,
  decodeIntact,
  type JoinedPack,
  jsonOf,
  PACK_COLUMNS,
  type PackRow,
  rowChecksum,
  type SegmentRow,
} from './rows.ts';

const SEGMENT_COLUMNS: Columns = [
  ['segments.number', 'integer'],
  ['segments.identity', 'blob'],
  ['segments.pack', 'integer'],
  ['segments.local', 'integer'],
  ['segments.pages', 'integer'],
  ['segments.frame_bytes', 'integer'],
  ['segments.checksum', 'blob'],
];
const PACKS = `SELECT ${jsonOf(PACK_COLUMNS)} FROM packs WHERE number > ? ORDER BY number LIMIT ?`;
const SEGMENTS = `SELECT ${jsonOf([...SEGMENT_COLUMNS, ...PACK_COLUMNS])}
  FROM segments JOIN packs ON packs.number = segments.pack
  WHERE segments.number > ? ORDER BY segments.number LIMIT ?`;

/** What `SEGMENTS` gives of each. */
type JoinedSegment = readonly [
  number: number,
  identity: string,
  pack: number,
  local: number,
  pages: number,
  frameBytes: number,
  checksum: string,
  ...JoinedPack,
];

/** A segment as a pack holds it. */
export interface SegmentToAdd {
  readonly identity: Uint8Array;
  /** Its local number in the pack. */
  readonly local: number;
  readonly pages: number;
  /** Of the frames that hold them. */
  readonly frameBytes: number;
}

/** The one row of the table `store`. */
export interface StoreRow {
  readonly storeId: Uint8Array;
  /** Raised whenever slots are condemned or segments move. */
  readonly generation: number;
  /** How many changes of pins, notes and marks no pack tells yet. */
  readonly statesChanged: number;
}

/** Reads and writes rows of packs and segments. */
export class PackTable {
  readonly #database: CatalogDatabase;

  /** @internal The catalog makes it. */
  constructor(database: CatalogDatabase) {
    this.#database = database;
  }

  /** The row of the store. @throws StoreError CORRUPT. */
  store(): StoreRow {
    const row = this.#database.get<StoreColumns>('SELECT * FROM store WHERE id = 1');
    const { file } = this.#database;
    if (row === undefined) {
      throw new StoreError('CORRUPT', 'the catalog does not say whose it is', { file });
    }
    const { store_id: storeId, generation, states_changed: changed } = row;
    checkRow(file, 'store', 1, [storeId, generation, changed], row.checksum);
    return { storeId, generation, statesChanged: changed };
  }

  /** Writes the row of the store. */
  putStore({ storeId, generation, statesChanged }: StoreRow): void {
    const columns = [storeId, generation, statesChanged];
    const put = 'INSERT OR REPLACE INTO store VALUES (1, ?, ?, ?, ?)';
    this.#database.run(put, ...columns, rowChecksum('store', columns));
  }

  /** Packs with a number above `after`, the oldest first; damaged rows go on the list instead. */
  packs(after: number, damage: StoreError[], limit: number): PackRow[] {
    const { file } = this.#database;
    const rows = this.#database.arrays<JoinedPack>(PACKS, after, limit);
    return decodeIntact(rows, damage, (row) => {
      checkPack(file, row);
      const [number, name, sizeBytes] = row;
      return { number, name, sizeBytes };
    });
  }

  /** Segments with a number above `after`, the oldest first; damaged rows as in `packs`. */
  segments(after: number, damage: StoreError[], limit: number): SegmentRow[] {
    const { file } = this.#database;
    const rows = this.#database.arrays<JoinedSegment>(SEGMENTS, after, limit);
    return decodeIntact(rows, damage, (row) => {
      const [number, identity, , local, , , checksum, ...pack] = row;
      checkRow(file, 'segments', number, row.slice(0, 6), checksum);
      checkPack(file, pack);
      return { number, identity: bytesOf(identity), packName: pack[1], local };
    });
  }

  /** Adds a pack, unless the same bytes are known already, and returns its number. */
  findOrAddPack(pack: { readonly name: string; readonly sizeBytes: number }): number {
    const sql = 'SELECT number FROM packs WHERE name = ?';
    return this.#database.get<{ number: number }>(sql, pack.name)?.number ?? this.addPack(pack);
  }

  /** Adds a pack, and returns its number. */
  addPack(pack: { readonly name: string; readonly sizeBytes: number }): number {
    const number = this.nextNumber('packs');
    const columns = [number, pack.name, pack.sizeBytes, this.store().generation];
    const checksum = rowChecksum('packs', columns);
    this.#database.run('INSERT INTO packs VALUES (?, ?, ?, ?, ?)', ...columns, checksum);
    // The same bytes once more: the file is needed again.
    this.#database.run('DELETE FROM retired WHERE pack = ?', pack.name);
    return number;
  }

  /** Adds a segment that is in a pack. */
  addSegment(pack: number, segment: SegmentToAdd): void {
    this.#putSegment(this.nextNumber('segments'), pack, segment);
  }

  /** Says that a segment is in another pack from here on. */
  moveSegment(number: number, pack: number, segment: SegmentToAdd): void {
    // Not REPLACE: the row of its condemned slots refers to it.
    const sql = `UPDATE segments SET pack = ?, local = ?, pages = ?, frame_bytes = ?, checksum = ?
      WHERE number = ?`;
    const { identity, local, pages, frameBytes } = segment;
    const columns = [number, identity, pack, local, pages, frameBytes];
    const checksum = rowChecksum('segments', columns);
    this.#database.run(sql, pack, local, pages, frameBytes, checksum, number);
  }

  #putSegment(number: number, pack: number, segment: SegmentToAdd): void {
    const { identity, local, pages, frameBytes } = segment;
    const columns = [number, identity, pack, local, pages, frameBytes];
    const checksum = rowChecksum('segments', columns);
    this.#database.run('INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)', ...columns, checksum);
  }

  /** Forgets a segment, and which of its slots were condemned. */
  dropSegment(number: number): void {
    this.#database.run('DELETE FROM condemned WHERE segment = ?', number);
    this.#database.run('DELETE FROM segments WHERE number = ?', number);
  }

  /** Forgets a pack that nothing refers to any more. */
  dropPack(name: string): void {
    this.#database.run('DELETE FROM packs WHERE name = ?', name);
    this.#database.run('DELETE FROM lost_frames WHERE pack = ?', name);
    this.#database.run('DELETE FROM verified WHERE pack = ?', name);
  }

  /** A number that no row has, nor ever had. */
  nextNumber(table: 'packs' | 'segments' | 'snapshots' | 'timelines'): number {
    const sql = `SELECT 1 + max(
      coalesce((SELECT max(number) FROM ${table}), 0),
      coalesce((SELECT seq FROM sqlite_sequence WHERE name = '${table}'), 0)) AS next`;
    return (this.#database.get<{ next: number }>(sql) as { next: number }).next;
  }
}

interface StoreColumns {
  readonly store_id: Uint8Array;
  readonly generation: number;
  readonly states_changed: number;
  readonly checksum: Uint8Array;
}
