/**
 * A run in index/, opened: its directory is in memory, its filter may be, its blocks are read when
 * they are needed. A file that is missing is another process's merge, and no damage.
 *
 * Memory: 4 bytes for 341 pages, 20 for a segment.
 */
import { crc32 } from '../bytes/checksum.ts';
import { isDamage, storageError } from '../errors.ts';
import type { DescriptorPool } from '../files/descriptor-pool.ts';
import type { Files } from '../files/files.ts';
import { isMissing, readUpTo } from '../files/transfer.ts';
import { type Filter, newFilter } from './filter.ts';
import {
  BLOCK_BYTES,
  blockCountOf,
  blocksOffset,
  bytesOfBlock,
  decodeDirectory,
  decodeTrailer,
  directoryBytes,
  directoryOffset,
  entriesOfBlock,
  isBlockIntact,
  RUN_TRAILER_BYTES,
  type RunDirectory,
  type RunTrailer,
} from './format.ts';

/**
 * Puts the catalog's numbers of segments in the places of their identities, where there is a 0 yet;
 * 0 stays where the catalog does not know one.
 */
export type ResolveSegments = (identities: Uint8Array, numbers: Int32Array) => void;

/** How runs are read. */
export interface RunReading {
  readonly files: Files;
  readonly descriptors: DescriptorPool;
}

/** State of a run: `gone` when its file is no more, `damaged` when it is not what was written. */
export type RunState = 'good' | 'damaged' | 'gone';

const FILTER_SLICE_BYTES = 64 * 1024;

/** A run that can be searched while its state is good. */
export class RunFile {
  readonly path: string;
  readonly trailer: RunTrailer;
  /** The largest prefix of each block. */
  readonly fences: Uint32Array;
  readonly identities: Uint8Array;
  /** The catalog's numbers of the run's segments, 0 where it does not know them. */
  readonly segments: Int32Array;
  /** Key of the run's first block in the cache. */
  readonly firstKey: number;
  filter: Filter | undefined;
  state: RunState = 'good';
  /** The greatest of its segments' numbers. */
  newest = 0;
  #isResolved = false;
  readonly #reading: RunReading;

  /** @internal Use {@link openRun}. */
  constructor(
    reading: RunReading,
    path: string,
    trailer: RunTrailer,
    directory: RunDirectory,
    firstKey: number,
  ) {
    this.#reading = reading;
    this.path = path;
    this.trailer = trailer;
    this.fences = directory.fences;
    this.identities = directory.identities;
    this.segments = new Int32Array(trailer.shape.segmentCount);
    this.firstKey = firstKey;
  }

  /** Bytes of the run. */
  get sizeBytes(): number {
    const { shape } = this.trailer;
    return directoryOffset(shape) + directoryBytes(shape);
  }

  /** Bytes of its filter, on disk and in memory. */
  get filterBytes(): number {
    return blocksOffset(this.trailer.shape);
  }

  /** Asks for the numbers of the segments that have none yet. */
  resolve(resolve: ResolveSegments): void {
    if (this.#isResolved) return;
    resolve(this.identities, this.segments);
    this.#isResolved = !this.segments.includes(0);
    this.newest = this.segments.reduce((newest, number) => Math.max(newest, number), 0);
  }

  /** Reads the filter into memory, in slices of 64 KiB, or finds that the run is not good. */
  loadFilter(): void {
    const words = new Uint32Array(this.filterBytes / 4);
    const slice = new Uint8Array(Math.min(this.filterBytes, FILTER_SLICE_BYTES));
    const view = new DataView(slice.buffer);
    let checksum = 0;
    for (let offset = 0; offset < this.filterBytes; offset += slice.length) {
      const part = slice.subarray(0, Math.min(slice.length, this.filterBytes - offset));
      if (!this.#read(part, offset)) return;
      checksum = crc32(part, checksum);
      for (let i = 0; i < part.length; i += 4) words[(offset + i) / 4] = view.getUint32(i, true);
    }
    if (checksum === this.trailer.filterChecksum) this.filter = newFilter(words);
    else this.state = 'damaged';
  }

  /** Reads a block into `target`; false, and no longer good, when it is not what was written. */
  readBlock(block: number, target: Uint8Array): boolean {
    const { shape } = this.trailer;
    const bytes = target.subarray(0, bytesOfBlock(entriesOfBlock(shape, block)));
    if (!this.#read(bytes, blocksOffset(shape) + block * BLOCK_BYTES)) return false;
    if (isBlockIntact(bytes)) return true;
    this.state = 'damaged';
    return false;
  }

  #read(target: Uint8Array, offset: number): boolean {
    const { files, descriptors } = this.#reading;
    try {
      const count = readUpTo(files, descriptors.use(this.path), target, offset);
      if (count === target.length) return true;
      this.state = 'damaged';
    } catch (error) {
      if (isMissing(error)) this.state = 'gone';
      else if (isDamage(error)) this.state = 'damaged';
      else throw storageError('read the page index', this.path, error);
    }
    return false;
  }
}

/** Opens the run in `path`, if it can be. @throws StoreError STORAGE. */
export function openRun(
  reading: RunReading,
  path: string,
  firstKey: number,
): RunFile | Exclude<RunState, 'good'> {
  const { files, descriptors } = reading;
  try {
    const fd = descriptors.use(path);
    const { sizeBytes } = files.stat(fd);
    if (sizeBytes < RUN_TRAILER_BYTES) return 'damaged';
    const end = new Uint8Array(RUN_TRAILER_BYTES);
    readUpTo(files, fd, end, sizeBytes - end.length);
    const trailer = decodeTrailer(end, sizeBytes);
    if (trailer === undefined) return 'damaged';
    const bytes = new Uint8Array(directoryBytes(trailer.shape));
    readUpTo(files, fd, bytes, directoryOffset(trailer.shape));
    const directory = decodeDirectory(bytes, trailer.shape);
    if (directory === undefined) return 'damaged';
    return new RunFile(reading, path, trailer, directory, firstKey);
  } catch (error) {
    if (isMissing(error)) return 'gone';
    if (isDamage(error)) return 'damaged';
    throw storageError('read the page index', path, error);
  }
}

/** Block keys that a run takes. */
export function keysOf(run: RunFile): number {
  return blockCountOf(run.trailer.shape);
}

/** The first block that may hold `prefix`: the first whose largest prefix is not below it. */
export function firstBlock(fences: Uint32Array, prefix: number): number {
  let low = 0;
  let high = fences.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((fences[middle] as number) < prefix) low = middle + 1;
    else high = middle;
  }
  return low;
}
