/**
 * Finds every page of a space in a chain of directories, and describes the space without parents.
 *
 * The first directory says which pages there are; those that are in the parent are looked up in
 * the same-named pagemap there, by address, which may send them on to its own parent. The flat
 * pagemap has the pages in the same order, all present, in the generation of the first directory,
 * with the flag for lazy restore of the directory that has the page.
 *
 * Where the parent is given as a snapshot, all that is missing is looked up there, in its flat
 * space of the same name, and no other directory is needed.
 */
import {
  type PageBytes,
  type Pagemap,
  type PagemapGeneration,
  PE_PARENT,
  PE_PRESENT,
  UNIT_BYTES,
} from '../criu/index.ts';
import { StoreError } from '../errors.ts';
import type { Chain } from './chain.ts';
import { type LevelContext, readPagemap } from './level.ts';
import { shownPath } from './listing.ts';
import { checkParentSpace, type ParentSnapshot } from './parent-snapshot.ts';
import { Ranges } from './ranges.ts';

/** A space without parents. */
export interface FlatSpace {
  readonly pagemap: Pagemap;
  /** Where each of its pages is, in address order. */
  readonly ranges: Ranges;
}

/** What flattening needs to know. */
export interface FlattenContext extends LevelContext {
  readonly chain: Chain;
  readonly pageBytes: PageBytes;
  /** Takes the place of all directories of the chain but the first. */
  readonly parent: ParentSnapshot | undefined;
}

/** The level that stands for the parent snapshot, where there is one. */
export const SNAPSHOT_LEVEL = 1;

/** Ranges that are still to be found, in units of 4096 bytes. */
interface Pending {
  readonly starts: Float64Array;
  readonly lengths: Float64Array;
  readonly length: number;
}

/**
 * Flattens a space of the first directory.
 *
 * @throws {StoreError} INVALID_IMAGE when a page is in no directory of the chain.
 */
export function flattenSpace(context: FlattenContext, name: string, first: Pagemap): FlatSpace {
  const found = new Ranges();
  const units = context.pageBytes / UNIT_BYTES;
  let pending = takePresent(first, units, found);
  for (let depth = 1; pending.length > 0; depth++) {
    const wanted = { name, depth, start: pending.starts[0] ?? 0 };
    const pages =
      context.parent === undefined
        ? directoryPages(context, wanted)
        : snapshotPages(context, context.parent, wanted);
    pending = lookUp(pending, pages, { found, depth });
  }
  const ranges = found.sorted();
  return { pagemap: flatPagemap(first, ranges, units), ranges };
}

/** Splits a pagemap into the pages that are there and those that are to be found. */
function takePresent(pagemap: Pagemap, units: number, found: Ranges): Pending {
  const missing = new Ranges();
  let offset = 0;
  for (let i = 0; i < pagemap.starts.length; i++) {
    const start = pagemap.starts[i] ?? 0;
    const length = (pagemap.counts[i] ?? 0) * units;
    const flags = pagemap.flags[i] ?? 0;
    if ((flags & PE_PRESENT) === 0) {
      missing.push({ start, length, flags, level: 0, offset: 0 });
      continue;
    }
    found.push({ start, length, flags, level: 0, offset });
    offset += length;
  }
  return missing;
}

/** The pages of one space of a parent, in ascending order. */
interface ParentPages {
  readonly starts: Float64Array;
  readonly lengths: Float64Array;
  /** What a length counts, in units of 4096 bytes. */
  readonly lengthUnits: number;
  /** All are in the parent's own pages where this is undefined. */
  readonly flags: Uint8Array | undefined;
  /** The error for a page that is not among them. */
  missing(start: number): StoreError;
}

interface Wanted {
  readonly name: string;
  readonly depth: number;
  /** The first page. */
  readonly start: number;
}

function directoryPages(context: FlattenContext, { name, depth, start }: Wanted): ParentPages {
  const { levels, broken } = context.chain;
  const child = levels[depth - 1]?.spaces.get(name)?.pagemapFile;
  const place = { file: child === undefined ? name : shownPath(child) };
  const level = levels[depth];
  if (level === undefined) {
    const message = `page ${address(start)} is in the parent, but there is no parent`;
    throw broken ?? new StoreError('INVALID_IMAGE', message, place);
  }
  const space = level.spaces.get(name);
  if (space === undefined) {
    const message = `page ${address(start)} is in the parent, which has no ${name}.img`;
    throw new StoreError('INVALID_IMAGE', message, place);
  }
  const { starts, counts, flags } = readPagemap(context, space.pagemapFile, context.pageBytes);
  const file = shownPath(space.pagemapFile);
  return {
    starts,
    lengths: counts,
    lengthUnits: context.pageBytes / UNIT_BYTES,
    flags,
    missing(page) {
      const message = `page ${address(page)} should be in this parent, and is not`;
      return new StoreError('INVALID_IMAGE', message, { file });
    },
  };
}

function snapshotPages(
  { chain, pageBytes }: FlattenContext,
  parent: ParentSnapshot,
  { name, start }: Wanted,
): ParentPages {
  const child = chain.levels[0]?.spaces.get(name)?.pagemapFile;
  const file = child === undefined ? name : shownPath(child);
  const space = parent.spaces.get(name);
  if (space === undefined) {
    const page = `page ${address(start)}`;
    const message = `${page} is in the parent, but the given snapshot has no ${name}`;
    throw new StoreError('INVALID_IMAGE', message, { file });
  }
  checkParentSpace(name, space, pageBytes);
  return {
    starts: space.runStart,
    lengths: space.runLength,
    lengthUnits: 1,
    flags: space.flags,
    missing(page) {
      const message = `page ${address(page)} is in the parent, but not in the given snapshot`;
      return new StoreError('INVALID_IMAGE', message, { file });
    },
  };
}

interface LookUp {
  readonly found: Ranges;
  readonly depth: number;
}

/** Finds pending ranges in a parent's pages; both are in order, so that one pass does. */
function lookUp(pending: Pending, pages: ParentPages, { found, depth }: LookUp): Pending {
  const missing = new Ranges();
  let entry = 0;
  let entryOffset = 0;
  for (let i = 0; i < pending.length; i++) {
    let start = pending.starts[i] ?? 0;
    const end = start + (pending.lengths[i] ?? 0);
    while (start < end) {
      const entryStart = pages.starts[entry] ?? Infinity;
      const entryLength = (pages.lengths[entry] ?? 0) * pages.lengthUnits;
      const flags = pages.flags === undefined ? PE_PRESENT : (pages.flags[entry] ?? 0);
      if (start >= entryStart + entryLength) {
        if ((flags & PE_PRESENT) !== 0) entryOffset += entryLength;
        entry++;
        continue;
      }
      if (start < entryStart) throw pages.missing(start);
      const length = Math.min(end, entryStart + entryLength) - start;
      const range = { start, length, flags, level: depth, offset: 0 };
      if ((flags & PE_PARENT) !== 0) missing.push(range);
      else found.push({ ...range, offset: entryOffset + start - entryStart });
      start += length;
    }
  }
  return missing;
}

function address(start: number): string {
  return `0x${(BigInt(start) * BigInt(UNIT_BYTES)).toString(16)}`;
}

/** Pages that one entry can count, by generation. */
const COUNT_MAX: Record<PagemapGeneration, number> = {
  'flags-absent': 2 ** 32 - 1,
  'count-in-field-2': 2 ** 32 - 1,
  'count-in-field-5': 2 ** 52,
};

/** Describes found pages, merging neighbours with the same flags. */
function flatPagemap(first: Pagemap, ranges: Ranges, units: number): Pagemap {
  const starts = new Float64Array(ranges.length);
  const counts = new Float64Array(ranges.length);
  const flags = new Uint8Array(ranges.length);
  const countMax = COUNT_MAX[first.generation];
  // Before 3.5 there was no flag for lazy restore.
  const flagMask = first.generation === 'flags-absent' ? PE_PRESENT : 0xff;
  let length = 0;
  let end = -1;
  for (let i = 0; i < ranges.length; i++) {
    const range = ranges.at(i);
    const count = range.length / units;
    const flag = range.flags & flagMask;
    const last = length - 1;
    const merged = (counts[last] ?? 0) + count;
    if (range.start === end && flags[last] === flag && merged <= countMax) {
      counts[last] = merged;
    } else {
      starts[length] = range.start;
      counts[length] = count;
      flags[length] = flag;
      length++;
    }
    end = range.start + range.length;
  }
  return {
    ...first,
    starts: starts.slice(0, length),
    counts: counts.slice(0, length),
    flags: flags.slice(0, length),
  };
}
