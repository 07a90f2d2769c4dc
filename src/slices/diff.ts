/**
 * The second step of a slice: each page that is new to the store is compared with its base, byte by
 * byte, and becomes a delta page where little has changed. The record of the difference takes the
 * place of the page's bytes in the slice; the other pages stay as they are, to be kept in full.
 *
 * A base is used only after its digest has been found right. Where its chain is as deep as it may
 * be, the full page at the end of the chain becomes the base instead: after long runs of small
 * changes that is still far smaller than the page itself, and the chain starts again at one.
 */
import { DIGEST_BYTES, sha256Into } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import { isDamage } from '../errors.ts';
import { LEAF_PAGES } from '../manifest/leaves.ts';
import { ZERO_SEGMENT } from '../manifest/page-runs.ts';
import { PageDiff, type PageView } from '../pack/page-diff.ts';
import type { Session } from './session.ts';
import { KEPT, type Slice } from './slice.ts';
import type { DiffRequest } from './tasks.ts';

const difference = new PageDiff();
const base = newPageView();
const root = newPageView();
const digest = Buffer.alloc(DIGEST_BYTES);

function newPageView(): PageView & { readonly bytes: Buffer } {
  const memory = new ArrayBuffer(PAGE_BYTES);
  return { bytes: Buffer.from(memory), words: new Int32Array(memory) };
}

/** Decides for each new page of a slice how it is kept. */
export function diff(session: Session, request: DiffRequest): undefined {
  const slice = session.slice(request.slice);
  for (let i = request.first; i < request.end; i++) {
    const page = slice.newPages[i] as number;
    slice.kept[i] = becomeDelta(session, slice, page) ? KEPT.delta : KEPT.full;
  }
}

function becomeDelta(session: Session, slice: Slice, page: number): boolean {
  const at = slice.basePage[page] as number;
  const limit = slice.depthLimit[page] as number;
  if (at < 0 || limit === 0 || !readBase(session, slice, at, limit)) return false;
  const { decoder } = session;
  const view = { bytes: slice.views[page] as Buffer, words: slice.words[page] as Int32Array };
  const isTooDeep = decoder.depth + 1 > limit;
  if (!difference.compare(view, isTooDeep ? root : base)) return false;
  const reference = isTooDeep
    ? { segment: decoder.rootSegment, slot: decoder.rootSlot, depth: 1 }
    : {
        segment: slice.baseSegment[at] as number,
        slot: slice.baseSlot[at] as number,
        depth: decoder.depth + 1,
      };
  difference.writeRecord(slice.pages, page * PAGE_BYTES, reference);
  return true;
}

/** Reads the base and the root of its chain; false when there is none that can be trusted. */
function readBase(session: Session, slice: Slice, at: number, limit: number): boolean {
  const leaf = Math.floor(at / LEAF_PAGES);
  const segment = slice.baseSegment[at] as number;
  const slot = slice.baseSlot[at] as number;
  if (slice.baseIsKnown[leaf] !== 1 || segment === ZERO_SEGMENT) return false;
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
