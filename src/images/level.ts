/**
 * One directory of a chain, checked by itself: what it is, and which pagemap has its pages where.
 *
 * Everything here is decided from names, facts and small images before any page is read. Page
 * sizes and parents are the business of page-size.ts and chain.ts; a pagemap is decoded here with
 * the smallest page size, which finds everything but an overlap or misalignment of larger pages.
 */
import {
  type CriuMessage,
  decodePagemap,
  isRawName,
  isTypedName,
  needsParent,
  type PageBytes,
  type Pagemap,
  presentPages,
  readMessages,
  recogniseImage,
} from '../criu/index.ts';
import { StoreError, storageError, systemCode } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { INVENTORY_NAME, readInventory } from './inventory.ts';
import { PSTREE_BYTES_MAX, type ImageLimits } from './limits.ts';
import {
  listDirectory,
  type ListedItem,
  type Listing,
  readListed,
  seeDirectory,
  type SeenDirectory,
  shownPath,
  shownText,
} from './listing.ts';

/** A pagemap and the pages file it names. */
export interface LevelSpace {
  /** `pagemap-123` */
  readonly name: string;
  readonly pagemapFile: ListedItem;
  /** Undefined only when the pagemap has no entries. */
  readonly pagesFile: ListedItem | undefined;
  readonly pagesId: number;
  /** Pages in the pages file, by the pagemap, in pages of the dump's page size. */
  readonly presentPages: number;
  readonly needsParent: boolean;
}

/** One directory of a chain. */
export interface Level {
  readonly path: string;
  readonly listing: Listing;
  readonly inventory: CriuMessage;
  /** The `parent` link, if there is one. */
  readonly parentLink: ListedItem | undefined;
  readonly spaces: ReadonlyMap<string, LevelSpace>;
}

/** Where and how a level is read. */
export interface LevelContext {
  readonly files: Files;
  readonly limits: ImageLimits;
}

/** Reads one directory, without its pages. */
export function readLevel(context: LevelContext, directory: SeenDirectory): Level {
  const path = shownText(directory.path);
  const listing = listDirectory(context.files, directory, context.limits);
  const top = new Map<string, ListedItem>();
  for (const item of listing.items) {
    if (item.directory === directory) top.set(latin1(item.baseName), item);
  }
  const parentLink = top.get('parent');
  checkKinds(listing, parentLink);
  const inventory = readInventory(context.files, path, top.get(INVENTORY_NAME));
  refuseLegacyImages(context.files, top);
  return { path, listing, inventory, parentLink, spaces: readSpaces(context, top) };
}

/** Reads the directory at a path; NOT_FOUND when there is none. */
export function readLevelAt(context: LevelContext, path: string): Level {
  return readLevel(context, seeDirectory(context.files, canonicalPath(context.files, path)));
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

/** Every byte as one character, so that different names stay different. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

/** Names of the spaces of a directory that have pages in its parent. */
export function spacesWithParent(level: Level): string[] {
  return [...level.spaces.values()].filter((space) => space.needsParent).map(({ name }) => name);
}

function checkKinds(listing: Listing, parentLink: ListedItem | undefined): void {
  for (const item of listing.items) {
    const { kind } = item.facts;
    if (item === parentLink ? kind === 'link' : kind === 'file' || kind === 'directory') continue;
    const what = kind === 'other' ? 'a fifo, socket or device' : kind === 'link' ? 'a link' : kind;
    const message =
      item === parentLink
        ? `parent is not a symbolic link but ${what}`
        : `neither a file nor a directory but ${what}`;
    throw new StoreError('INVALID_IMAGE', message, { file: shownPath(item) });
  }
}

function refuseLegacyImages(files: Files, top: ReadonlyMap<string, ListedItem>): void {
  for (const [name, item] of top) {
    if (!name.endsWith('.img') || item.facts.kind !== 'file' || isRawName(name)) continue;
    const kind = recogniseImage(readListed(files, item, 8), name);
    // Of a name that CRIU gives: what a plugin wrote may begin with anything.
    if (kind.format !== 'legacy' || !isTypedName(name)) continue;
    const message = `an image (${kind.type}) of the format before CRIU 1.6`;
    throw new StoreError('UNSUPPORTED_IMAGE', message, { file: shownPath(item) });
  }
}

const PAGEMAP_NAME = /^(pagemap-(?:shmem-)?([0-9]+))\.img$/;

/**
 * The spaces of a directory. Who dumps into the same directory again and again, as podman does for
 * a container that goes on running, leaves images there of processes that have ended: their
 * pagemaps name pages files that have been overwritten. CRIU reads no image of a process that is
 * not in the tree, and such a pagemap is a file like any other here.
 */
function readSpaces(
  context: LevelContext,
  top: ReadonlyMap<string, ListedItem>,
): ReadonlyMap<string, LevelSpace> {
  const spaces = new Map<string, LevelSpace>();
  const pagemapOfPages = new Map<number, string>();
  const alive = processIds(context, top.get('pstree.img'));
  for (const [fileName, item] of top) {
    const [, name, id] = PAGEMAP_NAME.exec(fileName) ?? [];
    if (name === undefined || item.facts.kind !== 'file') continue;
    if (alive?.has(Number(id)) === false && name === `pagemap-${id}`) continue;
    const space = readSpace(context, { top, name, item });
    const other = pagemapOfPages.get(space.pagesId);
    if (other !== undefined) throw sharedPages(item, space.pagesId, other);
    pagemapOfPages.set(space.pagesId, name);
    spaces.set(name, space);
  }
  return spaces;
}

/** The processes of the tree; undefined where no tree tells. */
function processIds(
  { files }: LevelContext,
  item: ListedItem | undefined,
): ReadonlySet<number> | undefined {
  if (item?.facts.kind !== 'file' || item.facts.sizeBytes > PSTREE_BYTES_MAX) return undefined;
  const bytes = readListed(files, item, PSTREE_BYTES_MAX);
  try {
    const entries = readMessages(() => bytes, 'pstree.img', 'PSTREE') ?? [];
    return new Set(entries.map(({ pid }) => Number(pid)));
  } catch (error) {
    // Kept as it is: whoever restores it will be told by CRIU.
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}

function readSpace(
  context: LevelContext,
  from: { top: ReadonlyMap<string, ListedItem>; name: string; item: ListedItem },
): LevelSpace {
  const { top, name, item } = from;
  const pagemap = readPagemap(context, item);
  const { pagesId } = pagemap;
  const pagesName = `pages-${pagesId}.img`;
  const found = top.get(pagesName);
  const pagesFile = found?.facts.kind === 'file' ? found : undefined;
  if (pagesFile === undefined && pagemap.starts.length > 0) {
    const message = `${pagesName}, which ${name}.img names, is missing`;
    throw new StoreError('INVALID_IMAGE', message, { file: shownPath(item) });
  }
  return {
    name,
    pagemapFile: item,
    pagesFile,
    pagesId,
    presentPages: presentPages(pagemap),
    needsParent: needsParent(pagemap),
  };
}

/** Reads and decodes a pagemap image. */
export function readPagemap(
  { files, limits }: LevelContext,
  item: ListedItem,
  pageBytes?: PageBytes,
): Pagemap {
  if (item.facts.sizeBytes > limits.pagemapBytes) throw tooLarge(item, limits.pagemapBytes);
  const bytes = readListed(files, item, limits.pagemapBytes);
  return decodePagemap(bytes, { file: shownPath(item), pageBytes });
}

function tooLarge(item: ListedItem, maximum: number): StoreError {
  const message = `${item.facts.sizeBytes} bytes long, at most ${maximum} are supported`;
  return new StoreError('UNSUPPORTED_IMAGE', message, { file: shownPath(item) });
}

function sharedPages(item: ListedItem, pagesId: number, other: string): StoreError {
  const message = `pages-${pagesId}.img belongs to ${other}.img as well: a mix of two dumps`;
  return new StoreError('INVALID_IMAGE', message, { file: shownPath(item) });
}
