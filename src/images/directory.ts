/**
 * An image directory as a flat one: what it would hold if its dump had been a full one.
 *
 * Opening checks everything that can be checked without reading pages, in bounded work; nothing
 * stays open. Whoever reads all entries and then finds `confirmUnchanged` silent has a consistent
 * picture, given that nothing was written before opening either: a dump must be finished before
 * it is opened. Holes that `criu dedup` punched into the pages file of a parent cannot be told from
 * pages of zeros. Times and owners of the files are not part of the picture.
 */
import {
  encodePagemap,
  PAGE_SIZES,
  type PageBytes,
  type Pagemap,
  UNIT_BYTES,
} from '../criu/index.ts';
import { StoreError, storageError, systemCode } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { nodeFiles } from '../files/node-files.ts';
import { readChain } from './chain.ts';
import { type ContentReader, openBytes, openFile, openPieces, piecesOf } from './content.ts';
import { type FlattenContext, flattenSpace } from './flatten.ts';
import { type Level, type LevelContext, type LevelSpace, readPagemap } from './level.ts';
import { IMAGE_LIMITS, type ImageLimits } from './limits.ts';
import { confirmListing, type ListedItem } from './listing.ts';
import { findPageBytes } from './page-size.ts';

/** An image directory, flat. */
export interface ImageDirectory {
  /** The canonical path. */
  readonly path: string;
  /** A pre-dump cannot be restored, but is the parent of a dump. */
  readonly kind: 'restorable' | 'pre-dump';
  /** Permission bits of the directory itself. */
  readonly mode: number;
  /** CRIU's own id of the dump, since CRIU 4.1. */
  readonly criuRunId: string | undefined;
  /** `/proc/uptime` at the dump, in microseconds. */
  readonly dumpUptimeUs: bigint | undefined;
  readonly pageBytes: PageBytes;
  /** How many parent directories it hangs on. */
  readonly chainDepth: number;
  /** Files and subdirectories, sorted by the bytes of their names, without `parent`. */
  readonly entries: readonly ImageEntry[];
  /** The spaces of the pagemaps, sorted like them. */
  readonly spaces: readonly MemorySpace[];
  /**
   * Compares all files of all directories of the chain with what they were at opening.
   *
   * @throws {StoreError} INCOMPLETE naming the first that changed.
   */
  confirmUnchanged(): void;
}

/** A file or subdirectory of a flat directory. */
export interface ImageEntry {
  /** Raw bytes; a path relative to the directory, with `/`. */
  readonly name: Uint8Array;
  readonly kind: 'file' | 'directory';
  /** Permission bits. */
  readonly mode: number;
  /** Bytes of the flat file; 0 for a directory. */
  readonly sizeBytes: number;
  /** The space whose pages the file holds, for `pages-<id>.img`. */
  readonly space: MemorySpace | undefined;
  /**
   * Opens a file; the caller closes it.
   *
   * @throws {StoreError} INCOMPLETE when it has changed, STORAGE when it cannot be read.
   * @throws {TypeError} for a directory.
   */
  open(): ContentReader;
}

/** Which memory a pages file holds, in its order. */
export interface MemorySpace {
  /** `pagemap-123` or `pagemap-shmem-4`. */
  readonly name: string;
  /** In units of 4096 bytes: a page of 64 KiB counts 16. */
  readonly pageCount: number;
  /** Address / 4096 of each run of pages, ascending. */
  readonly runStart: Float64Array;
  /** Length of each run, in units of 4096 bytes. */
  readonly runLength: Float64Array;
}

/** Settings of {@link openImageDirectory}. */
export interface OpenImageOptions {
  /** @internal The file system; another one than Node's is for tests. */
  readonly files?: Files | undefined;
  /** Page size of the dump, where the caller knows it; otherwise it is inferred. */
  readonly pageBytes?: PageBytes | undefined;
  /** Lower maxima than the default ones. */
  readonly limits?: Partial<ImageLimits> | undefined;
}

/**
 * Opens an image directory that `criu dump` or `criu pre-dump` wrote.
 *
 * @throws {StoreError} NOT_FOUND when there is none at `path`; INVALID_IMAGE when it contradicts
 * the format or itself; UNSUPPORTED_IMAGE for lazy and compressed pages and other versions;
 * INCOMPLETE when it changes meanwhile or lacks its parent; STORAGE when it cannot be read.
 */
export function openImageDirectory(path: string, options: OpenImageOptions = {}): ImageDirectory {
  checkArguments(path, options);
  const files = options.files ?? nodeFiles;
  const limits = { ...IMAGE_LIMITS, ...options.limits };
  const levels = readChain({ files, limits }, canonicalPath(files, path));
  const pageBytes = findPageBytes(levels, options.pageBytes);
  const context: FlattenContext = { files, limits, levels, pageBytes };
  if (pageBytes !== UNIT_BYTES) checkPagemaps(context, levels.slice(1), pageBytes);
  return describeDirectory(context, levels);
}

function checkArguments(path: unknown, { pageBytes }: OpenImageOptions): void {
  if (typeof path !== 'string' || path === '') {
    throw new TypeError('the path of an image directory is text that is not empty');
  }
  if (pageBytes === undefined || PAGE_SIZES.includes(pageBytes)) return;
  throw new RangeError(`pageBytes is ${String(pageBytes)}, not one of ${PAGE_SIZES.join(', ')}`);
}

function canonicalPath(files: Files, path: string): string {
  try {
    return files.realpath(path);
  } catch (cause) {
    const code = systemCode(cause);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw storageError('find', path, cause);
    throw new StoreError('NOT_FOUND', 'no such image directory', { file: path, cause });
  }
}

/** Checks pagemaps of parents against a page size that was not known when they were read. */
function checkPagemaps(
  context: LevelContext,
  levels: readonly Level[],
  pageBytes: PageBytes,
): void {
  for (const level of levels) {
    for (const space of level.spaces.values()) readPagemap(context, space.pagemapFile, pageBytes);
  }
}

function describeDirectory(context: FlattenContext, levels: readonly Level[]): ImageDirectory {
  const [top] = levels;
  if (top === undefined) throw new RangeError('a chain has at least one directory');
  const flat = flattenLevel(context, top);
  const runId = top.inventory['dump_criu_run_id'];
  return {
    path: top.path,
    mode: context.files.lstat(top.path).mode,
    kind: top.inventory['img_version'] === 0 ? 'pre-dump' : 'restorable',
    criuRunId: runId instanceof Uint8Array ? new TextDecoder().decode(runId) : undefined,
    dumpUptimeUs: top.inventory['dump_uptime'] as bigint | undefined,
    pageBytes: context.pageBytes,
    chainDepth: levels.length - 1,
    entries: top.listing.items
      .filter((item) => item !== top.parentLink)
      .map((item) => flat.changed.get(item) ?? plainEntry(context.files, item)),
    spaces: flat.spaces,
    confirmUnchanged() {
      for (const level of levels) confirmListing(context.files, level.listing, context.limits);
    },
  };
}

interface FlatLevel {
  readonly spaces: readonly MemorySpace[];
  /** Entries that are more than their file. */
  readonly changed: ReadonlyMap<ListedItem, ImageEntry>;
}

function flattenLevel(context: FlattenContext, top: Level): FlatLevel {
  const spaces: MemorySpace[] = [];
  const changed = new Map<ListedItem, ImageEntry>();
  for (const levelSpace of top.spaces.values()) {
    const pagemap = readPagemap(context, levelSpace.pagemapFile, context.pageBytes);
    const entries = levelSpace.needsParent
      ? chainedEntries(context, levelSpace, pagemap)
      : ownEntries(context, levelSpace, pagemap);
    spaces.push(entries.space);
    for (const [item, entry] of entries.changed) changed.set(item, entry);
  }
  return { spaces, changed };
}

interface SpaceEntries {
  readonly space: MemorySpace;
  readonly changed: readonly (readonly [ListedItem, ImageEntry])[];
}

/** A space whose pages are all in this directory: its files are the flat ones. */
function ownEntries(
  { files, pageBytes }: FlattenContext,
  { name, pagesFile }: LevelSpace,
  pagemap: Pagemap,
): SpaceEntries {
  const space = memorySpace(name, pagemap, pageBytes);
  if (pagesFile === undefined) return { space, changed: [] };
  return { space, changed: [[pagesFile, { ...plainEntry(files, pagesFile), space }]] };
}

/** A space with pages in parents: its pagemap is rewritten, its pages are gathered. */
function chainedEntries(
  context: FlattenContext,
  { name, pagemapFile, pagesFile }: LevelSpace,
  pagemap: Pagemap,
): SpaceEntries {
  const { files, levels, pageBytes } = context;
  const flat = flattenSpace(context, name, pagemap);
  const space = memorySpace(name, flat.pagemap, pageBytes);
  const pagemapBytes = encodePagemap(flat.pagemap);
  const pieces = piecesOf(flat.ranges);
  const sources = levels.map((level) => level.spaces.get(name)?.pagesFile);
  const pagemapEntry: ImageEntry = {
    ...plainEntry(files, pagemapFile),
    sizeBytes: pagemapBytes.length,
    open: () => openBytes(pagemapBytes),
  };
  if (pagesFile === undefined) return { space, changed: [[pagemapFile, pagemapEntry]] };
  const pagesEntry: ImageEntry = {
    ...plainEntry(files, pagesFile),
    sizeBytes: space.pageCount * UNIT_BYTES,
    space,
    open: () => openPieces(files, pieces, sources),
  };
  const changed = [[pagemapFile, pagemapEntry] as const, [pagesFile, pagesEntry] as const];
  return { space, changed };
}

function plainEntry(files: Files, item: ListedItem): ImageEntry {
  const isFile = item.facts.kind === 'file';
  return {
    name: new Uint8Array(item.name),
    kind: isFile ? 'file' : 'directory',
    mode: item.facts.mode,
    sizeBytes: isFile ? item.facts.sizeBytes : 0,
    space: undefined,
    open() {
      if (!isFile) throw new TypeError(`${item.name.toString()} is a directory`);
      return openFile(files, item);
    },
  };
}

/** The runs of a pagemap without parents, neighbours as one. */
function memorySpace(name: string, pagemap: Pagemap, pageBytes: PageBytes): MemorySpace {
  const units = pageBytes / UNIT_BYTES;
  const runStart = new Float64Array(pagemap.starts.length);
  const runLength = new Float64Array(pagemap.starts.length);
  let runs = 0;
  let end = -1;
  let pageCount = 0;
  for (let i = 0; i < pagemap.starts.length; i++) {
    const start = pagemap.starts[i] ?? 0;
    const length = (pagemap.counts[i] ?? 0) * units;
    if (start !== end) runStart[runs++] = start;
    runLength[runs - 1] = (runLength[runs - 1] ?? 0) + length;
    end = start + length;
    pageCount += length;
  }
  return {
    name,
    pageCount,
    runStart: runStart.slice(0, runs),
    runLength: runLength.slice(0, runs),
  };
}
