/**
 * The first step of a slice on its way into the store: its pages are read, digested, and compared
 * with those of the base.
 *
 * The digests of a base leaf come from the base's head, and are used only after they have
 * reproduced the leaf; otherwise the base's pages themselves are read and digested. A base that
 * cannot be had either way is no base: its pages count as changed, and the damage is reported.
 */
import { DIGEST_BYTES, sha256, sha256Into } from '#digest';
import { sameBytes } from '../bytes/hex.ts';
import { PAGE_BYTES, pagesOf } from '../bytes/page.ts';
import { isDamage, StoreError, systemCode } from '../errors.ts';
import { readUpTo } from '../files/transfer.ts';
import { HEAD_HEADER_BYTES } from '../manifest/head.ts';
import { LEAF_PAGES, ZERO_PAGE_DIGEST } from '../manifest/leaves.ts';
import { ZERO_SEGMENT } from '../manifest/page-runs.ts';
import type { Session } from './session.ts';
import { PAGE, type Slice } from './slice.ts';
import type { ScanRequest } from './tasks.ts';

/** 256 KiB: what is digested right after it was read is still in the cache of the core. */
const PAGES_IN_ONE_GO = 64;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);
const page = Buffer.alloc(PAGE_BYTES);

/** Reads and compares a slice. */
export function scan(session: Session, request: ScanRequest): undefined {
  const slice = session.slice(request.slice);
  if (request.first === 0) begin(session, slice, request);
  for (let first = request.first; first < request.end; first += PAGES_IN_ONE_GO) {
    const end = Math.min(request.end, first + PAGES_IN_ONE_GO);
    readPages(session, slice, request, { first, end });
    for (let i = first; i < end;) {
      if (slice.kinds[i] === PAGE.inherited) {
        i = inherit(slice, i, end);
        continue;
      }
      const length = Math.min(PAGE_BYTES, request.bytes - i * PAGE_BYTES);
      slice.kinds[i] = examine(session, slice, i, length);
      i += 1;
    }
  }
}

function begin(session: Session, slice: Slice, { bytes, baseLeaves }: ScanRequest): void {
  for (let leaf = 0; leaf < baseLeaves; leaf++) {
    slice.baseIsKnown[leaf] = knowBase(session, slice, leaf) ? 1 : 0;
  }
  slice.pages.fill(0, bytes, pagesOf(bytes) * PAGE_BYTES);
}

/** Puts the digests of a base leaf into the slice; false when there is no way to know them. */
function knowBase(session: Session, slice: Slice, leaf: number): boolean {
  const start = leaf * LEAF_PAGES * DIGEST_BYTES;
  const bytes = slice.baseLeafBytes[leaf] as number;
  const digests = slice.baseDigests.subarray(start, start + pagesOf(bytes) * DIGEST_BYTES);
  const at = leaf * DIGEST_BYTES;
  const expected = slice.baseLeafDigests.subarray(at, at + DIGEST_BYTES);
  const isRight = () => sameBytes(sha256(digests), expected);
  if (readHead(session, slice.baseHeadPage[leaf] as number, digests) && isRight()) return true;
  try {
    digestBase(session, slice, leaf * LEAF_PAGES, bytes);
    return isRight();
  } catch (error) {
    // A capture never fails because old data is damaged; the session reports the damage.
    if (isDamage(error)) return false;
    throw error;
  }
}

function readHead(session: Session, headPage: number, digests: Buffer): boolean {
  try {
    const fd = session.head();
    if (fd === undefined) return false;
    const position = HEAD_HEADER_BYTES + headPage * DIGEST_BYTES;
    return readUpTo(session.files, fd, digests, position) === digests.length;
  } catch (error) {
    // It may have been evicted meanwhile: a head is only a shortcut.
    if (systemCode(error) !== undefined) return false;
    throw error;
  }
}

function digestBase(session: Session, slice: Slice, first: number, bytes: number): void {
  for (let i = 0; i * PAGE_BYTES < bytes; i++) {
    const at = first + i;
    const segment = slice.baseSegment[at] as number;
    const length = Math.min(PAGE_BYTES, bytes - i * PAGE_BYTES);
    if (segment === ZERO_SEGMENT && length === PAGE_BYTES) {
      slice.baseDigests.set(ZERO_PAGE_DIGEST, at * DIGEST_BYTES);
      continue;
    }
    if (segment === ZERO_SEGMENT) page.fill(0);
    else session.decoder.read(segment, slice.baseSlot[at] as number, page, 0);
    sha256Into(page.subarray(0, length), slice.baseDigests, at * DIGEST_BYTES);
  }
}

/** Reads all but the inherited pages, neighbours in one go. */
function readPages(
  session: Session,
  slice: Slice,
  { source, offset, bytes }: ScanRequest,
  { first, end }: { readonly first: number; readonly end: number },
): void {
  const { kinds } = slice;
  let i = first;
  while (i < end) {
    if (kinds[i] === PAGE.inherited) {
      i += 1;
      continue;
    }
    const from = i * PAGE_BYTES;
    while (i < end && kinds[i] !== PAGE.inherited) i += 1;
    const to = Math.min(i * PAGE_BYTES, bytes);
    session.content(source).read(slice.pages.subarray(from, to), offset + from);
  }
}

/** Takes the digests of inherited pages from the base; returns the page behind them. */
function inherit(slice: Slice, first: number, end: number): number {
  const { kinds, basePage, digests, baseDigests } = slice;
  const base = basePage[first] as number;
  // One by one, with a view for each, 100,000 pages take 40 ms.
  let i = first;
  for (; i < end && kinds[i] === PAGE.inherited && basePage[i] === base + i - first; i++) {
    if (!isKnown(slice, basePage[i] as number)) throw lostBase();
    kinds[i] = PAGE.same;
  }
  const start = base * DIGEST_BYTES;
  digests.set(
    baseDigests.subarray(start, start + (i - first) * DIGEST_BYTES),
    first * DIGEST_BYTES,
  );
  return i;
}

/** Whether the digest of a page of the base leaves is there. */
function isKnown({ baseIsKnown }: Slice, base: number): boolean {
  return base >= 0 && baseIsKnown[Math.floor(base / LEAF_PAGES)] === 1;
}

/** Digests a page and says what it is. */
function examine(session: Session, slice: Slice, i: number, length: number): number {
  const base = slice.basePage[i] as number;
  const view = slice.view(i);
  if (length === PAGE_BYTES && view.equals(ZERO_PAGE)) {
    slice.digests.set(ZERO_PAGE_DIGEST, i * DIGEST_BYTES);
    return PAGE.zero;
  }
  const bytes = length === PAGE_BYTES ? view : view.subarray(0, length);
  sha256Into(bytes, slice.digests, i * DIGEST_BYTES);
  if (!isKnown(slice, base) || !hasDigestOf(slice, i, base)) return PAGE.changed;
  return isReadable(session, slice, base) ? PAGE.same : PAGE.changed;
}

function lostBase(): StoreError {
  const message = 'pages of the snapshot before are needed, and are damaged';
  return new StoreError('CORRUPT', message);
}

function hasDigestOf({ digestWords, baseDigestWords }: Slice, i: number, base: number): boolean {
  for (let word = 0; word < DIGEST_BYTES / 4; word++) {
    if (digestWords[i * 8 + word] !== baseDigestWords[base * 8 + word]) return false;
  }
  return true;
}

/** In a store with known damage, a page is the same only if it can be read. */
function isReadable(session: Session, slice: Slice, base: number): boolean {
  const segment = slice.baseSegment[base] as number;
  if (session.setup.lostFrames.length === 0 || segment === ZERO_SEGMENT) return true;
  try {
    session.decoder.read(segment, slice.baseSlot[base] as number, page, 0);
    return true;
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}
