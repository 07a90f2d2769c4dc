/**
 * The `parent` link of a directory: what it says, and where it leads now.
 *
 * A relative link counts from the directory it is in. Links get lost: the directory may have been
 * moved, or its parent removed or replaced by another dump.
 */
import { StoreError, storageError, systemCode } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { type DumpIdentity, dumpIdentity, INVENTORY_NAME, readInventory } from './inventory.ts';
import type { Level } from './level.ts';
import { enter, type ListedItem, lookUpName, seeDirectory, shownPath } from './listing.ts';

/**
 * What a parent link says, as raw bytes.
 *
 * @throws {StoreError} INCOMPLETE when it is no longer there.
 */
export function readParentLink(files: Files, link: ListedItem): Buffer {
  return enter(files, link.directory, (inside) => {
    try {
      return files.readlink(Buffer.concat([inside, Buffer.from('/'), link.baseName]));
    } catch (cause) {
      const file = shownPath(link);
      const code = systemCode(cause);
      if (code !== 'ENOENT' && code !== 'EINVAL') throw storageError('read', file, cause);
      throw new StoreError('INCOMPLETE', 'the parent link was replaced', { file, cause });
    }
  });
}

/**
 * The canonical path of what the parent link of the directory at `path` leads to.
 *
 * @throws {StoreError} INCOMPLETE when nothing is there, INVALID_IMAGE when nothing ever can be.
 */
export function followParentLink(files: Files, path: string, link: ListedItem): string {
  const file = shownPath(link);
  const target = textOfLink(readParentLink(files, link), file);
  try {
    return files.realpath(target.startsWith('/') ? target : `${path}/${target}`);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT') {
      const message = `the parent directory ${target} is missing`;
      throw new StoreError('INCOMPLETE', message, { file, cause });
    }
    if (code === 'ELOOP') {
      throw new StoreError('INVALID_IMAGE', 'the parent link leads to itself', { file, cause });
    }
    throw storageError('follow', file, cause);
  }
}

function textOfLink(bytes: Buffer, file: string): string {
  const text = bytes.toString();
  if (Buffer.from(text).equals(bytes)) return text;
  throw new StoreError('INVALID_IMAGE', 'the parent link is not UTF-8', { file });
}

/**
 * Which dump the parent link of a directory leads to now; undefined when that cannot be told, for
 * whatever reason: this is evidence where it is there, never a need.
 */
export function linkedDump(files: Files, { path, parentLink }: Level): DumpIdentity | undefined {
  if (parentLink === undefined) return undefined;
  try {
    const parent = followParentLink(files, path, parentLink);
    const item = lookUpName(files, seeDirectory(files, parent), INVENTORY_NAME);
    return dumpIdentity(readInventory(files, parent, item));
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}
