/**
 * Damage that was met is recorded in the catalog, so that later captures, of other processes too,
 * store the lost pages again instead of referring to them. Recording is no part of the operation
 * that met the damage: it may fail quietly, and costs at most that the damage is met once more.
 */
import { basename } from 'node:path';
import { StoreError } from '../errors.ts';
import type { OperationOptions, StoreContext } from './context.ts';

const PACK_SUFFIX = '.pack';

/** Records the frames that were found damaged since the last time. */
export async function recordLostFrames(
  context: StoreContext,
  onDamage: OperationOptions['onDamage'],
): Promise<void> {
  const frames = context.packs.lostFrames.takeUnrecorded();
  for (const frame of frames) onDamage?.(frame);
  if (context.staging === undefined || frames.length === 0) return;
  const rows = frames.map(({ file, offset }) => ({ pack: basename(file, PACK_SUFFIX), offset }));
  try {
    await context.catalog.addLostFrames(rows);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}

/** Remembers the frames that any process found damaged. */
export function loadLostFrames(context: StoreContext): void {
  const frames = context.catalog.lostFrames();
  const { layout } = context;
  context.packs.restoreLostFrames(
    frames.map(({ pack, offset }) => ({ file: layout.packFile(pack), offset })),
  );
}
