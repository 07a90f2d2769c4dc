/**
 * Keeps the page index in step with the catalog: takes the runs that are in index/ now, throws
 * away those that are damaged, and builds runs for the segments that none covers: many small ones
 * together, so that a store whose index/ was deleted gets a few runs and not one for each capture.
 */
import { isDamage } from '../errors.ts';
import { MAX_RUN_SEGMENTS } from '../index/format.ts';
import { BUILD_ENTRIES, type RunBuilder } from '../index/run-builder.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import { addSegment, buildRun } from './index-write.ts';

/** Makes every segment of the catalog that can be read known to the index. */
export async function refreshIndex(context: StoreContext, pacer: Pacer): Promise<void> {
  listRuns(context);
  const missing = context.segments.filter((number) => !context.index.covers(number));
  if (missing.length === 0) return;
  let next = 0;
  while (next < missing.length) {
    await buildRun(context, pacer, async (builder) => {
      while (next < missing.length && hasRoom(builder)) {
        await addIfReadable(context, builder, missing[next] as number, pacer);
        next += 1;
      }
    });
  }
  listRuns(context);
}

/** Brings the index up to date with index/, of which it takes away what is damaged. */
export function listRuns(context: StoreContext): void {
  const { files, index, segments } = context;
  segments.refresh();
  const damaged = index.refresh((identities, numbers) => {
    segments.table.findAll(identities, numbers);
  });
  for (const path of damaged) files.removeTree(path);
}

function hasRoom(builder: RunBuilder): boolean {
  return builder.entryCount < BUILD_ENTRIES && builder.segmentCount < MAX_RUN_SEGMENTS;
}

/** The pages of a pack that cannot be read match nothing, and are stored again. */
async function addIfReadable(
  context: StoreContext,
  builder: RunBuilder,
  number: number,
  pacer: Pacer,
): Promise<void> {
  const segment = context.segments.at(number);
  if (segment === undefined) return;
  try {
    await addSegment(context, builder, segment, pacer);
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  await pacer.pause();
}
