/**
 * Finds out which bytes of a stored file are lost, where reading it has failed: page by page where
 * frames are damaged, by whole leaves where every page can be read and is not what was captured.
 */
import { DIGEST_BYTES } from '#digest';
import { PAGE_BYTES, pagesOf } from '../bytes/page.ts';
import { isDamage } from '../errors.ts';
import { LEAF_PAGES } from '../manifest/leaves.ts';
import { LEAF_BYTES, readLeaf, readPages } from './read.ts';
import type { Session } from './session.ts';
import type { LostBytes, ReadRequest } from './tasks.ts';

/** Answers with the lost bytes of the file, ascending; neighbours are joined. */
export function findLost(session: Session, request: ReadRequest): readonly LostBytes[] {
  // Otherwise each of its pages would have a damaged frame read once more.
  session.refuseLost();
  const lost: LostBytes[] = [];
  for (let leaf = 0; leaf * DIGEST_BYTES < request.leaves.length; leaf++) {
    const start = leaf * LEAF_BYTES;
    if (start >= request.bytes) break;
    const bytes = Math.min(LEAF_BYTES, request.bytes - start);
    if (succeeds(() => readLeaf(session, request, leaf))) continue;
    const pages: number[] = [];
    collectLost(session, request, { first: leaf * LEAF_PAGES, count: pagesOf(bytes) }, pages);
    if (pages.length === 0) add(lost, request.offset + start, bytes);
    for (const page of pages) {
      const at = page * PAGE_BYTES;
      add(lost, request.offset + at, Math.min(PAGE_BYTES, request.bytes - at));
    }
  }
  return lost;
}

/** By halves: what can be read is mostly much more than what cannot. */
function collectLost(
  session: Session,
  request: ReadRequest,
  { first, count }: { readonly first: number; readonly count: number },
  lost: number[],
): void {
  if (succeeds(() => readPages(session, request, first, count))) return;
  if (count === 1) {
    lost.push(first);
    return;
  }
  const half = count >>> 1;
  collectLost(session, request, { first, count: half }, lost);
  collectLost(session, request, { first: first + half, count: count - half }, lost);
}

function succeeds(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}

function add(lost: LostBytes[], offset: number, bytes: number): void {
  const last = lost.at(-1);
  if (last !== undefined && last.offset + last.bytes === offset) {
    lost[lost.length - 1] = { offset: last.offset, bytes: last.bytes + bytes };
  } else {
    lost.push({ offset, bytes });
  }
}
