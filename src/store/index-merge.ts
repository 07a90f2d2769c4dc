/**
 * Merges the runs of the page index, so that any number of captures leaves few of them. Work for
 * the background, after a commit: it goes in slices, and stops when the pacer's signal fires.
 *
 * Several processes may do this at once. Each result is complete before its inputs are unlinked,
 * so whatever happens in between, a segment is covered once or twice; and a segment that is not
 * covered after all is one more that the next refresh builds a run for.
 */
import { storageError, StoreError, systemCode } from '../errors.ts';
import { exists } from '../files/transfer.ts';
import { Coverage } from '../index/coverage.ts';
import { mergeRuns } from '../index/merge.ts';
import type { RunFile } from '../index/run-file.ts';
import { planMerge } from '../index/tiers.ts';
import { newName, type Pacer } from './clock.ts';
import { writableStaging, type StoreContext } from './context.ts';
import { listRuns } from './index-refresh.ts';
import { inSlices } from './index-write.ts';

/** Stores that merge in this process at the moment: twice the same work would be no help. */
const merging = new WeakSet<StoreContext>();

/**
 * Merges until no tier is full. The index is derived: whoever calls this in the background may
 * leave a failure to the next call.
 *
 * @throws the reason of the pacer's signal; StoreError STORAGE.
 */
export async function mergeIndex(context: StoreContext, pacer: Pacer): Promise<void> {
  if (merging.has(context)) return;
  merging.add(context);
  try {
    for (;;) {
      listRuns(context);
      removeRedundant(context);
      const runs = planMerge(context.index.runs.map(sizeOf)).map(({ run }) => run);
      if (runs.length === 0) return;
      await mergeChosen(context, runs, pacer);
      await pacer.pause();
    }
  } finally {
    merging.delete(context);
  }
}

/** Writes runs once more of which more than half is about segments that are gone. */
export async function cleanIndex(context: StoreContext, pacer: Pacer): Promise<void> {
  listRuns(context);
  const { segments } = context;
  for (const run of context.index.runs) {
    const known = run.segments.filter((number) => segments.table.has(number)).length;
    if (known * 2 >= run.segments.length) continue;
    if (known > 0) await mergeChosen(context, [run], pacer);
    else context.files.removeTree(run.path);
    await pacer.pause();
  }
  listRuns(context);
}

function sizeOf(run: RunFile): { run: RunFile; sizeBytes: number; segmentCount: number } {
  return { run, sizeBytes: run.sizeBytes, segmentCount: run.segments.length };
}

/** What a merge leaves that was killed before it unlinked its inputs, or that two have done. */
function removeRedundant(context: StoreContext): void {
  const { files, index } = context;
  const coverage = new Coverage(index.runs);
  // All processes go in the same order, and so take away the same of two that are equal.
  const ordered = index.runs.toSorted(
    (a, b) => a.sizeBytes - b.sizeBytes || (a.path < b.path ? -1 : 1),
  );
  const redundant = ordered.filter((run) => coverage.removeIfRedundant(run));
  for (const { path } of redundant) files.removeTree(path);
  if (redundant.length > 0) listRuns(context);
}

async function mergeChosen(
  context: StoreContext,
  runs: readonly RunFile[],
  pacer: Pacer,
): Promise<void> {
  const { files, layout, segments } = context;
  const staged = writableStaging(context).newPath('.run');
  const inputs = runs.map(({ path, trailer, identities }) => {
    return { path, shape: trailer.shape, identities };
  });
  // A capture that commits after this look is one that the next refresh covers.
  const isKnown = (identity: Uint8Array) => segments.table.find(identity) !== 0;
  const areThere = () => inputs.every(({ path }) => exists(files, path));
  try {
    await inSlices(mergeRuns(files, inputs, isKnown, staged), pacer);
    // Where an input is gone, another process has merged it.
    if (areThere()) {
      files.rename(staged, layout.runFile(newName()));
      for (const { path } of inputs) files.removeTree(path);
    }
    files.removeTree(staged);
  } catch (error) {
    files.removeTree(staged);
    const damaged =
      error instanceof StoreError && error.code === 'CORRUPT' ? error.file : undefined;
    if (damaged !== undefined) files.removeTree(damaged);
    // The next look at index/ shows fewer runs: either way it goes on.
    if (!areThere()) return;
    throw systemCode(error) === undefined ? error : storageError('merge runs', staged, error);
  }
}
