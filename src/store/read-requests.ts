/** Cuts a stored file into tasks for the threads that read it: a few leaves each, in order. */
import { DIGEST_BYTES } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import { LEAF_PAGES } from '../manifest/leaves.ts';
import { LEAF_BYTES } from '../slices/leaf-buffer.ts';
import { SLICE_PAGES } from '../slices/slice.ts';
import type { ReadRequest } from '../slices/tasks.ts';
import type { Crew } from '../slices/threads.ts';
import type { StoredFile } from './snapshot-pages.ts';

/**
 * Leaves of a task: neighbours are mostly in the same frames, which are decoded once for them all;
 * 4 MiB hold the calling thread for some 10 ms when it helps.
 */
const LEAVES_OF_TASK = 2;
/** Pages of a task. */
export const PAGES_OF_TASK: number = LEAVES_OF_TASK * LEAF_PAGES;

/** What goes to one thread, in captures and in restores. */
const REGION_BYTES = SLICE_PAGES * PAGE_BYTES;
/** What is read here in less time than it takes to send it away. */
const SMALL_BYTES = 64 * 1024;

/** Reads on any thread what is worth it; returns the pages that are lost, if they may be. */
export async function runRead(crew: Crew, request: ReadRequest): Promise<readonly number[]> {
  if (request.bytes <= SMALL_BYTES) return crew.runHere('read', request);
  const lane = crew.laneOf(Math.floor(request.offset / REGION_BYTES));
  return await crew.run('read', request, lane);
}

/** Where the bytes go. */
export interface ReadTarget {
  readonly fd: number;
  readonly path: string;
}

/**
 * The tasks that read a file; without a target they only check it.
 *
 * @param partial whether pages that are lost become zeros.
 */
export function* readRequests(
  snapshot: string,
  file: StoredFile,
  target: ReadTarget | undefined,
  partial = false,
): Generator<ReadRequest> {
  const { leaves, sizeBytes } = file.content;
  const image = Buffer.from(file.name).toString();
  const step = LEAVES_OF_TASK * LEAF_BYTES;
  let run = 0;
  for (let offset = 0; offset < sizeBytes; offset += step) {
    const bytes = Math.min(step, sizeBytes - offset);
    const first = (offset / LEAF_BYTES) * LEAF_PAGES;
    const end = Math.min(file.pageCount, first + PAGES_OF_TASK);
    const { runs, next } = cutRuns(file, { first, end, run });
    run = next;
    const firstLeaf = (offset / LEAF_BYTES) * DIGEST_BYTES;
    yield {
      snapshot,
      image,
      offset,
      bytes,
      ...runs,
      leaves: leaves.slice(firstLeaf, firstLeaf + LEAVES_OF_TASK * DIGEST_BYTES),
      fd: target?.fd,
      path: target?.path ?? image,
      partial,
    };
  }
}

/** The runs of the pages from `first` to `end`, counted from the first; `run` holds the first. */
function cutRuns(
  { runs }: StoredFile,
  { first, end, run }: { first: number; end: number; run: number },
): { runs: Pick<ReadRequest, 'end' | 'segment' | 'slot'>; next: number } {
  let last = run;
  while ((runs.end[last] as number) < end) last += 1;
  const ends = runs.end.slice(run, last + 1).map((page) => Math.min(page, end) - first);
  const slots = runs.slot.slice(run, last + 1);
  const start = run === 0 ? 0 : (runs.end[run - 1] as number);
  slots[0] = (slots[0] as number) + first - start;
  const cut = { end: ends, segment: runs.segment.slice(run, last + 1), slot: slots };
  return { runs: cut, next: runs.end[last] === end ? last + 1 : last };
}
