/**
 * The parent of an incremental dump as a store knows it: a snapshot, instead of a directory.
 *
 * An incremental dump names no parent but by a link, which may lead anywhere by now. Whoever opens
 * it says which snapshot the parent is; here everything that contradicts this is found. What the
 * images do not tell cannot be found: another dump of the same processes, with the same addresses,
 * when neither run ids nor uptimes nor the link know better.
 */
import {
  PAGE_SIZES,
  type PageBytes,
  type Pagemap,
  PE_LAZY,
  PE_PRESENT,
  UNIT_BYTES,
  UNITS_MAX,
} from '../criu/index.ts';
import { StoreError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { dumpIdentity, type DumpIdentity, INVENTORY_NAME } from './inventory.ts';
import type { Level } from './level.ts';
import { shownPath } from './listing.ts';
import { linkedDump } from './parent-link.ts';

/** What must be known of a snapshot to resolve the pages that a dump has in its parent. */
export interface ParentSnapshot extends DumpIdentity {
  /** Page size of the dump that it was: 4096, 16384 or 65536. */
  readonly pageBytes: number;
  /** Its flat spaces by name, `pagemap-123` and so on. */
  readonly spaces: ReadonlyMap<string, ParentSpace>;
}

/** The pages of a flat space, in this order, which numbers them from 0. */
export interface ParentSpace {
  /** Address / 4096 of each run of pages, ascending. */
  readonly runStart: Float64Array;
  /** Length of each run, in units of 4096 bytes. */
  readonly runLength: Float64Array;
  /**
   * PE_PRESENT of each run, with PE_LAZY where its pages may be restored lazily; runs that touch
   * may differ in it. Without this column no page of the parent may be, which restores as well but
   * makes another pagemap than the chain on disk would.
   */
  readonly flags?: Uint8Array | undefined;
}

/** Describes a space by its flat pagemap image, which knows the flags. */
export function parentSpace(pagemap: Pagemap, pageBytes: PageBytes): ParentSpace {
  const units = pageBytes / UNIT_BYTES;
  const runLength = units === 1 ? pagemap.counts : pagemap.counts.map((count) => count * units);
  return { runStart: pagemap.starts, runLength, flags: pagemap.flags };
}

/**
 * Refuses a snapshot that cannot be the parent of a dump that needs one.
 *
 * @throws {StoreError} INVALID_IMAGE naming the file that contradicts it.
 */
export function checkParent(files: Files, top: Level, parent: ParentSnapshot): void {
  const own = dumpIdentity(top.inventory);
  const inventory = `${top.path}/${INVENTORY_NAME}`;
  if (own.criuRunId !== undefined && own.criuRunId === parent.criuRunId) {
    throw wrongParent(`it is the same dump, ${own.criuRunId}`, inventory);
  }
  if (isNotBefore(parent.dumpUptimeUs, own.dumpUptimeUs)) {
    const times = `${parent.dumpUptimeUs} us and ${own.dumpUptimeUs} us after boot`;
    throw wrongParent(`it is not older than this dump: ${times}`, inventory);
  }
  const linked = linkedDump(files, top);
  const difference = linked && identityDifference(linked, parent);
  if (difference === undefined || top.parentLink === undefined) return;
  throw wrongParent(`the link leads to another dump: ${difference}`, shownPath(top.parentLink));
}

function isNotBefore(parent: bigint | undefined, own: bigint | undefined): boolean {
  return parent !== undefined && own !== undefined && parent >= own;
}

/** Run ids decide where there is one; the uptime where there is none. */
function identityDifference(linked: DumpIdentity, parent: DumpIdentity): string | undefined {
  if (linked.criuRunId !== parent.criuRunId) {
    return `run id ${linked.criuRunId ?? 'unknown'}, not ${parent.criuRunId ?? 'unknown'}`;
  }
  if (linked.criuRunId !== undefined || linked.dumpUptimeUs === parent.dumpUptimeUs) {
    return undefined;
  }
  const [there, here] = [linked, parent].map(({ dumpUptimeUs }) => dumpUptimeUs ?? 'unknown');
  return `uptime ${there}, not ${here}`;
}

/** Refuses a snapshot with another page size than this dump. */
export function checkParentPageSize(
  top: Level,
  parent: ParentSnapshot,
  pageBytes: PageBytes,
): void {
  if (parent.pageBytes === pageBytes) return;
  throw wrongParent(`its pages have ${parent.pageBytes} bytes, not ${pageBytes}`, top.path);
}

function wrongParent(reason: string, file: string): StoreError {
  const message = `the given snapshot is not the parent of this dump: ${reason}`;
  return new StoreError('INVALID_IMAGE', message, { file });
}

/** Throws unless this is a description that a caller may give; its columns are not looked at. */
export function checkParentArgument(parent: ParentSnapshot | undefined): void {
  if (parent === undefined) return;
  if (typeof parent !== 'object' || !(parent?.spaces instanceof Map)) {
    throw new TypeError('parent describes a snapshot');
  }
  if (PAGE_SIZES.some((size) => size === parent.pageBytes)) return;
  throw new RangeError(`pageBytes of the parent is ${String(parent.pageBytes)}`);
}

/**
 * Throws unless the columns are what they should be: a wrong number here would become a wrong page.
 *
 * @throws {RangeError} naming the space and the run.
 */
export function checkParentSpace(name: string, space: ParentSpace, pageBytes: PageBytes): void {
  const { runStart, runLength, flags } = space;
  const units = pageBytes / UNIT_BYTES;
  if (runLength.length !== runStart.length || (flags ?? runStart).length !== runStart.length) {
    throw new RangeError(`${name} of the parent: columns of different lengths`);
  }
  let end = 0;
  for (let i = 0; i < runStart.length; i++) {
    const start = runStart[i] ?? 0;
    const length = runLength[i] ?? 0;
    const flag = flags === undefined ? PE_PRESENT : (flags[i] ?? 0);
    // A NaN or a fraction has a remainder that is not 0.
    const isRun = start >= end && start % units === 0 && length > 0 && length % units === 0;
    end = start + length;
    if (isRun && end <= UNITS_MAX && (flag | PE_LAZY) === (PE_PRESENT | PE_LAZY)) continue;
    const run = `run ${i}, ${length} units at ${start}, flags ${flag}`;
    throw new RangeError(`${name} of the parent: ${run} is out of order or impossible`);
  }
}
