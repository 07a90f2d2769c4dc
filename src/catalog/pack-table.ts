/**
 * The tables of packs and segments, and the row of the store: what is where, and in which
 * generation. Part of the catalog; every method that writes belongs inside its transaction.
 */
import { StoreError } from '../errors.ts';
import type { CatalogDatabase } from './database.ts';
import {
  bytesOf,
  checkLine,
  checkRow,
  type Columns,
  decodeIntact,
  linesOf,
  PACK_COLUMNS,
  type PackLine,
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
const PACKS = `SELECT ${linesOf(PACK_COLUMNS)} FROM packs WHERE number > ? ORDER BY number LIMIT ?`;
const SEGMENTS = `SELECT ${linesOf(SEGMENT_COLUMNS, PACK_COLUMNS)}
  FROM segments JOIN packs ON packs.number = segments.pack
  WHERE segments.number > ? ORDER BY segments.number LIMIT ?`;

// One value for all rows: a value for each took five times as long. No row may become NULL, which
// would be left out: a number that is none becomes 0, and so does a name. There is no upper bound,
// since rows are found by their numbers: behind one that is damaged, SQLite would look no further.
const UNCHECKED = `SELECT CAST(group_concat(row, '') AS BLOB) FROM (
    SELECT identity || coalesce(unhex(packs.name), zeroblob(32)) || unhex(printf('%08x%08x', local,
        iif(segments.number <= 0xffffffff, segments.number, 0))) AS row
    FROM segments JOIN packs ON packs.number = segments.pack
    WHERE segments.number > ?
      AND typeof(identity) = 'blob' AND length(identity) = 16
      AND typeof(packs.name) = 'text' AND length(packs.name) = 64
      AND typeof(local) = 'integer' AND local BETWEEN 0 AND 0xffffffff
    ORDER BY segments.number)`;

type SegmentLine = readonly [number: number, identity: string, pack: number, local: number];

const SEGMENTS_AMONG = `SELECT ${linesOf(SEGMENT_COLUMNS, PACK_COLUMNS)}
  FROM segments JOIN packs ON packs.number = segments.pack
  WHERE segments.number IN (SELECT value FROM json_each(?))`;

/**
 * A capture every second gives so many numbers in four years. Behind one that damage has made of
 * another, nothing is added: readers hold memory for all numbers up to the last.
 */
const MAX_SEGMENT = 2 ** 27;

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
    return decodeIntact(this.#database.texts(PACKS, after, limit), damage, (line) => {
      checkLine(file, 'packs', line);
      const [number, name, sizeBytes] = JSON.parse(line) as PackLine;
      return { number, name, sizeBytes };
    });
  }

  /** Segments with a number above `after`, the oldest first; damaged rows as in `packs`. */
  segments(after: number, damage: StoreError[], limit: number): SegmentRow[] {
    return this.#decode(this.#database.texts(SEGMENTS, after, limit), damage);
  }

  /** The segments with these numbers that are there and not damaged, in any order. */
  segmentsAmong(numbers: readonly number[]): SegmentRow[] {
    return this.#decode(this.#database.texts(SEGMENTS_AMONG, JSON.stringify(numbers)), []);
  }

  #decode(rows: readonly string[], damage: StoreError[]): SegmentRow[] {
    const { file } = this.#database;
    return decodeIntact(rows, damage, (row) => {
      const [segment, pack] = row.split('\n') as [string, string];
      checkLine(file, 'segments', segment);
      checkLine(file, 'packs', pack);
      const [number, identity, , local] = JSON.parse(segment) as SegmentLine;
      const [, packName] = JSON.parse(pack) as PackLine;
      return { number, identity: bytesOf(identity), packName, local };
    });
  }

  /**
   * Where segments with a number above `after` are, the oldest first, their checksums not looked
   * at: 2,000 take 1.5 ms, and not 25. What cannot be a segment is left out; a number or a name
   * that cannot be one is 0.
   *
   * @returns rows of 56 bytes: identity, name of the pack, local number and number (big-endian).
   */
  uncheckedSegments(after: number): Uint8Array {
    return this.#database.bytes(UNCHECKED, after);
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

  /** Adds a segment that is in a pack. @throws StoreError CORRUPT. */
  addSegment(pack: number, segment: SegmentToAdd): void {
    const number = this.nextNumber('segments');
    if (number > MAX_SEGMENT) {
      const { file } = this.#database;
      throw new StoreError('CORRUPT', `a segment has the number ${number - 1}`, { file });
    }
    this.#putSegment(number, pack, segment);
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
    this.#database.run('DELETE FROM damaged_packs WHERE pack = ?', name);
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
