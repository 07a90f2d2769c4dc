/**
 * Rows of the catalog as the rest of the library sees them, and the checksum that each one
 * carries: the first 8 bytes of the SHA-256 of its table's name and all its columns in order, each
 * as a type byte, a varint length and its bytes (numbers as decimal text).
 */
import { sha256 } from '#digest';
import { sameBytes } from '../bytes/hex.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { StoreError } from '../errors.ts';
import type { SnapshotKind } from '../manifest/manifest.ts';

/** A pack that the store holds. */
export interface PackRow {
  readonly number: number;
  readonly name: string;
  readonly sizeBytes: number;
}

/** A segment and where it is. */
export interface SegmentRow {
  readonly number: number;
  readonly identity: Uint8Array;
  readonly packName: string;
  /** The segment's local number in the pack. */
  readonly local: number;
}

/** A snapshot, without its pages and its files. */
export interface SnapshotRow {
  readonly number: number;
  readonly id: string;
  readonly timelineName: string;
  readonly sequence: number;
  readonly kind: SnapshotKind;
  readonly takenAtMs: number;
  readonly digest: Uint8Array;
  readonly parentId: string | undefined;
  readonly parentDigest: Uint8Array | undefined;
  readonly criuRunId: string | undefined;
  readonly labels: readonly (readonly [string, string])[];
  readonly logicalBytes: number;
  readonly logicalPages: number;
  readonly newPages: number;
  readonly storedBytes: number;
  readonly packName: string;
  readonly manifestDigest: Uint8Array;
  readonly revision: number;
  /** Id of the snapshot that its recipes differ from. */
  readonly baseId: string | undefined;
  /** Marked as removed; it may still be undeleted unless it is condemned. */
  readonly removed: boolean;
  /** A collection has let go of its pages: it is there only for recipes that differ from it. */
  readonly condemned: boolean;
  /** Kept by every policy. */
  readonly pinned: boolean;
  readonly note: string;
}

/** A value of a column. */
export type ColumnValue = string | number | Uint8Array | null;

const CHECKSUM_BYTES = 8;
const TYPE = { null: 0, number: 1, text: 2, blob: 3 } as const;

/** The checksum of a row. */
export function rowChecksum(table: string, columns: readonly ColumnValue[]): Uint8Array {
  writer.clear();
  writer.text(table);
  for (const value of columns) writeColumn(value);
  return sha256(writer.bytes()).slice(0, CHECKSUM_BYTES);
}

/** One for all rows: a new one for each was a third of the time of a list. */
const writer = new ByteWriter(4096);

function writeColumn(value: ColumnValue): void {
  if (value === null) {
    writer.u8(TYPE.null);
  } else if (typeof value === 'number') {
    writer.u8(TYPE.number);
    writer.text(String(value));
  } else if (typeof value === 'string') {
    writer.u8(TYPE.text);
    writer.text(value);
  } else {
    writer.u8(TYPE.blob);
    writer.byteString(value);
  }
}

/** The columns of a pack that another row refers to, for `checkPack`. */
export const PACK_COLUMNS: string = `packs.number AS pack_number, packs.name AS pack_name,
  packs.size_bytes AS pack_size_bytes, packs.generation AS pack_generation,
  packs.checksum AS pack_checksum`;

/** What `PACK_COLUMNS` select. */
export interface JoinedPack {
  readonly pack_number: number;
  readonly pack_name: string;
  readonly pack_size_bytes: number;
  readonly pack_generation: number;
  readonly pack_checksum: Uint8Array;
}

/** @throws StoreError CORRUPT when the pack that a row refers to is not what was written. */
export function checkPack(catalog: string, row: JoinedPack): void {
  const { pack_number: number, pack_name: name, pack_size_bytes, pack_generation } = row;
  const columns = [number, name, pack_size_bytes, pack_generation];
  checkRow(catalog, 'packs', number, columns, row.pack_checksum);
}

/** @throws StoreError CORRUPT when a row is not what was written. */
export function checkRow(
  catalog: string,
  table: string,
  key: string | number,
  columns: readonly ColumnValue[],
  checksum: Uint8Array,
): void {
  // Where SQLite's own pages are damaged, any column may be null.
  const isThere = (checksum as unknown) instanceof Uint8Array;
  if (isThere && sameBytes(rowChecksum(table, columns), checksum)) return;
  throw new StoreError('CORRUPT', `damaged row ${key} of table ${table}`, { file: catalog });
}

/** Decodes rows one by one; what is damaged goes on the list instead. */
export function decodeIntact<Row, Value>(
  rows: readonly Row[],
  damage: StoreError[],
  decode: (row: Row) => Value,
): Value[] {
  const values: Value[] = [];
  for (const row of rows) {
    try {
      values.push(decode(row));
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'CORRUPT')) throw error;
      damage.push(error);
    }
  }
  return values;
}
