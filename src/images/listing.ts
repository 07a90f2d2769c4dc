/**
 * What stands in a directory, with the facts that tell later whether it still does.
 *
 * A listing takes note of everything and judges nothing; `parent` is listed like any other name. A
 * directory is entered through a descriptor whose device and inode are compared with those seen
 * first, and its files are reached through that descriptor, so that a path component that somebody
 * swaps leads to an error, never to another file. No descriptor stays open between two calls.
 */
import { StoreError, storageError, systemCode } from '../errors.ts';
import type { FileFacts, Files } from '../files/files.ts';
import { readUpTo } from '../files/transfer.ts';
import { type ImageLimits, NAME_BYTES_MAX } from './limits.ts';

/** A directory that was seen once, and how to know it again. */
export interface SeenDirectory {
  readonly path: Buffer;
  readonly device: bigint;
  readonly inode: bigint;
}

/** One name of a listing. */
export interface ListedItem {
  readonly directory: SeenDirectory;
  /** The last component. */
  readonly baseName: Buffer;
  /** Path relative to the listed directory. */
  readonly name: Buffer;
  readonly facts: FileFacts;
}

/** All names below a directory, each directory before what is in it. */
export interface Listing {
  readonly directory: SeenDirectory;
  readonly items: readonly ListedItem[];
}

/** Path of an item, for messages. */
export function shownPath(item: ListedItem): string {
  return joinPath(item.directory.path, item.baseName).toString();
}

/** Takes note of what `path`, a canonical path, is now. */
export function seeDirectory(files: Files, path: string): SeenDirectory {
  const facts = attempt('look at', path, () => files.lstat(path));
  if (facts.kind !== 'directory') {
    throw new StoreError('INVALID_IMAGE', `not a directory but a ${facts.kind}`, { file: path });
  }
  return { path: Buffer.from(path), device: facts.device, inode: facts.inode };
}

/** Lists a directory with all of its subdirectories. */
export function listDirectory(
  files: Files,
  directory: SeenDirectory,
  limits: ImageLimits,
): Listing {
  const items: ListedItem[] = [];
  listInto(items, { files, directory, prefix: Buffer.alloc(0), depth: 0, limits });
  items.sort((a, b) => a.name.compare(b.name));
  return { directory, items };
}

interface ListStep {
  readonly files: Files;
  readonly directory: SeenDirectory;
  readonly prefix: Buffer;
  readonly depth: number;
  readonly limits: ImageLimits;
}

function listInto(items: ListedItem[], step: ListStep): void {
  const { files, directory, prefix, depth, limits } = step;
  const file = directory.path.toString();
  const found = enter(files, directory, (inside) =>
    attempt('list', file, () => files.list(inside)).map((baseName) => {
      if (items.length >= limits.directoryEntries) throw tooMany(file, limits.directoryEntries);
      const item = lookAt(files, { directory, inside, prefix, baseName });
      items.push(item);
      return item;
    }),
  );
  for (const item of found) {
    if (item.facts.kind !== 'directory') continue;
    const path = joinPath(directory.path, item.baseName);
    if (depth >= limits.subdirectoryDepth) {
      const message = `subdirectories deeper than ${limits.subdirectoryDepth} levels`;
      throw new StoreError('UNSUPPORTED_IMAGE', message, { file: path.toString() });
    }
    const { device, inode } = item.facts;
    const below = { path, device, inode };
    listInto(items, { ...step, directory: below, prefix: item.name, depth: depth + 1 });
  }
}

interface Position {
  readonly directory: SeenDirectory;
  readonly inside: Buffer;
  readonly prefix: Buffer;
  readonly baseName: Buffer;
}

function lookAt(files: Files, { directory, inside, prefix, baseName }: Position): ListedItem {
  const file = joinPath(directory.path, baseName).toString();
  if (baseName.length > NAME_BYTES_MAX) {
    const message = `a name of more than ${NAME_BYTES_MAX} bytes`;
    throw new StoreError('UNSUPPORTED_IMAGE', message, { file });
  }
  const facts = attempt('look at', file, () => files.lstat(joinPath(inside, baseName)));
  const name = prefix.length === 0 ? baseName : joinPath(prefix, baseName);
  return { directory, baseName, name, facts };
}

/** Runs `action` with a path that leads into exactly this directory. */
export function enter<T>(files: Files, directory: SeenDirectory, action: (inside: Buffer) => T): T {
  const file = directory.path.toString();
  const fd = attempt('open', file, () => files.open(directory.path, 'directory'));
  try {
    const { device, inode } = attempt('look at', file, () => files.stat(fd));
    if (device !== directory.device || inode !== directory.inode) {
      throw new StoreError('INCOMPLETE', 'another directory has taken this place', { file });
    }
    return action(Buffer.from(`/proc/self/fd/${fd}`));
  } finally {
    files.close(fd);
  }
}

/** Opens a listed file for reading, if it is still the same and unchanged. */
export function openListed(files: Files, item: ListedItem): number {
  const file = shownPath(item);
  const fd = enter(files, item.directory, (inside) =>
    attempt('open', file, () => files.open(joinPath(inside, item.baseName), 'read')),
  );
  try {
    confirmFile(files, fd, item);
    return fd;
  } catch (error) {
    files.close(fd);
    throw error;
  }
}

/** Throws unless an open file is the listed one, as it was listed. */
export function confirmFile(files: Files, fd: number, item: ListedItem): void {
  const file = shownPath(item);
  const facts = attempt('look at', file, () => files.stat(fd));
  const difference = factsDifference(item.facts, facts);
  if (difference !== undefined) throw changed(file, difference);
}

/** Reads the first bytes of a listed file, all of it when it is no longer than `maximumBytes`. */
export function readListed(files: Files, item: ListedItem, maximumBytes: number): Uint8Array {
  const file = shownPath(item);
  const target = new Uint8Array(Math.min(item.facts.sizeBytes, maximumBytes));
  const fd = openListed(files, item);
  try {
    readExactly(files, { fd, file, target, position: 0 });
    return target;
  } finally {
    files.close(fd);
  }
}

/** Fills `target`; a file that ends before is INCOMPLETE. */
export function readExactly(
  files: Files,
  from: { fd: number; file: string; target: Uint8Array; position: number },
): void {
  const { fd, file, target, position } = from;
  const count = attempt('read', file, () => readUpTo(files, fd, target, position));
  if (count < target.length) throw changed(file, `it ends at byte ${position + count}`);
}

/** Throws INCOMPLETE, naming the first difference, unless the directory is as it was listed. */
export function confirmListing(files: Files, before: Listing, limits: ImageLimits): void {
  const now = listDirectory(files, before.directory, limits);
  const length = Math.max(before.items.length, now.items.length);
  for (let i = 0; i < length; i++) {
    const old = before.items[i];
    const item = now.items[i];
    const order = compareNames(old, item);
    if (old !== undefined && order < 0) throw changed(shownPath(old), 'it is gone');
    if (item !== undefined && order > 0) throw changed(shownPath(item), 'it is new');
    if (old === undefined || item === undefined) continue;
    const difference = factsDifference(old.facts, item.facts);
    if (difference !== undefined) throw changed(shownPath(old), difference);
  }
}

function compareNames(a: ListedItem | undefined, b: ListedItem | undefined): number {
  if (a === undefined) return 1;
  return b === undefined ? -1 : a.name.compare(b.name);
}

/** What differs between two looks at one file, in words. */
function factsDifference(a: FileFacts, b: FileFacts): string | undefined {
  if (a.kind !== b.kind) return `it was a ${a.kind} and is a ${b.kind}`;
  if (a.inode !== b.inode || a.device !== b.device) return 'another file has taken its place';
  if (a.mode !== b.mode) return 'its mode changed';
  // The size and times of a directory also change with a file that came and went again.
  if (a.kind === 'directory') return undefined;
  if (a.sizeBytes !== b.sizeBytes) return `it had ${a.sizeBytes} bytes and has ${b.sizeBytes}`;
  if (a.modifiedNs !== b.modifiedNs) return 'it was written to';
  return a.changedNs === b.changedNs ? undefined : 'its inode was changed';
}

function changed(file: string, difference: string): StoreError {
  const message = `the image directory changed while it was read: ${difference}`;
  return new StoreError('INCOMPLETE', message, { file });
}

function tooMany(file: string, maximum: number): StoreError {
  return new StoreError('UNSUPPORTED_IMAGE', `more than ${maximum} files`, { file });
}

// What the door answers when a file that was listed is gone, or something else is in its place.
const REPLACED: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO']);

/** Runs one call of the door on something listed and gives its failure a meaning. */
function attempt<T>(action: string, file: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!REPLACED.has(systemCode(error))) throw storageError(action, file, error);
    const message = 'the image directory changed while it was read: it is gone or replaced';
    throw new StoreError('INCOMPLETE', message, { file, cause: error });
  }
}

function joinPath(directory: Buffer, baseName: Buffer): Buffer {
  return Buffer.concat([directory, SLASH, baseName]);
}

const SLASH = Buffer.from('/');
