/**
 * Reads consecutive leaves of a stored file and checks each before a byte of it is written: what
 * restore writes, and verify counts, is what was captured. Zero pages are not written: they are
 * holes of the file.
 */
import { DIGEST_BYTES } from '#digest';
import { sameBytes } from '../bytes/hex.ts';
import { PAGE_BYTES, pagesOf } from '../bytes/page.ts';
import { isDamage, StoreError, storageError } from '../errors.ts';
import { writeAll } from '../files/transfer.ts';
import { LEAF_PAGES } from '../manifest/leaves.ts';
import { ZERO_SEGMENT } from '../manifest/page-runs.ts';
import { FRAME_PAGES } from '../pack/format.ts';
import { giveLeafBuffer, LEAF_BYTES, LeafBuffer, takeLeafBuffer } from './leaf-buffer.ts';
import type { Session } from './session.ts';
import type { ReadRequest } from './tasks.ts';

/** Pages of a step, or a few more: 60 us each, before the code is compiled. */
const PAGES_IN_ONE_GO = 128;

/** Reads, checks and writes; returns the pages that are lost, when that is allowed. */
export function read(session: Session, request: ReadRequest): readonly number[] {
  return atOnce(readSteps(session, request));
}

function atOnce<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same in steps: between two of them, the session may be used for something else. */
export function* readSteps(
  session: Session,
  request: ReadRequest,
): Generator<void, readonly number[]> {
  const lost: number[] = [];
  const buffer = takeLeafBuffer();
  try {
    for (let leaf = 0; leaf * LEAF_BYTES < request.bytes; leaf++) {
      if (leaf > 0) yield;
      const piece =
        request.partial === true
          ? yield* leafLeft(session, request, { leaf, buffer, lost })
          : yield* wholeLeaf(session, request, leaf, buffer);
      if (request.fd !== undefined) writeLeaf(session, request, leaf, buffer);
      if (request.contents === undefined) continue;
      session.target(request.contents).write(piece, request.offset + leaf * LEAF_BYTES);
    }
    return lost;
  } finally {
    giveLeafBuffer(buffer);
  }
}

/**
 * Reads what is left of a leaf, with zeros for the rest. A leaf can only be checked when all of it
 * is there; pages that are not those captured, without a frame that says so, are lost as a whole.
 */
function* leafLeft(
  session: Session,
  request: ReadRequest,
  at: { readonly leaf: number; readonly buffer: LeafBuffer; readonly lost: number[] },
): Generator<void, Uint8Array> {
  const { leaf, buffer, lost } = at;
  try {
    return yield* wholeLeaf(session, request, leaf, buffer);
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  const length = lengthOf(request, leaf);
  const [first, pages, known] = [leaf * LEAF_PAGES, pagesOf(length), lost.length];
  for (let i = 0; i < pages; i++) {
    if (i % PAGES_IN_ONE_GO === 0) yield;
    if (!fillIfLeft(session, request, buffer, { page: first + i, i })) lose(buffer, first, i, lost);
  }
  if (lost.length === known) for (let i = 0; i < pages; i++) lose(buffer, first, i, lost);
  return buffer.bytes.subarray(0, length);
}

function lengthOf(request: ReadRequest, leaf: number): number {
  return Math.min(LEAF_BYTES, request.bytes - leaf * LEAF_BYTES);
}

/** Reads one page to the i-th place; false when it is lost. */
function fillIfLeft(
  session: Session,
  request: ReadRequest,
  { bytes, isZero }: LeafBuffer,
  { page, i }: { readonly page: number; readonly i: number },
): boolean {
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
function lose({ bytes, isZero }: LeafBuffer, first: number, i: number, lost: number[]): void {
  bytes.fill(0, i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
  // Zero pages of a leaf that is lost as a whole are zeros all the same.
  if (isZero[i] === 0) lost.push(first + i);
  isZero[i] = 1;
}

let single: LeafBuffer | undefined;

/** Reads one leaf and checks it, all in one go; valid until the next one. */
export function readLeaf(session: Session, request: ReadRequest, leaf: number): Uint8Array {
  single ??= new LeafBuffer();
  return atOnce(wholeLeaf(session, request, leaf, single));
}

/** Reads one leaf and checks it; valid as long as the buffer is the caller's. */
function* wholeLeaf(
  session: Session,
  request: ReadRequest,
  leaf: number,
  buffer: LeafBuffer,
): Generator<void, Uint8Array> {
  const length = lengthOf(request, leaf);
  yield* readPages(session, request, { first: leaf * LEAF_PAGES, pages: pagesOf(length), buffer });
  const expected = request.leaves.subarray(leaf * DIGEST_BYTES, (leaf + 1) * DIGEST_BYTES);
  if (sameBytes(buffer.digest(length), expected)) return buffer.bytes.subarray(0, length);
  throw new StoreError('CORRUPT', 'stored pages are not those captured', {
    file: request.image,
    offset: request.offset + leaf * LEAF_BYTES,
    snapshot: request.snapshot,
  });
}

/** Reads up to 512 pages of a request into a buffer, without checking them. */
function* readPages(
  session: Session,
  { end, segment, slot }: ReadRequest,
  to: { readonly first: number; readonly pages: number; readonly buffer: LeafBuffer },
): Generator<void, void> {
  const { first, pages, buffer } = to;
  const { bytes, isZero } = buffer;
  let run = firstRunAfter(end, first);
  let stepEnd = PAGES_IN_ONE_GO;
  for (let i = 0; i < pages;) {
    if (i >= stepEnd) {
      yield;
      stepEnd = i + PAGES_IN_ONE_GO;
    }
    const runStart = run === 0 ? 0 : (end[run - 1] as number);
    const number = segment[run] as number;
    const firstSlot = (slot[run] as number) + first + i - runStart;
    const left = Math.min((end[run] as number) - first - i, pages - i);
    const isZeros = number === ZERO_SEGMENT;
    // Up to the end of a frame: it would be decoded twice.
    const count = isZeros ? left : Math.min(left, PAGES_IN_ONE_GO - (firstSlot % FRAME_PAGES));
    isZero.fill(isZeros ? 1 : 0, i, i + count);
    if (isZeros) bytes.fill(0, i * PAGE_BYTES, (i + count) * PAGE_BYTES);
    else session.decoder.readRun(number, firstSlot, count, bytes, i * PAGE_BYTES);
    i += count;
    if (count === left) run += 1;
  }
  if (pages > PAGES_IN_ONE_GO) yield;
}

/** The run that a page is in. */
function firstRunAfter(end: Float64Array, page: number): number {
  let run = 0;
  while ((end[run] as number) <= page) run += 1;
  return run;
}

/** Writes the parts that are not zero pages, each in one call. */
function writeLeaf(
  session: Session,
  request: ReadRequest,
  leaf: number,
  { bytes, isZero }: LeafBuffer,
): void {
  const { fd = -1, path } = request;
  const length = lengthOf(request, leaf);
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
