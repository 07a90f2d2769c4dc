/**
 * Blocks of a tree: at most 256 records each, in the order of paths. Where a block ends is decided
 * by the path of its last record, not by its number: a path more or less changes one block, and all
 * others stay the same bytes (FORMAT.md, section 5).
 *
 * Paths are front-coded: each begins with so many bytes of the one before it. The first one of a
 * block is whole, so that every block can be read by itself.
 */
import { PAGE_BYTES, pagesOf } from '../bytes/page.ts';
import { ByteReader } from '../bytes/reader.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { StoreError } from '../errors.ts';
import { decodeBody, MAX_TREE_PATH_BYTES, type TreeBody } from './body.ts';
import { comparePaths } from './entry.ts';

/** Records of a block, at most. */
export const BLOCK_RECORDS = 256;
/** One path in so many ends a block, by a hash of its bytes. */
const BLOCK_ENDS_IN = 128;
/** Bytes after which a block ends whatever its paths are. */
const BLOCK_BYTES = 128 * 1024;
const VERSION = 1;

/** A block of a tree: whole pages, the last one filled up with zeros. */
export interface TreeBlock {
  readonly firstPath: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Puts records together to blocks. */
export class BlockBuilder {
  readonly #records = new ByteWriter(BLOCK_BYTES);
  readonly #header = new ByteWriter(16);
  #count = 0;
  #hasRecords = false;
  #firstPath: Uint8Array = new Uint8Array(0);
  #lastPath: Uint8Array = new Uint8Array(0);

  /**
   * Appends a record; paths must ascend. The path is not to be changed afterwards, the body may be.
   *
   * @returns the block that it completes.
   */
  add(path: Uint8Array, body: Uint8Array): TreeBlock | undefined {
    const common = commonLength(this.#lastPath, path);
    if (this.#hasRecords && comparePaths(this.#lastPath, path, common) >= 0) {
      throw new RangeError('paths of a tree out of order');
    }
    this.#hasRecords = true;
    const shared = this.#count === 0 ? 0 : common;
    if (this.#count === 0) this.#firstPath = path;
    this.#records.varint(shared);
    this.#records.varint(path.length - shared);
    this.#records.part(path, shared, path.length - shared);
    this.#records.byteString(body);
    this.#lastPath = path;
    this.#count += 1;
    const isFull = this.#count === BLOCK_RECORDS || this.#records.length >= BLOCK_BYTES;
    return isFull || hashOf(path) % BLOCK_ENDS_IN === 0 ? this.finish() : undefined;
  }

  /** Ends the block that was begun, if there is one. */
  finish(): TreeBlock | undefined {
    if (this.#count === 0) return undefined;
    const records = this.#records.bytes();
    this.#header.clear();
    this.#header.u8(VERSION);
    this.#header.varint(this.#count);
    this.#header.varint(records.length);
    const first = this.#header.length;
    const bytes = new Uint8Array(pagesOf(first + records.length) * PAGE_BYTES);
    bytes.set(this.#header.bytes());
    bytes.set(records, first);
    const block = { firstPath: this.#firstPath, bytes };
    this.#records.clear();
    this.#count = 0;
    return block;
  }
}

function commonLength(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  let common = 0;
  while (common < length && a[common] === b[common]) common += 1;
  return common;
}

/** FNV-1a, 32 bits: only where blocks end hangs on it. */
function hashOf(path: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < path.length; i++) hash = Math.imul(hash ^ (path[i] as number), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** So many bytes of one path, and what follows them. */
function joinPath(before: Uint8Array, shared: number, suffix: Uint8Array): Uint8Array {
  const path = new Uint8Array(shared + suffix.length);
  // Not `set`, which wants a view: 100,000 paths of 60 bytes take 24 ms instead of 50.
  for (let i = 0; i < shared; i++) path[i] = before[i] as number;
  for (let i = 0; i < suffix.length; i++) path[shared + i] = suffix[i] as number;
  return path;
}

/** Reads the records of one block, one after the other. */
export class BlockCursor {
  /** Path of the current record; valid until the next one. */
  path: Uint8Array = new Uint8Array(0);
  /** Pages that the block takes. */
  readonly pages: number;
  readonly #reader: ByteReader;
  readonly #place: { readonly file: string; readonly offset: number };
  #left: number;
  #isFirst = true;
  #bodyStart = 0;
  #bodyBytes: Uint8Array = new Uint8Array(0);

  /**
   * @param bytes the pages from where the block begins.
   * @throws StoreError CORRUPT, here and in `next`.
   */
  constructor(bytes: Uint8Array, place: { readonly file: string; readonly offset: number }) {
    const header = new ByteReader(bytes, { code: 'CORRUPT', ...place });
    const version = header.u8();
    if (version !== VERSION) {
      throw new StoreError('UNSUPPORTED_VERSION', `block of a tree of version ${version}`, place);
    }
    this.#left = header.count(BLOCK_RECORDS, 'records');
    if (this.#left === 0) throw header.fail('a block without records');
    const recordBytes = header.count(header.remaining, 'bytes of records');
    const first = header.position;
    this.pages = pagesOf(first + recordBytes);
    const records = bytes.subarray(first, first + recordBytes);
    this.#place = { file: place.file, offset: place.offset + first };
    this.#reader = new ByteReader(records, { code: 'CORRUPT', ...this.#place });
  }

  /** Goes to the next record; false when there is none. */
  next(): boolean {
    const reader = this.#reader;
    if (this.#left === 0) {
      reader.end();
      return false;
    }
    const shared = reader.count(this.path.length, 'bytes of the path before');
    const suffix = reader.byteString(MAX_TREE_PATH_BYTES - shared, 'a path');
    const path = joinPath(this.path, shared, suffix);
    if (!this.#isFirst && comparePaths(this.path, path, shared) >= 0) {
      throw reader.fail('paths out of order');
    }
    this.#isFirst = false;
    this.path = path;
    this.#left -= 1;
    const bodyBytes = reader.count(reader.remaining, 'bytes of a record');
    this.#bodyStart = reader.position;
    this.#bodyBytes = reader.bytes(bodyBytes);
    return true;
  }

  /** What the current record says of its path; decoded when it is asked for. */
  get body(): TreeBody {
    const { file, offset } = this.#place;
    const place = { code: 'CORRUPT', file, offset: offset + this.#bodyStart } as const;
    const reader = new ByteReader(this.#bodyBytes, place);
    const body = decodeBody(reader);
    reader.end();
    return body;
  }

  /** The same, as it is written. */
  get bodyBytes(): Uint8Array {
    return this.#bodyBytes;
  }
}
