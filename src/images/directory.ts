/**
 * An image directory as a flat one: what it would hold if its dump had been a full one.
 *
 * Opening checks everything that can be checked without reading pages, in bounded work; nothing
 * stays open. What comes out is plain data, which any thread may read from. Whoever reads all
 * entries and then finds `confirmUnchanged` silent has a consistent picture, given that nothing was
 * written before opening either: a dump must be finished before it is opened. Holes that
 * `criu dedup` punched into the pages file of a parent cannot be told from pages of zeros. Times
 * and owners of the files are not part of the picture.
 */
import { PAGE_SIZES, type PageBytes, UNIT_BYTES } from '../criu/index.ts';
import type { Files } from '../files/files.ts';
import { nodeFiles } from '../files/node-files.ts';
import { followChain } from './chain.ts';
import { flattenLevel, type ImageEntry, type MemorySpace } from './entries.ts';
import type { FlattenContext } from './flatten.ts';
import { dumpIdentity, type DumpIdentity } from './inventory.ts';
import {
  type Level,
  type LevelContext,
  readLevelAt,
  readPagemap,
  spacesWithParent,
} from './level.ts';
import { IMAGE_LIMITS, type ImageLimits } from './limits.ts';
import { confirmListing, type Listing, modeOf } from './listing.ts';
import { findPageBytes } from './page-size.ts';
import {
  checkParent,
  checkParentArgument,
  checkParentPageSize,
  type ParentSnapshot,
} from './parent-snapshot.ts';

/** An image directory, flat: data without functions, which survives `structuredClone`. */
export interface ImageDirectory extends DumpIdentity {
  /** The canonical path. */
  readonly path: string;
  /** A pre-dump cannot be restored, but is the parent of a dump. */
  readonly kind: 'restorable' | 'pre-dump';
  /** Permission bits of the directory itself. */
  readonly mode: number;
  readonly pageBytes: PageBytes;
  /** How many parent directories were read, because pages are missing here. */
  readonly chainDepth: number;
  /** Files and subdirectories, sorted by the bytes of their names, without `parent`. */
  readonly entries: readonly ImageEntry[];
  /** The spaces of the pagemaps, sorted like them. */
  readonly spaces: readonly MemorySpace[];
  /** What {@link confirmUnchanged} compares with: the directories that were read, as listed. */
  readonly listings: readonly Listing[];
  /** The maxima that it was opened with. */
  readonly limits: ImageLimits;
}

/** Settings of {@link openImageDirectory}. */
export interface OpenImageOptions {
  /** @internal The file system; another one than Node's is for tests. */
  readonly files?: Files | undefined;
  /** Page size of the dump, where the caller knows it; otherwise it is inferred. */
  readonly pageBytes?: PageBytes | undefined;
  /** Lower maxima than the default ones. */
  readonly limits?: Partial<ImageLimits> | undefined;
  /**
   * The snapshot that an incremental dump continues. Pages that are in the parent are then resolved
   * there, and no other directory is read but for the inventory that the `parent` link leads to, if
   * it does. A dump that has all of its pages does not look at it.
   */
  readonly parent?: ParentSnapshot | undefined;
}

/**
 * Opens an image directory that `criu dump` or `criu pre-dump` wrote.
 *
 * @throws {StoreError} NOT_FOUND when there is none at `path`; INVALID_IMAGE when it contradicts
 * the format or itself, or the given parent; UNSUPPORTED_IMAGE for lazy and compressed pages and
 * other versions; INCOMPLETE when it changes meanwhile or lacks its parent; STORAGE when it cannot
 * be read.
 * @throws {RangeError} when the given parent is no possible snapshot.
 */
export function openImageDirectory(path: string, options: OpenImageOptions = {}): ImageDirectory {
  checkArguments(path, options);
  const { files = nodeFiles } = options;
  const limits = { ...IMAGE_LIMITS, ...options.limits };
  const top = readLevelAt({ files, limits }, path);
  const parent = spacesWithParent(top).length > 0 ? options.parent : undefined;
  const context =
    parent === undefined
      ? contextOfChain({ files, limits }, top, options.pageBytes)
      : contextOfSnapshot({ files, limits }, top, { parent, pageBytes: options.pageBytes });
  return describeDirectory(context, top);
}

/**
 * Compares all files of all directories that were read with what they were at opening.
 *
 * @throws {StoreError} INCOMPLETE naming the first that changed.
 */
export function confirmUnchanged(directory: ImageDirectory, files: Files = nodeFiles): void {
  const { listings, limits } = directory;
  for (const listing of listings) confirmListing(files, listing, limits);
}

function checkArguments(path: unknown, { pageBytes, parent }: OpenImageOptions): void {
  if (typeof path !== 'string' || path === '') {
    throw new TypeError('the path of an image directory is text that is not empty');
  }
  checkParentArgument(parent);
  if (pageBytes === undefined || PAGE_SIZES.includes(pageBytes)) return;
  throw new RangeError(`pageBytes is ${String(pageBytes)}, not one of ${PAGE_SIZES.join(', ')}`);
}

function contextOfChain(
  context: LevelContext,
  top: Level,
  given: PageBytes | undefined,
): FlattenContext {
  const chain = followChain(context, top);
  const pageBytes = findPageBytes(chain.levels, given);
  if (pageBytes !== UNIT_BYTES) checkPagemaps(context, chain.levels.slice(1), pageBytes);
  return { ...context, chain, pageBytes, parent: undefined };
}

function contextOfSnapshot(
  context: LevelContext,
  top: Level,
  given: { parent: ParentSnapshot; pageBytes: PageBytes | undefined },
): FlattenContext {
  const { parent } = given;
  checkParent(context.files, top, parent);
  const chain = { levels: [top], broken: undefined };
  const ofParent = parent.pageBytes as PageBytes;
  const pageBytes = findPageBytes(chain.levels, given.pageBytes, ofParent);
  checkParentPageSize(top, parent, pageBytes);
  return { ...context, chain, pageBytes, parent };
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

function describeDirectory(context: FlattenContext, top: Level): ImageDirectory {
  const { files, limits, chain, pageBytes } = context;
  return {
    path: top.path,
    mode: modeOf(files, top.listing.directory),
    kind: top.inventory['img_version'] === 0 ? 'pre-dump' : 'restorable',
    ...dumpIdentity(top.inventory),
    pageBytes,
    chainDepth: chain.levels.length - 1,
    ...flattenLevel(context, top),
    listings: chain.levels.map((level) => level.listing),
    limits,
  };
}
