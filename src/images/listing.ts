/**
 * What stands in a directory, with the facts that tell later whether it still does.
 *
 * A listing takes note of everything and judges nothing; `parent` is listed like any other name. A
 * directory is entered through a descriptor whose device and inode are compared with those seen
 * first, and its files are reached through that descriptor, so that a path component that somebody
 * swaps leads to an error, never to another file. No descriptor stays open between two calls.
 *
 * A listing is plain data: it may be sent to a worker thread, which can then open what another
 * found. Names are declared as bytes, not as Buffers, because a Buffer arrives there as a
 * Uint8Array; and each owns its memory, so that a message carries no pool of other bytes.
 */
import { StoreError, storageError, systemCode } from '../errors.ts';
import type { FileFacts, Files } from '../files/files.ts';
import { readUpTo } from '../files/transfer.ts';
import { type ImageLimits, NAME_BYTES_MAX } from './limits.ts';

/** A directory that was seen once, and how to know it again. */
export interface SeenDirectory {
  readonly path: Uint8Array;
  readonly device: bigint;
  readonly inode: bigint;
}

/** One name of a listing. */
export interface ListedItem {
  readonly directory: SeenDirectory;
  /** The last component. */
  readonly baseName: Uint8Array;
  /** Path relative to the listed directory. */
  readonly name: Uint8Array;
  readonly facts: FileFacts;
}

/** All names below a directory, each directory before what is in it. */
export interface Listing {
  readonly directory: SeenDirectory;
  readonly items: readonly ListedItem[];
}

/** Path of an item, for messages. */
export function shownPath(item: ListedItem): string {
  return shownText(joinPath(item.directory.path, item.baseName));
}

/** Bytes of a path as text, for messages. */
export function shownText(path: Uint8Array): string {
  return bufferOn(path).toString();
}

/** Takes note of what `path`, a canonical path, is now. */
export function seeDirectory(files: Files, path: string): SeenDirectory {
  const facts = attempt('look at', path, () => files.lstat(path));
  if (facts.kind !== 'directory') {
    throw new StoreError('INVALID_IMAGE', `not a directory but a ${facts.kind}`, { file: path });
  }
  return { path: new TextEncoder().encode(path), device: facts.device, inode: facts.inode };
}

/** Permission bits of a directory that was seen. */
export function modeOf(files: Files, directory: SeenDirectory): number {
  const path = bufferOn(directory.path);
  return attempt('look at', shownText(directory.path), () => files.lstat(path)).mode;
}

/** Lists a directory with all of its subdirectories. */
export function listDirectory(
  files: Files,
  directory: SeenDirectory,
  limits: ImageLimits,
): Listing {
  const items: ListedItem[] = [];
  listInto(items, { files, directory, prefix: new Uint8Array(0), depth: 0, limits });
  items.sort((a, b) => Buffer.compare(a.name, b.name));
  return { directory, items };
}

interface ListStep {
  readonly files: Files;
  readonly directory: SeenDirectory;
  readonly prefix: Uint8Array;
  readonly depth: number;
  readonly limits: ImageLimits;
}

function listInto(items: ListedItem[], step: ListStep): void {
  const { files, directory, prefix, depth, limits } = step;
  const file = shownText(directory.path);
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
      throw new StoreError('UNSUPPORTED_IMAGE', message, { file: shownText(path) });
    }
    const { device, inode } = item.facts;
    const below = { path, device, inode };
    listInto(items, { ...step, directory: below, prefix: item.name, depth: depth + 1 });
  }
}

/** Looks at one name of a directory without listing it; undefined when there is no such name. */
export function lookUpName(
  files: Files,
  directory: SeenDirectory,
  name: string,
): ListedItem | undefined {
  const baseName = new TextEncoder().encode(name);
  return enter(files, directory, (inside) => {
    try {
      return lookAt(files, { directory, inside, prefix: new Uint8Array(0), baseName });
    } catch (error) {
      if (error instanceof StoreError && systemCode(error.cause) === 'ENOENT') return undefined;
      throw error;
    }
  });
}

interface Position {
  readonly directory: SeenDirectory;
  readonly inside: Buffer;
  readonly prefix: Uint8Array;
  readonly baseName: Uint8Array;
}

function lookAt(files: Files, { directory, inside, prefix, baseName }: Position): ListedItem {
  const file = shownText(joinPath(directory.path, baseName));
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
  const file = shownText(directory.path);
  const path = bufferOn(directory.path);
  const fd = attempt('open', file, () => files.open(path, 'directory'));
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
  return b === undefined ? -1 : Buffer.compare(a.name, b.name);
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

/** A path below a directory, in memory of its own: that of `Buffer.concat` may be of a pool. */
function joinPath(directory: Uint8Array, baseName: Uint8Array): Buffer {
  const path = Buffer.alloc(directory.length + 1 + baseName.length, '/');
  path.set(directory);
  path.set(baseName, directory.length + 1);
  return path;
}

/** The same bytes as a Buffer, which the door wants. */
function bufferOn(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
