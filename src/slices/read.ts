/**
 * Reads consecutive leaves of a stored file and checks each before a byte of it is written: what
 * restore writes, and verify counts, is what was captured. Zero pages are not written: they are
 * holes of the file.
 */
import { DIGEST_BYTES, sha256, sha256Into } from '#digest';
import { sameBytes } from '../bytes/hex.ts';
import { PAGE_BYTES, pagesOf } from '../bytes/page.ts';
import { isDamage, StoreError, storageError } from '../errors.ts';
import { writeAll } from '../files/transfer.ts';
import { LEAF_PAGES, ZERO_PAGE_DIGEST } from '../manifest/leaves.ts';
import { ZERO_SEGMENT } from '../manifest/page-runs.ts';
import type { Session } from './session.ts';
import type { ReadRequest } from './tasks.ts';

/** Bytes that a leaf covers. */
export const LEAF_BYTES: number = LEAF_PAGES * PAGE_BYTES;

const bytes = Buffer.allocUnsafeSlow(LEAF_BYTES);
const views = Array.from({ length: LEAF_PAGES }, (_, i) =>
  bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES),
);
const digests = Buffer.alloc(LEAF_PAGES * DIGEST_BYTES);
const isZero = new Uint8Array(LEAF_PAGES);

/** Reads, checks and writes; returns the pages that are lost, when that is allowed. */
export function read(session: Session, request: ReadRequest): readonly number[] {
  for (const steps = readSteps(session, request); ;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same, leaf by leaf: between two of them, the session may be used for something else. */
export function* readSteps(
  session: Session,
  request: ReadRequest,
): Generator<void, readonly number[]> {
  const lost: number[] = [];
  for (let leaf = 0; leaf * LEAF_BYTES < request.bytes; leaf++) {
    if (leaf > 0) yield;
    const piece =
      request.partial === true
        ? readLeafLeft(session, request, leaf, lost)
        : readLeaf(session, request, leaf);
    if (request.fd !== undefined) writeLeaf(session, request, leaf, piece.length);
    if (request.contents === undefined) continue;
    session.target(request.contents).write(piece, request.offset + leaf * LEAF_BYTES);
  }
  return lost;
}

/**
 * Reads what is left of a leaf, with zeros for the rest. A leaf can only be checked when all of it
 * is there; pages that are not those captured, without a frame that says so, are lost as a whole.
 */
function readLeafLeft(
  session: Session,
  request: ReadRequest,
  leaf: number,
  lost: number[],
): Uint8Array {
  try {
    return readLeaf(session, request, leaf);
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  const length = Math.min(LEAF_BYTES, request.bytes - leaf * LEAF_BYTES);
  const [first, pages, known] = [leaf * LEAF_PAGES, pagesOf(length), lost.length];
  for (let i = 0; i < pages; i++) {
    if (!fillIfLeft(session, request, first + i, i)) lose(first, i, lost);
  }
  if (lost.length === known) for (let i = 0; i < pages; i++) lose(first, i, lost);
  return bytes.subarray(0, length);
}

/** Reads one page to the i-th place; false when it is lost. */
function fillIfLeft(session: Session, request: ReadRequest, page: number, i: number): boolean {
  const run = firstRunAfter(request.end, page);
  const start = run === 0 ? 0 : (request.end[run - 1] as number);
  const number = request.segment[run] as number;
  isZero[i] = number === ZERO_SEGMENT ? 1 : 0;
  if (number === ZERO_SEGMENT) {
    bytes.fill(0, i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
    return true;
  }
  try {
    const slot = (request.slot[run] as number) + page - start;
    session.decoder.readRun(number, slot, 1, bytes, i * PAGE_BYTES);
    return true;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return false;
  }
}

/** A lost page is zeros, and a hole where it is written. */
function lose(first: number, i: number, lost: number[]): void {
  bytes.fill(0, i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
  // Zero pages of a leaf that is lost as a whole are zeros all the same.
  if (isZero[i] === 0) lost.push(first + i);
  isZero[i] = 1;
}

/** Reads one leaf into the thread's buffer and checks it; valid until the next one. */
export function readLeaf(session: Session, request: ReadRequest, leaf: number): Uint8Array {
  const offset = leaf * LEAF_BYTES;
  const length = Math.min(LEAF_BYTES, request.bytes - offset);
  readPages(session, request, leaf * LEAF_PAGES, pagesOf(length));
  const expected = request.leaves.subarray(leaf * DIGEST_BYTES, (leaf + 1) * DIGEST_BYTES);
  if (sameBytes(leafOf(length), expected)) return bytes.subarray(0, length);
  throw new StoreError('CORRUPT', 'stored pages are not those captured', {
    file: request.image,
    offset: request.offset + offset,
    snapshot: request.snapshot,
  });
}

/** Reads up to 512 pages of a request into the thread's buffer, without checking them. */
function readPages(session: Session, request: ReadRequest, first: number, pages: number): void {
  const { end, segment, slot } = request;
  let run = firstRunAfter(end, first);
  for (let i = 0; i < pages;) {
    const runStart = run === 0 ? 0 : (end[run - 1] as number);
    const count = Math.min((end[run] as number) - first - i, pages - i);
    const number = segment[run] as number;
    const firstSlot = (slot[run] as number) + first + i - runStart;
    isZero.fill(number === ZERO_SEGMENT ? 1 : 0, i, i + count);
    if (number === ZERO_SEGMENT) bytes.fill(0, i * PAGE_BYTES, (i + count) * PAGE_BYTES);
    else session.decoder.readRun(number, firstSlot, count, bytes, i * PAGE_BYTES);
    i += count;
    run += 1;
  }
}

/** The run that a page is in. */
function firstRunAfter(end: Float64Array, page: number): number {
  let run = 0;
  while ((end[run] as number) <= page) run += 1;
  return run;
}

function leafOf(length: number): Uint8Array {
  const pages = pagesOf(length);
  const whole = Math.floor(length / PAGE_BYTES);
  for (let i = 0; i < whole; i++) {
    if (isZero[i] === 1) digests.set(ZERO_PAGE_DIGEST, i * DIGEST_BYTES);
    else sha256Into(views[i] as Buffer, digests, i * DIGEST_BYTES);
  }
  if (pages > whole) {
    sha256Into(bytes.subarray(whole * PAGE_BYTES, length), digests, whole * DIGEST_BYTES);
  }
  return sha256(digests.subarray(0, pages * DIGEST_BYTES));
}

/** Writes the parts that are not zero pages, each in one call. */
function writeLeaf(session: Session, request: ReadRequest, leaf: number, length: number): void {
  const { fd = -1, path } = request;
  const pages = pagesOf(length);
  let page = 0;
  while (page < pages) {
    if (isZero[page] === 1) {
      page += 1;
      continue;
    }
    const first = page * PAGE_BYTES;
    while (page < pages && isZero[page] === 0) page += 1;
    const part = bytes.subarray(first, Math.min(page * PAGE_BYTES, length));
    try {
      writeAll(session.files, fd, part, request.offset + leaf * LEAF_BYTES + first);
    } catch (cause) {
      throw storageError('write', path, cause);
    }
  }
}
