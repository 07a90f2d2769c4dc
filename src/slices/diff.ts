/**
 * The second step of a slice: each page that is new to the store is compared with its base, byte by
 * byte, and becomes a delta page where little has changed. The record of the difference takes the
 * place of the page's bytes in the slice; the other pages stay as they are, to be kept in full.
 *
 * A base that lies in a cell is used from there, as long as nothing is known to be wrong with it;
 * one that was read from packs, only after its digest has been found right. New pages that got a
 * cell are put there, for the next capture. Where its chain is as deep as it may be, the full page
 * at the end of the chain becomes the base instead: after long runs of small changes that is still
 * far smaller than the page itself, and the chain starts again at one.
 */
import { DIGEST_BYTES, sha256Into } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import { isDamage } from '../errors.ts';
import { LEAF_PAGES } from '../manifest/leaves.ts';
import { ZERO_SEGMENT } from '../manifest/page-runs.ts';
import { PageDiff, type PageView } from '../pack/page-diff.ts';
import type { Session } from './session.ts';
import { NO_CELL } from './page-cells.ts';
import { KEPT, type Slice } from './slice.ts';
import type { DiffRequest } from './tasks.ts';

const difference = new PageDiff();
const base = newPageView();
const root = newPageView();
const digest = Buffer.alloc(DIGEST_BYTES);
/** The base of the page that is compared; one object, because there are 100,000 pages a second. */
const reference = { segment: 0, slot: 0, depth: 0 };

function newPageView(): PageView & { readonly bytes: Buffer } {
  const memory = new ArrayBuffer(PAGE_BYTES);
  return { bytes: Buffer.from(memory), words: new Int32Array(memory) };
}

/** Decides for each new page of a slice how it is kept. */
export function diff(session: Session, request: DiffRequest): undefined {
  const slice = session.slice(request.slice);
  const pages = { bytes: slice.pages, words: slice.pageWords };
  for (let i = request.first; i < request.end; i++) {
    const page = slice.newPages[i] as number;
    const depth = compareWithBase(session, slice, pages, page);
    const cell = slice.newCell[i] as number;
    // Before the record takes the page's place.
    if (cell !== NO_CELL) session.cells.put(cell, slice.view(page), depth);
    if (depth > 0) difference.writeRecord(slice.pages, page * PAGE_BYTES, reference);
    slice.kept[i] = depth > 0 ? KEPT.delta : KEPT.full;
  }
}

/** Compares a page with its base: its depth as a delta, or 0 where it is none. */
function compareWithBase(session: Session, slice: Slice, pages: PageView, page: number): number {
  const at = slice.basePage[page] as number;
  const limit = slice.depthLimit[page] as number;
  if (at < 0 || limit === 0) return 0;
  // A leaf that is not known may have met damage just now: nothing new stands on what may be lost.
  if (slice.baseIsKnown[Math.floor(at / LEAF_PAGES)] !== 1) return 0;
  reference.segment = slice.baseSegment[at] as number;
  reference.slot = slice.baseSlot[at] as number;
  const start = page * PAGE_BYTES;
  const cell = slice.baseCell[at] as number;
  const { cells, decoder } = session;
  reference.depth = cell === NO_CELL ? 0 : (cells.depth[cell] as number) + 1;
  if (reference.depth > 0 && reference.depth <= limit) {
    return difference.compare(pages, cells, start, cell * PAGE_BYTES) ? reference.depth : 0;
  }
  if (!readBase(session, slice, at, limit)) return 0;
  reference.depth = decoder.depth + 1;
  const isTooDeep = reference.depth > limit;
  if (isTooDeep) {
    reference.segment = decoder.rootSegment;
    reference.slot = decoder.rootSlot;
    reference.depth = 1;
  }
  return difference.compare(pages, isTooDeep ? root : base, start) ? reference.depth : 0;
}

/** Reads the base and the root of its chain; false when there is none that can be trusted. */
function readBase(session: Session, slice: Slice, at: number, limit: number): boolean {
  const leaf = Math.floor(at / LEAF_PAGES);
  const segment = slice.baseSegment[at] as number;
  const slot = slice.baseSlot[at] as number;
  if (segment === ZERO_SEGMENT) return false;
  const start = (at % LEAF_PAGES) * PAGE_BYTES;
  const length = Math.min(PAGE_BYTES, (slice.baseLeafBytes[leaf] as number) - start);
  try {
    session.decoder.read(segment, slot, base.bytes, 0, { bytes: root.bytes, from: limit });
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
  sha256Into(length === PAGE_BYTES ? base.bytes : base.bytes.subarray(0, length), digest, 0);
  const from = at * DIGEST_BYTES;
  if (digest.compare(slice.baseDigests, from, from + DIGEST_BYTES) === 0) return true;
  session.decoder.reportLost(segment, slot);
  return false;
}
