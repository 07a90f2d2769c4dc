/**
 * The page index: which segment may hold a page, by the digest. Sorted runs in one directory, each
 * of one or more segments, the newest first: an LSM tree, merged by merge.ts and tiers.ts.
 *
 * A hit is a hint: the caller compares the full digest in the pack before it believes it. A run is
 * asked about the segments that the catalog knows and no others. One that is damaged or gone
 * answers nothing, and `refresh` says so. Files never change: a run that is built again has
 * another name. Looking for 256 pages run by run was measured, and is not faster than page by page.
 *
 * Memory: filters (1.5 bytes a page) up to three quarters of the cache, the smallest first, since
 * each run without one costs every look-up a block; blocks for the rest; 4 bytes for 341 pages and
 * 20 for a segment.
 */
import { join } from 'node:path';
import { DescriptorPool } from '../files/descriptor-pool.ts';
import type { Files } from '../files/files.ts';
import { BlockCache } from './block-cache.ts';
import { Coverage } from './coverage.ts';
import { prefixAt, restAt } from './digest-prefix.ts';
import { filterKey, mayHold } from './filter.ts';
import { BLOCK_BYTES, entriesOfBlock, RUN_SUFFIX } from './format.ts';
import {
  firstBlock,
  keysOf,
  openRun,
  type ResolveSegments,
  type RunFile,
  type RunReading,
} from './run-file.ts';

/**
 * Decides whether a hint is true: the page in this slot of this segment (the catalog's number) has
 * the digest that is looked for.
 */
export type ConfirmHit = (segment: number, slot: number) => boolean;

const MAX_DESCRIPTORS = 64;
const FILTER_SHARE = 0.75;

/** Searches the runs of a directory. */
export class PageIndex {
  readonly #files: Files;
  readonly #directory: string;
  readonly #reading: RunReading;
  readonly #runs = new Map<string, RunFile>();
  /** Newest first. */
  #searched: readonly RunFile[] = [];
  #coverage = new Coverage([]);
  #nextKey = 0;
  readonly #filterBytes: number;
  readonly #blocks: BlockCache;

  /** @param cacheBytes memory for filters and blocks; at least 64 KiB are used for blocks. */
  constructor(files: Files, directory: string, cacheBytes: number) {
    this.#files = files;
    this.#directory = directory;
    this.#reading = { files, descriptors: new DescriptorPool(files, MAX_DESCRIPTORS) };
    this.#filterBytes = Math.floor(cacheBytes * FILTER_SHARE);
    this.#blocks = new BlockCache(cacheBytes - this.#filterBytes);
  }

  /** The runs that are searched, the newest first. */
  get runs(): readonly RunFile[] {
    return this.#searched;
  }

  /** Whether a run covers the segment with this number of the catalog. */
  covers(segment: number): boolean {
    return this.#coverage.countOf(segment) > 0;
  }

  /**
   * Lists the directory once more: takes the runs that have come, forgets those that have gone,
   * asks for the numbers of segments that have been committed since.
   *
   * @returns paths of the runs that are damaged, for the caller to take away.
   */
  refresh(resolve: ResolveSegments): string[] {
    const listed = this.#list();
    const damaged: string[] = [];
    for (const run of this.#runs.values()) {
      if (run.state === 'damaged') damaged.push(run.path);
      if (run.state !== 'good' || !listed.has(run.path)) this.#detach(run);
    }
    for (const path of listed) {
      if (this.#runs.has(path) || damaged.includes(path)) continue;
      if (this.#attach(path) === 'damaged') damaged.push(path);
    }
    this.#chooseFilters();
    for (const run of this.#runs.values()) {
      if (run.state === 'damaged') damaged.push(run.path);
      if (run.state === 'good') run.resolve(resolve);
      else this.#detach(run);
    }
    this.#searched = [...this.#runs.values()].sort((a, b) => b.newest - a.newest);
    this.#coverage = new Coverage(this.#searched);
    return damaged;
  }

  #list(): Set<string> {
    const names = this.#files.list(this.#directory).map((name) => name.toString());
    const runs = names.filter((name) => name.endsWith(RUN_SUFFIX));
    return new Set(runs.map((name) => join(this.#directory, name)));
  }

  #attach(path: string): RunFile['state'] {
    const run = openRun(this.#reading, path, this.#nextKey);
    if (typeof run === 'string') {
      this.#reading.descriptors.forget(path);
      return run;
    }
    this.#nextKey += keysOf(run);
    this.#runs.set(path, run);
    return run.state;
  }

  #detach(run: RunFile): void {
    this.#runs.delete(run.path);
    this.#reading.descriptors.forget(run.path);
  }

  #chooseFilters(): void {
    let left = this.#filterBytes;
    const runs = [...this.#runs.values()].sort((a, b) => a.filterBytes - b.filterBytes);
    for (const run of runs) {
      left -= run.filterBytes;
      if (left < 0) run.filter = undefined;
      else if (run.filter === undefined) run.loadFilter();
    }
  }

  /** Looks for the page whose digest is in `digests` at `offset`; true when a hint is confirmed. */
  find(digests: Uint8Array, offset: number, confirm: ConfirmHit): boolean {
    const prefix = prefixAt(digests, offset);
    const rest = restAt(digests, offset);
    const key = filterKey(prefix, rest);
    for (const run of this.#searched) {
      if (run.filter !== undefined && !mayHold(run.filter, prefix, key)) continue;
      if (this.#findIn(run, prefix, rest, confirm)) return true;
    }
    return false;
  }

  #findIn(run: RunFile, prefix: number, rest: number, confirm: ConfirmHit): boolean {
    const { view } = this.#blocks;
    // Equal prefixes may go on into the next block.
    for (let block = firstBlock(run.fences, prefix); block < run.fences.length; block++) {
      const base = this.#load(run, block);
      if (base < 0) return false;
      const used = entriesOfBlock(run.trailer.shape, block);
      let i = lowerBound(view, base, used, prefix);
      for (; i < used && view.getUint32(base + i * 4, true) === prefix; i++) {
        if (view.getUint16(base + used * 8 + i * 2, true) !== rest) continue;
        // An ordinal beyond the table gives undefined.
        const segment = run.segments[view.getUint16(base + used * 10 + i * 2, true)] ?? 0;
        const slot = view.getUint32(base + (used + i) * 4, true);
        if (segment > 0 && confirm(segment, slot)) return true;
      }
      if (i < used) return false;
    }
    return false;
  }

  /** Where a block is in memory, reading it if need be; -1 when it cannot be. */
  #load(run: RunFile, block: number): number {
    if (run.state !== 'good') return -1;
    const key = run.firstKey + block;
    const known = this.#blocks.find(key);
    if (known >= 0) return known;
    const base = this.#blocks.makeRoom();
    const target = this.#blocks.bytes.subarray(base, base + BLOCK_BYTES);
    if (!run.readBlock(block, target)) return -1;
    this.#blocks.keep(key, base);
    return base;
  }

  /** Closes all descriptors. */
  close(): void {
    this.#reading.descriptors.close();
  }
}

function lowerBound(view: DataView, base: number, used: number, prefix: number): number {
  let low = 0;
  let high = used;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (view.getUint32(base + middle * 4, true) < prefix) low = middle + 1;
    else high = middle;
  }
  return low;
}
