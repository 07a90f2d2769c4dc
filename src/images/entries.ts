/**
 * The entries of a flat directory: which of its files are what they are on disk, which are
 * rewritten, and which are put together from other dumps.
 */
import { encodePagemap, type PageBytes, type Pagemap, UNIT_BYTES } from '../criu/index.ts';
import type { ContentSource } from './content.ts';
import { type FlattenContext, flattenSpace, SNAPSHOT_LEVEL } from './flatten.ts';
import { type Level, type LevelSpace, readPagemap } from './level.ts';
import type { ListedItem } from './listing.ts';
import { inheritedPages, type InheritedPages, piecesOf } from './pieces.ts';

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
  /** Where the content is; undefined for a directory. */
  readonly source: ContentSource | undefined;
  /**
   * The pages that are those of the parent snapshot, where one was given and has some. They are
   * in no file: to read them is a RangeError.
   */
  readonly inherited: InheritedPages | undefined;
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

/** The entries of a directory, and the spaces of its pagemaps. */
export interface FlatLevel {
  readonly entries: readonly ImageEntry[];
  readonly spaces: readonly MemorySpace[];
}

/** Describes the first directory of a chain as a flat one. */
export function flattenLevel(context: FlattenContext, top: Level): FlatLevel {
  const spaces: MemorySpace[] = [];
  const changed = new Map<ListedItem, ImageEntry>();
  for (const levelSpace of top.spaces.values()) {
    const pagemap = readPagemap(context, levelSpace.pagemapFile, context.pageBytes);
    const found = levelSpace.needsParent
      ? gatheredEntries(context, levelSpace, pagemap)
      : ownEntries(context, levelSpace, pagemap);
    spaces.push(found.space);
    for (const [item, entry] of found.changed) changed.set(item, entry);
  }
  const entries = top.listing.items
    .filter((item) => item !== top.parentLink)
    .map((item) => changed.get(item) ?? plainEntry(item));
  return { entries, spaces };
}

interface SpaceEntries {
  readonly space: MemorySpace;
  /** Entries that are more than their file. */
  readonly changed: readonly (readonly [ListedItem, ImageEntry])[];
}

/** A space whose pages are all in this directory: its files are the flat ones. */
function ownEntries(
  { pageBytes }: FlattenContext,
  { name, pagesFile }: LevelSpace,
  pagemap: Pagemap,
): SpaceEntries {
  const space = memorySpace(name, pagemap, pageBytes);
  if (pagesFile === undefined) return { space, changed: [] };
  return { space, changed: [[pagesFile, { ...plainEntry(pagesFile), space }]] };
}

/** A space with pages in parents: its pagemap is rewritten, its pages are gathered. */
function gatheredEntries(
  context: FlattenContext,
  { name, pagemapFile, pagesFile }: LevelSpace,
  pagemap: Pagemap,
): SpaceEntries {
  const { chain, pageBytes, parent } = context;
  const flat = flattenSpace(context, name, pagemap);
  const space = memorySpace(name, flat.pagemap, pageBytes);
  // A copy: the encoder's buffer may be twice as long, and would be sent along to other threads.
  const bytes = encodePagemap(flat.pagemap).slice();
  const pagemapEntry: ImageEntry = {
    ...plainEntry(pagemapFile),
    sizeBytes: bytes.length,
    source: { kind: 'bytes', bytes },
  };
  if (pagesFile === undefined) return { space, changed: [[pagemapFile, pagemapEntry]] };
  const pieces = piecesOf(flat.ranges);
  const items = chain.levels.map((level) => level.spaces.get(name)?.pagesFile);
  const pagesEntry: ImageEntry = {
    ...plainEntry(pagesFile),
    sizeBytes: space.pageCount * UNIT_BYTES,
    space,
    source: { kind: 'pieces', pieces, items },
    inherited: parent && inheritedPages(pieces, SNAPSHOT_LEVEL),
  };
  const changed = [[pagemapFile, pagemapEntry] as const, [pagesFile, pagesEntry] as const];
  return { space, changed };
}

function plainEntry(item: ListedItem): ImageEntry {
  const isFile = item.facts.kind === 'file';
  return {
    name: new Uint8Array(item.name),
    kind: isFile ? 'file' : 'directory',
    mode: item.facts.mode,
    sizeBytes: isFile ? item.facts.sizeBytes : 0,
    space: undefined,
    source: isFile ? { kind: 'file', item } : undefined,
    inherited: undefined,
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
