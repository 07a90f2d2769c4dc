/**
 * Things that are gone: how `deleted.files` and OCI layers say it, and how a tree does, which is
 * overlayfs's way: a character device 0/0 in a thing's place, or an opaque directory.
 */
import { comparePaths, type Xattr } from '../tree/entry.ts';
import { StoreError } from '../errors.ts';
import { shapeOf } from './json-shape.ts';
import type { LimitCounter } from './limits.ts';
import { fitsBelow } from './member-limits.ts';
import { cleanPath, printableName } from './member-names.ts';
import { latin1 } from './pax.ts';
import type { TarMember } from './tar-member.ts';
import { asciiBytes } from './tar-header.ts';
import { below, FILES_DIRECTORY, isBelow, lastPart, parentPath } from './tree-path.ts';
import { madeNode, type TreeBuilder } from './tree-builder.ts';

/** What a member of an OCI layer says: a path is gone, or all that was in a directory. */
export interface Whiteout {
  readonly path: Uint8Array;
  readonly isOpaque: boolean;
}

const PREFIX = '.wh.';
const OPAQUE_NAME = '.wh..wh..opq';
const OPAQUE: Xattr = { name: asciiBytes('trusted.overlay.opaque'), value: asciiBytes('y') };

/** Whether this is the name of a whiteout in a layer. */
export function isWhiteoutName(path: Uint8Array): boolean {
  return latin1(lastPart(path)).startsWith(PREFIX);
}

/** Reads a member with such a name. @throws Error that says what is wrong with it. */
export function readWhiteout(path: Uint8Array, member: TarMember): Whiteout {
  if (member.kind !== 'file' || member.sizeBytes > 0) throw new Error('is no empty file');
  const name = latin1(lastPart(path));
  if (name === OPAQUE_NAME) return { path: parentPath(path), isOpaque: true };
  const gone = name.slice(PREFIX.length);
  if (gone === '' || gone === '.' || gone === '..' || gone.startsWith(PREFIX)) {
    throw new Error('is no whiteout of a name');
  }
  const parent = parentPath(path);
  const last = asciiBytes(gone);
  return { path: parent.length === 0 ? last : below(parent, last), isOpaque: false };
}

/** Reads `deleted.files`: a JSON array of absolute paths, which are counted like members. */
export function parseDeletedFiles(
  bytes: Uint8Array,
  file: string,
  counter: LimitCounter,
): Whiteout[] {
  const shape = shapeOf(bytes);
  // Nested deeper than is meant to be, it takes forty times its size to parse.
  if (shape.depth > 1) throw noList(file);
  counter.checkMembers(shape.values);
  const paths = parseArray(bytes, file);
  return paths.map((value) => {
    const path = new TextEncoder().encode(value);
    counter.addMember(path.length);
    try {
      if (path[0] !== 0x2f) throw new Error('is not absolute');
      return { path: cleanDeleted(path.subarray(1)), isOpaque: false };
    } catch (error) {
      const message = `the deleted path ${printableName(path)} ${(error as Error).message}`;
      throw new StoreError('INVALID_IMAGE', message, { file });
    }
  });
}

function cleanDeleted(path: Uint8Array): Uint8Array {
  const clean = cleanPath(path, false);
  if (clean.length !== path.length) throw new Error('has the part .');
  if (!fitsBelow(FILES_DIRECTORY, clean)) throw new Error('is too long');
  return clean;
}

function parseArray(bytes: Uint8Array, file: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new StoreError('INVALID_IMAGE', 'the list of deleted files is no JSON', { file, cause });
  }
  if (Array.isArray(value) && value.every((path) => typeof path === 'string')) return value;
  // How Go writes a list that was never made.
  if (value === null) return [];
  throw noList(file);
}

function noList(file: string): StoreError {
  return new StoreError('INVALID_IMAGE', 'the list of deleted files is no list of paths', { file });
}

/**
 * Puts what is gone into a tree that has all members already.
 *
 * @param counter counts directories that are made up above them.
 */
export function applyWhiteouts(
  tree: TreeBuilder,
  whiteouts: readonly Whiteout[],
  counter: LimitCounter,
): void {
  const found = whiteouts.map(({ path, isOpaque }) => ({
    path: below(FILES_DIRECTORY, path),
    isOpaque,
  }));
  // From the root down: what is below something that is gone needs no whiteout.
  found.sort((a, b) => comparePaths(a.path, b.path));
  // The last one that was found above a path: of 3,000 paths 2,000 levels below one that is gone,
  // each took 6 ms to find it anew.
  let cover: Uint8Array | undefined;
  for (const { path, isOpaque } of found) {
    if (cover !== undefined && isBelow(path, cover)) continue;
    cover = tree.nonDirectoryAbove(path)?.path;
    if (cover !== undefined) continue;
    const node = tree.get(path);
    if (node?.kind === 'directory' || (node === undefined && isOpaque)) {
      // Deleted, and yet there: it was made anew, and shows nothing of what it was.
      const directory = node ?? madeNode(path, 'directory', 0o755);
      const others = directory.xattrs.filter(({ name }) => latin1(name) !== latin1(OPAQUE.name));
      const xattrs = [...others, OPAQUE].sort((a, b) => comparePaths(a.name, b.name));
      tree.put({ ...directory, xattrs }, counter);
    } else if (node === undefined) {
      tree.put(madeNode(path, 'character', 0), counter);
    }
  }
}
