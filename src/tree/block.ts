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
import { comparePaths, rankOf } from './entry.ts';

/** Records of a block, at most. */
export const BLOCK_RECORDS = 256;
/** One path in so many ends a block, by a hash of its bytes. */
const BLOCK_ENDS_IN = 128;
/** Bytes after which a block ends whatever its paths are. */
const BLOCK_BYTES = 128 * 1024;
const VERSION = 1;
/** Longer paths are rare. */
const FEW_BYTES = 256;

/** A block of a tree: whole pages, the last one filled up with zeros. */
export interface TreeBlock {
  readonly firstPath: Uint8Array;
  readonly bytes: Uint8Array;
  /** Where the base has it, for one that is the same there. */
  readonly kept?: BlockPlace | undefined;
}

/** Where a block lies. */
export interface BlockPlace {
  readonly firstPath: Uint8Array;
  /** Address of its first page / 4096. */
  readonly address: number;
  /** Pages that it takes. */
  readonly pages: number;
  /** Its first byte in the space. */
  readonly offset: number;
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

  /** Whether the next path begins a block. */
  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Goes on behind a path which others have put into a block; only between blocks. */
  continueAfter(path: Uint8Array): void {
    this.#hasRecords = true;
    this.#lastPath = path;
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

/** Reads the records of one block, one after the other. */
export class BlockCursor {
  /** Pages that the block takes, and its records. */
  readonly pages: number;
  readonly count: number;
  /** Records up to the current one. */
  done = 0;
  readonly #records: Uint8Array;
  readonly #reader: ByteReader;
  readonly #place: { readonly file: string; readonly offset: number };
  /** The current path, changed in place: most of 100,000 are compared, and never asked for. */
  #pathBytes = new Uint8Array(FEW_BYTES);
  #pathLength = 0;
  #path: Uint8Array | undefined;
  #bodyStart = 0;
  #bodyEnd = 0;

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
    this.count = header.count(BLOCK_RECORDS, 'records');
    if (this.count === 0) throw header.fail('a block without records');
    const recordBytes = header.count(header.remaining, 'bytes of records');
    const first = header.position;
    this.pages = pagesOf(first + recordBytes);
    this.#records = bytes.subarray(first, first + recordBytes);
    this.#place = { file: place.file, offset: place.offset + first };
    this.#reader = new ByteReader(this.#records, { code: 'CORRUPT', ...this.#place });
  }

  /** Goes to the next record; false when there is none. */
  next(): boolean {
    const reader = this.#reader;
    if (this.done === this.count) {
      reader.end();
      return false;
    }
    const before = this.#pathLength;
    const shared = reader.count(before, 'bytes of the path before');
    const suffixLength = reader.count(MAX_TREE_PATH_BYTES - shared, 'bytes of a path');
    const suffix = reader.skip(suffixLength);
    if (this.done > 0 && !this.#ascends(shared, suffix, suffixLength)) {
      throw reader.fail('paths out of order');
    }
    this.#replaceEnd(shared, suffix, suffixLength);
    this.done += 1;
    const bodyBytes = reader.count(reader.remaining, 'bytes of a record');
    this.#bodyStart = reader.skip(bodyBytes);
    this.#bodyEnd = this.#bodyStart + bodyBytes;
    return true;
  }

  /** Whether the path so far comes before the one with another end. */
  #ascends(shared: number, suffix: number, suffixLength: number): boolean {
    const left = this.#pathLength - shared;
    const common = Math.min(left, suffixLength);
    for (let i = 0; i < common; i++) {
      const old = this.#pathBytes[shared + i] as number;
      const now = this.#records[suffix + i] as number;
      if (old !== now) return rankOf(old) < rankOf(now);
    }
    return left < suffixLength;
  }

  #replaceEnd(shared: number, suffix: number, suffixLength: number): void {
    const length = shared + suffixLength;
    if (length > this.#pathBytes.length) {
      const grown = new Uint8Array(MAX_TREE_PATH_BYTES);
      grown.set(this.#pathBytes);
      this.#pathBytes = grown;
    }
    // Not `set`, which wants a view: 100,000 paths of 60 bytes take 24 ms instead of 50.
    for (let i = 0; i < suffixLength; i++) {
      this.#pathBytes[shared + i] = this.#records[suffix + i] as number;
    }
    this.#pathLength = length;
    this.#path = undefined;
  }

  /** Path of the current record. */
  get path(): Uint8Array {
    this.#path ??= this.#pathBytes.slice(0, this.#pathLength);
    return this.#path;
  }

  /** Whether the current path is that of a name in a directory, which has '/' at its end. */
  isAt(directory: string, name: string): boolean {
    const start = directory.length;
    if (this.#pathLength !== start + name.length) return false;
    const path = this.#pathBytes;
    // The names first: it is they that differ.
    for (let i = 0; i < name.length; i++) if (path[start + i] !== name.charCodeAt(i)) return false;
    for (let i = 0; i < start; i++) if (path[i] !== directory.charCodeAt(i)) return false;
    return true;
  }

  /** What the current record says of its path; decoded when it is asked for. */
  get body(): TreeBody {
    const { file, offset } = this.#place;
    const place = { code: 'CORRUPT', file, offset: offset + this.#bodyStart } as const;
    const reader = new ByteReader(this.bodyBytes, place);
    const body = decodeBody(reader);
    reader.end();
    return body;
  }

  /** The same, as it is written. */
  get bodyBytes(): Uint8Array {
    return this.#records.subarray(this.#bodyStart, this.#bodyEnd);
  }
}
