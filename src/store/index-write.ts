/**
 * Writes runs of the page index from packs: in staging first, then renamed into index/ under a name
 * that nothing had before. Never synced: runs are derived and checksummed, and a power loss costs
 * building them again.
 */
import { storageError, systemCode } from '../errors.ts';
import { RunBuilder } from '../index/run-builder.ts';
import { FIRST_DELTA_FRAME } from '../pack/format.ts';
import type { FrameTable } from '../pack/frame-table.ts';
import type { PackReader } from '../pack/reader.ts';
import { newName, Pacer } from './clock.ts';
import { writableStaging, type StoreContext } from './context.ts';
import type { PlacedSegment } from './segment-directory.ts';

/** Frames that are read between two pauses. */
const SLICE_FRAMES = 64;

/** Writes the run of one segment, as a capture does before its commit; returns its path. */
export async function writeRun(
  context: StoreContext,
  segment: PlacedSegment,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const pacer = new Pacer(signal);
  return await buildRun(context, pacer, async (builder) => {
    await addSegment(context, builder, segment, pacer);
  });
}

/**
 * Lets `fill` fill a builder, and puts the run in its place, unless there is nothing in it; returns
 * its path.
 */
export async function buildRun(
  context: StoreContext,
  pacer: Pacer,
  fill: (builder: RunBuilder) => Promise<void>,
): Promise<string | undefined> {
  const { files, layout } = context;
  const staging = writableStaging(context);
  const paths: string[] = [];
  const newPath = () => {
    const path = staging.newPath('.run');
    paths.push(path);
    return path;
  };
  const path = newPath();
  try {
    const builder = new RunBuilder(files, { newPath });
    await fill(builder);
    if (builder.isEmpty) return undefined;
    await inSlices(builder.finish(path), pacer);
    const place = layout.runFile(newName());
    files.rename(path, place);
    return place;
  } catch (error) {
    for (const staged of paths) files.removeTree(staged);
    // The reason of an abort stays what it is.
    throw systemCode(error) === undefined ? error : storageError('write a run', path, error);
  }
}

/** Adds the full pages of a segment. @throws StoreError CORRUPT when its pack is damaged. */
export async function addSegment(
  context: StoreContext,
  builder: RunBuilder,
  { identity, packName, local }: PlacedSegment,
  pacer: Pacer,
): Promise<void> {
  const pack = context.packs.reader(packName);
  // Damage is met here, if anywhere: before the segment is begun.
  const tables = pack.frameTables(local);
  builder.beginSegment(identity);
  try {
    for (const table of tables) await inSlices(addFrames(builder, pack, table), pacer);
  } catch (error) {
    builder.abandonSegment();
    throw error;
  }
}

function* addFrames(builder: RunBuilder, pack: PackReader, table: FrameTable): Generator<void> {
  for (let index = 0; index < table.length; index++) {
    // Delta pages have no digests: nothing is found by them. They come after the full ones.
    if (table.entryAt(index).frame >= FIRST_DELTA_FRAME) return;
    const digests = pack.frameDigests(table, index);
    const slots = table.slotsAt(index);
    for (let done = 0; done < slots.length;) {
      if (builder.isFull) yield* builder.spill();
      done = builder.addPages(digests, slots, done);
    }
    if (index % SLICE_FRAMES === SLICE_FRAMES - 1) yield;
  }
}

/** Runs work that yields, with a pause at each yield. */
export async function inSlices<Result>(
  work: Generator<void, Result>,
  pacer: Pacer,
): Promise<Result> {
  try {
    for (;;) {
      const step = work.next();
      if (step.done === true) return step.value;
      await pacer.pause();
    }
  } catch (error) {
    // Lets the work close what it has open; without a pause that threw, it has ended already.
    work.return(undefined as Result);
    throw error;
  }
}
