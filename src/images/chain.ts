/**
 * Follows `parent` links from a directory of an incremental dump towards the full dump at the end,
 * as far as pages may be missing.
 *
 * Each link is resolved once; after that a directory is known by its device and inode, which also
 * tells a chain that bites its own tail. What is wrong with a parent is kept, and thrown only when
 * a page turns out to be needed from it: a dump that has all of its pages needs no parent.
 */
import { StoreError } from '../errors.ts';
import { type Level, type LevelContext, readLevel, spacesWithParent } from './level.ts';
import { type ListedItem, seeDirectory, shownPath } from './listing.ts';
import { followParentLink } from './parent-link.ts';

/** A directory and those that its pages may be in. */
export interface Chain {
  /** The directory itself first. */
  readonly levels: readonly Level[];
  /** Why the chain ends where pages may still be missing. */
  readonly broken: StoreError | undefined;
}

/** Reads what the directory hangs on, one directory after the other. */
export function followChain(context: LevelContext, top: Level): Chain {
  const levels = [top];
  const seen = new Map([[identityOf(top), top.path]]);
  let wanted = spacesWithParent(top);
  let child = top;
  while (wanted.length > 0 && child.parentLink !== undefined) {
    try {
      child = readParent(context, { child, link: child.parentLink, seen });
    } catch (error) {
      if (error instanceof StoreError) return { levels, broken: error };
      throw error;
    }
    levels.push(child);
    const { spaces } = child;
    wanted = wanted.filter((name) => spaces.get(name)?.needsParent === true);
  }
  return { levels, broken: undefined };
}

interface Step {
  readonly child: Level;
  readonly link: ListedItem;
  /** Paths of the directories before, by their identity. */
  readonly seen: Map<string, string>;
}

function readParent(context: LevelContext, { child, link, seen }: Step): Level {
  const path = followParentLink(context.files, child.path, link);
  const directory = seeDirectory(context.files, path);
  const identity = `${directory.device}:${directory.inode}`;
  const before = seen.get(identity);
  if (before !== undefined) {
    const message = `the parent links form a loop: ${path} comes again after ${before}`;
    throw new StoreError('INVALID_IMAGE', message, { file: shownPath(link) });
  }
  const { chainDepth } = context.limits;
  if (seen.size > chainDepth) {
    const message = `more than ${chainDepth} parent directories`;
    throw new StoreError('UNSUPPORTED_IMAGE', message, { file: shownPath(link) });
  }
  seen.set(identity, path);
  return readLevel(context, directory);
}

function identityOf({ listing }: Level): string {
  return `${listing.directory.device}:${listing.directory.inode}`;
}
