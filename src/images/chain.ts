/**
 * Follows `parent` links from a directory of an incremental dump to the full dump at its end.
 *
 * A relative link counts from the directory it is in. Each link is resolved once; after that a
 * directory is known by its device and inode, which also tells a chain that bites its own tail.
 */
import { StoreError, storageError, systemCode } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { type Level, type LevelContext, readLevel } from './level.ts';
import { enter, type ListedItem, seeDirectory, shownPath } from './listing.ts';

/** Reads a directory and all that it hangs on, itself first. */
export function readChain(context: LevelContext, path: string): Level[] {
  const seen = new Map<string, string>();
  const levels: Level[] = [];
  let next: string | undefined = path;
  let link: ListedItem | undefined;
  while (next !== undefined) {
    const directory = seeDirectory(context.files, next);
    const identity = `${directory.device}:${directory.inode}`;
    const before = seen.get(identity);
    if (before !== undefined) throw loop(link, next, before);
    if (levels.length > context.limits.chainDepth) throw tooDeep(path, context.limits.chainDepth);
    seen.set(identity, next);
    const level = readLevel(context, directory);
    levels.push(level);
    link = level.parentLink;
    next = link === undefined ? undefined : resolveParent(context.files, level.path, link);
  }
  return levels;
}

function resolveParent(files: Files, path: string, link: ListedItem): string {
  const file = shownPath(link);
  const target = readTarget(files, link, file);
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

function readTarget(files: Files, link: ListedItem, file: string): string {
  const bytes = enter(files, link.directory, (inside) => {
    try {
      return files.readlink(Buffer.concat([inside, Buffer.from('/'), link.baseName]));
    } catch (cause) {
      const code = systemCode(cause);
      if (code !== 'ENOENT' && code !== 'EINVAL') throw storageError('read', file, cause);
      throw new StoreError('INCOMPLETE', 'the parent link was replaced', { file, cause });
    }
  });
  const target = bytes.toString();
  if (Buffer.from(target).equals(bytes)) return target;
  throw new StoreError('INVALID_IMAGE', 'the parent link is not UTF-8', { file });
}

function loop(link: ListedItem | undefined, path: string, before: string): StoreError {
  const message = `the parent links form a loop: ${path} comes again after ${before}`;
  const file = link === undefined ? path : shownPath(link);
  return new StoreError('INVALID_IMAGE', message, { file });
}

function tooDeep(path: string, maximum: number): StoreError {
  const message = `more than ${maximum} parent directories`;
  return new StoreError('UNSUPPORTED_IMAGE', message, { file: path });
}
