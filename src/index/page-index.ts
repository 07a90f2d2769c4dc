/**
 * The page index: which pack may hold a page, by the digest. One sorted run a pack, searched on
 * disk through a bounded cache of 4 KiB blocks, the newest run first.
 *
 * A hit is a hint: the caller compares the full digest in the pack before it believes it. A run
 * that is missing or damaged answers nothing and says so, so that the caller can build it again.
 * Memory: the block cache, and 4 bytes for each 340 pages.
 */
import { isDamage, storageError } from '../errors.ts';
import { DescriptorPool } from '../files/descriptor-pool.ts';
import type { Files } from '../files/files.ts';
import { isMissing, readUpTo } from '../files/transfer.ts';
import {
  COLUMN,
  decodeFences,
  decodeRunHeader,
  fencesPlace,
  isRunBlockIntact,
  RUN_BLOCK_BYTES,
  RUN_BLOCK_ENTRIES,
  RUN_HEADER_BYTES,
} from './run.ts';

/** A run that can be searched. */
interface OpenRun {
  readonly pack: string;
  readonly path: string;
  readonly fences: Uint32Array;
  /** Key of the run's first block in the cache. */
  readonly firstKey: number;
  damaged: boolean;
}

/** Decides whether a hint is true: the page in this slot has the digest that is looked for. */
export type ConfirmHit = (pack: string, segment: number, slot: number) => boolean;

const MAX_DESCRIPTORS = 64;

/** Searches the runs of a store. */
export class PageIndex {
  readonly #files: Files;
  readonly #descriptors: DescriptorPool;
  readonly #runs = new Map<string, OpenRun>();
  /** Oldest first. */
  #searched: OpenRun[] = [];
  #nextKey = 0;
  readonly #slab: Uint8Array;
  readonly #view: DataView;
  /** Block key to place in the slab, and back, for the blocks in the cache. */
  readonly #cached = new Map<number, number>();
  readonly #keyAt: Float64Array;
  #nextPlace = 0;

  /** @param cacheBytes memory for blocks; at least 64 KiB are used. */
  constructor(files: Files, cacheBytes: number) {
    this.#files = files;
    this.#descriptors = new DescriptorPool(files, MAX_DESCRIPTORS);
    const places = Math.max(16, Math.floor(cacheBytes / RUN_BLOCK_BYTES));
    this.#slab = new Uint8Array(places * RUN_BLOCK_BYTES);
    this.#view = new DataView(this.#slab.buffer);
    this.#keyAt = new Float64Array(places).fill(-1);
  }

  /** Whether the run of a pack is open. */
  has(pack: string): boolean {
    return this.#runs.get(pack)?.damaged === false;
  }

  /** Whether damage was met in the run of a pack: it answers nothing until it is built again. */
  isDamaged(pack: string): boolean {
    return this.#runs.get(pack)?.damaged === true;
  }

  /** Opens the run of a pack at `path`; false when it is missing or damaged. */
  attach(pack: string, packDigest: Uint8Array, path: string): boolean {
    this.detach(pack);
    const fences = this.#readFences(path, packDigest);
    if (fences === undefined) {
      // Another file may take its place.
      this.#descriptors.forget(path);
      return false;
    }
    const run = { pack, path, fences, firstKey: this.#nextKey, damaged: false };
    this.#nextKey += fences.length;
    this.#runs.set(pack, run);
    this.#searched.push(run);
    return true;
  }

  /** Forgets the run of a pack. */
  detach(pack: string): void {
    const run = this.#runs.get(pack);
    if (run === undefined) return;
    this.#runs.delete(pack);
    this.#searched = this.#searched.filter((other) => other !== run);
    this.#descriptors.forget(run.path);
  }

  #readFences(path: string, packDigest: Uint8Array): Uint32Array | undefined {
    try {
      const fd = this.#descriptors.use(path);
      const { sizeBytes } = this.#files.stat(fd);
      const header = new Uint8Array(RUN_HEADER_BYTES);
      if (readUpTo(this.#files, fd, header, 0) < RUN_HEADER_BYTES) return undefined;
      const blockCount = decodeRunHeader(header, packDigest);
      if (blockCount === undefined) return undefined;
      const place = fencesPlace(blockCount);
      if (place.offset + place.bytes !== sizeBytes) return undefined;
      const bytes = new Uint8Array(place.bytes);
      readUpTo(this.#files, fd, bytes, place.offset);
      return decodeFences(header, bytes);
    } catch (error) {
      if (isMissing(error) || isDamage(error)) return undefined;
      throw storageError('read the page index', path, error);
    }
  }

  /**
   * Looks for the page whose digest is in `digests` at `offset`; true when `confirm` accepted a
   * hint.
   */
  find(digests: Uint8Array, offset: number, confirm: ConfirmHit): boolean {
    const prefix = bigEndian(digests, offset, 4);
    const rest = bigEndian(digests, offset + 4, 2);
    for (let i = this.#searched.length - 1; i >= 0; i--) {
      const run = this.#searched[i] as OpenRun;
      if (!run.damaged && this.#findIn(run, prefix, rest, confirm)) return true;
    }
    return false;
  }

  #findIn(run: OpenRun, prefix: number, rest: number, confirm: ConfirmHit): boolean {
    // Equal prefixes may go on into the next block.
    for (let block = firstBlock(run.fences, prefix); block < run.fences.length; block++) {
      const base = this.#load(run, block);
      if (base < 0) return false;
      const used = this.#view.getUint32(base + COLUMN.used, true);
      let i = this.#lowerBound(base, used, prefix);
      for (; i < used && this.#prefixAt(base, i) === prefix; i++) {
        if (this.#view.getUint16(base + COLUMN.rest + i * 2, true) !== rest) continue;
        const segment = this.#view.getUint16(base + COLUMN.segment + i * 2, true);
        const slot = this.#view.getUint32(base + COLUMN.slot + i * 4, true);
        if (confirm(run.pack, segment, slot)) return true;
      }
      if (i < used) return false;
    }
    return false;
  }

  #prefixAt(base: number, i: number): number {
    return this.#view.getUint32(base + COLUMN.prefix + i * 4, true);
  }

  #lowerBound(base: number, used: number, prefix: number): number {
    let low = 0;
    let high = used;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#prefixAt(base, middle) < prefix) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Where a block is in the slab, reading it if need be; -1 when it is damaged. */
  #load(run: OpenRun, block: number): number {
    const key = run.firstKey + block;
    const known = this.#cached.get(key);
    if (known !== undefined) return known * RUN_BLOCK_BYTES;
    const place = this.#nextPlace;
    this.#nextPlace = (place + 1) % this.#keyAt.length;
    this.#cached.delete(this.#keyAt[place] as number);
    this.#keyAt[place] = -1;
    const base = place * RUN_BLOCK_BYTES;
    const bytes = this.#slab.subarray(base, base + RUN_BLOCK_BYTES);
    if (!this.#readBlock(run, block, bytes) || this.#usedOf(base) > RUN_BLOCK_ENTRIES) {
      run.damaged = true;
      return -1;
    }
    this.#cached.set(key, place);
    this.#keyAt[place] = key;
    return base;
  }

  #readBlock(run: OpenRun, block: number, target: Uint8Array): boolean {
    try {
      const fd = this.#descriptors.use(run.path);
      const offset = RUN_HEADER_BYTES + block * RUN_BLOCK_BYTES;
      const count = readUpTo(this.#files, fd, target, offset);
      return count === RUN_BLOCK_BYTES && isRunBlockIntact(target);
    } catch (error) {
      if (isMissing(error) || isDamage(error)) return false;
      throw storageError('read the page index', run.path, error);
    }
  }

  #usedOf(base: number): number {
    return this.#view.getUint32(base + COLUMN.used, true);
  }

  /** Closes all descriptors. */
  close(): void {
    this.#descriptors.close();
  }
}

/** The first block that may hold `prefix`: the first whose largest prefix is not below it. */
function firstBlock(fences: Uint32Array, prefix: number): number {
  let low = 0;
  let high = fences.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((fences[middle] as number) < prefix) low = middle + 1;
    else high = middle;
  }
  return low;
}

function bigEndian(bytes: Uint8Array, offset: number, length: number): number {
  let value = 0;
  for (let i = 0; i < length; i++) value = value * 256 + (bytes[offset + i] as number);
  return value;
}
