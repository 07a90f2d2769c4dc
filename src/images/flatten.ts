/**
 * Finds every page of a space in a chain of directories, and describes the space without parents.
 *
 * The first directory says which pages there are; those that are in the parent are looked up in
 * the same-named pagemap there, by address, which may send them on to its own parent. The flat
 * pagemap has the pages in the same order, all present, in the generation of the first directory,
 * with the flag for lazy restore of the directory that has the page.
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
import { type Level, type LevelContext, readPagemap } from './level.ts';
import { shownPath } from './listing.ts';
import { Ranges } from './ranges.ts';

/** A space without parents. */
export interface FlatSpace {
  readonly pagemap: Pagemap;
  /** Where each of its pages is, in address order. */
  readonly ranges: Ranges;
}

/** What flattening needs to know. */
export interface FlattenContext extends LevelContext {
  readonly levels: readonly Level[];
  readonly pageBytes: PageBytes;
}

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
    const parent = parentPagemap(context, name, { depth, start: pending.starts[0] ?? 0 });
    pending = lookUp(pending, parent, { found, units, depth });
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

interface Parent {
  readonly pagemap: Pagemap;
  readonly file: string;
}

function parentPagemap(
  context: FlattenContext,
  name: string,
  wanted: { depth: number; start: number },
): Parent {
  const { levels, pageBytes } = context;
  const level = levels[wanted.depth];
  const child = levels[wanted.depth - 1]?.spaces.get(name)?.pagemapFile;
  const file = child === undefined ? name : shownPath(child);
  if (level === undefined) {
    const message = `page ${address(wanted.start)} is in the parent, but there is no parent`;
    throw new StoreError('INVALID_IMAGE', message, { file });
  }
  const space = level.spaces.get(name);
  if (space === undefined) {
    const message = `page ${address(wanted.start)} is in the parent, which has no ${name}.img`;
    throw new StoreError('INVALID_IMAGE', message, { file });
  }
  const pagemap = readPagemap(context, space.pagemapFile, pageBytes);
  return { pagemap, file: shownPath(space.pagemapFile) };
}

interface LookUp {
  readonly found: Ranges;
  readonly units: number;
  readonly depth: number;
}

/** Finds pending ranges in a parent's pagemap; both are in order, so that one pass does. */
function lookUp(pending: Pending, { pagemap, file }: Parent, to: LookUp): Pending {
  const { found, units, depth } = to;
  const missing = new Ranges();
  let entry = 0;
  let entryOffset = 0;
  for (let i = 0; i < pending.length; i++) {
    let start = pending.starts[i] ?? 0;
    const end = start + (pending.lengths[i] ?? 0);
    while (start < end) {
      const entryStart = pagemap.starts[entry] ?? Infinity;
      const entryLength = (pagemap.counts[entry] ?? 0) * units;
      const flags = pagemap.flags[entry] ?? 0;
      if (start >= entryStart + entryLength) {
        if ((flags & PE_PRESENT) !== 0) entryOffset += entryLength;
        entry++;
        continue;
      }
      if (start < entryStart) throw missingPage(start, file);
      const length = Math.min(end, entryStart + entryLength) - start;
      const range = { start, length, flags, level: depth, offset: 0 };
      if ((flags & PE_PARENT) !== 0) missing.push(range);
      else found.push({ ...range, offset: entryOffset + start - entryStart });
      start += length;
    }
  }
  return missing;
}

function missingPage(start: number, file: string): StoreError {
  const message = `page ${address(start)} should be in this parent, and is not`;
  return new StoreError('INVALID_IMAGE', message, { file });
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
