/**
 * The second half of a collection: packs that nobody needs are dropped, others are written once
 * more. A step is one transaction, and what is begun is done to its end.
 */
import type { Replacement } from '../catalog/collection-table.ts';
import { isDamage } from '../errors.ts';
import { replacementPieces } from './collect-pieces.ts';
import type { CollectPlan } from './collect-plan.ts';
import type { CollectWork } from './collect-work.ts';
import { Compaction } from './compact.ts';
import { publishPack } from './publish.ts';
import { StagedPack } from './staged-pack.ts';
import { statesBlock } from './states-block.ts';
import type { PackSurvey } from './survey.ts';
import { TimeIsOver } from './time-limit.ts';
import { refreshViewInPieces } from './view.ts';

/** Does what is planned. @throws TimeIsOver when there is more to do. */
export async function carryOut(work: CollectWork, plan: CollectPlan): Promise<void> {
  await drop(work, plan.drop);
  const isDone = await compact(work, plan.compact);
  await work.unlink();
  if (!isDone) throw new TimeIsOver();
}

async function drop(work: CollectWork, packs: readonly PackSurvey[]): Promise<void> {
  if (packs.length === 0) return;
  const { context, tally, time } = work;
  time.check();
  await replace(work, {
    packs: packs.map(({ name }) => name),
    pack: undefined,
    segments: [],
    goneSegments: packs.flatMap(({ segments }) => segments.map(({ number }) => number)),
    manifests: [],
  });
  await refreshViewInPieces(context, work.pacer);
  tally.droppedPacks = packs.length;
  time.worked();
  // Before anything is written: on a full disk this makes the room.
  await work.unlink();
}

async function replace(work: CollectWork, replacement: Replacement): Promise<void> {
  const { context, options, pacer } = work;
  for (const piece of replacementPieces(replacement)) {
    await context.catalog.collections.replace(piece, options.signal);
    await pacer.pause();
  }
}

/** False when the time was over before all was done. */
async function compact(
  work: CollectWork,
  groups: readonly (readonly PackSurvey[])[],
): Promise<boolean> {
  const { tally, time } = work;
  const total = groups.flat().length;
  for (const group of groups) {
    if (time.isOver) return false;
    try {
      await compactGroup(work, group);
      tally.compactedPacks += group.length;
    } catch (error) {
      if (!isDamage(error)) throw error;
      tally.damage.add(error instanceof Error ? error.message : String(error));
      tally.isComplete = false;
      // Its neighbours are not to wait for what may never be mended. By itself, one without waste
      // would only become itself again.
      const alone = group.length > 1 ? group.filter(({ deadBytes }) => deadBytes > 0) : [];
      for (const pack of alone) if (!(await compact(work, [[pack]]))) return false;
    }
    time.worked();
    work.options.onProgress?.({ phase: 'packs', done: tally.compactedPacks, total });
  }
  return true;
}

async function compactGroup(work: CollectWork, group: readonly PackSurvey[]): Promise<void> {
  const { context, pacer } = work;
  const staged = new StagedPack(context);
  try {
    const compaction = new Compaction(context, staged.writer, pacer);
    for (const survey of group) await compaction.add(survey);
    if (group.some(({ statesGeneration }) => statesGeneration !== undefined)) {
      const generation = context.catalog.generation + 1;
      const rows = await work.rows();
      await pacer.pause();
      staged.writer.addStates(statesBlock(context, rows, generation));
      await pacer.pause();
    }
    const pack = staged.seal();
    await pacer.pause();
    const packs = group.map(({ name }) => name);
    const { written, manifestDigests } = compaction;
    await publishPack(
      context,
      { path: staged.path, name: pack.name, manifests: manifestDigests },
      () => replace(work, { packs, pack, ...written }),
      () => context.catalog.packs().some(({ name }) => name === pack.name),
    );
    work.tally.writtenBytes += pack.sizeBytes;
    await refreshViewInPieces(context, pacer);
  } catch (error) {
    staged.discard();
    throw error;
  }
}
