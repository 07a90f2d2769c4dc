/**
 * Packs that the catalog has let go of: their files are unlinked as soon as no operation runs that
 * began before. The row goes last, after the unlinking is durable: no file is ever forgotten.
 */
import type { RetiredPack } from '../catalog/collection-table.ts';
import { storageError } from '../errors.ts';
import { exists, syncDirectory } from '../files/transfer.ts';
import type { RunningOperation } from './activity.ts';
import { Pacer } from './clock.ts';
import { piecesOf } from './collect-pieces.ts';
import type { StoreContext } from './context.ts';
import { awaitOlderWork } from './older-work.ts';

/** How long other operations are waited for, and what stops that. */
export interface Patience {
  readonly deadlineMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Unlinks what nobody can be reading any more; returns the bytes that this frees. */
export async function unlinkRetired(
  context: StoreContext,
  own: RunningOperation,
  patience: Patience,
): Promise<number> {
  const retired = context.catalog.collections.retired();
  if (retired.length === 0) return 0;
  const newest = retired.reduce((most, { generation }) => Math.max(most, generation), 0);
  const isFree = await awaitOlderWork(context, own, newest, patience);
  const free = isFree ? retired : await withoutReaders(context, own, retired);
  await unlinkAll(context, free, new Pacer(patience.signal));
  for (const piece of piecesOf(free)) {
    await context.catalog.collections.forgetRetired(piece.map(({ name }) => name));
  }
  return free.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

async function withoutReaders(
  context: StoreContext,
  own: RunningOperation,
  retired: readonly RetiredPack[],
): Promise<RetiredPack[]> {
  const free: RetiredPack[] = [];
  for (const pack of retired) {
    const atOnce = { deadlineMs: 0, signal: undefined };
    if (await awaitOlderWork(context, own, pack.generation, atOnce)) free.push(pack);
  }
  return free;
}

async function unlinkAll(
  context: StoreContext,
  packs: readonly RetiredPack[],
  pacer: Pacer,
): Promise<void> {
  const { files, layout } = context;
  const directories = new Set<string>();
  for (const { name } of packs) {
    const path = layout.packFile(name);
    try {
      context.packs.forget(name);
      // Also when it is gone: whoever unlinked it may have died before the sync.
      directories.add(layout.packDirectory(name));
      if (exists(files, path)) files.unlink(path);
    } catch (error) {
      throw storageError('remove the pack', path, error);
    }
    await pacer.pause();
  }
  for (const directory of directories) {
    try {
      if (exists(files, directory)) syncDirectory(files, directory);
    } catch (error) {
      throw storageError('make the removal of packs durable', directory, error);
    }
    await pacer.pause();
  }
}
