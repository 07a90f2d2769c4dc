/**
 * The end of a collection: what is left over of that which is gone. Caches of snapshots, runs of
 * the index that are mostly about segments that are gone, and tombstones that nobody needs.
 */
import { idToText } from '../bytes/id.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { isDamage } from '../errors.ts';
import type { Pacer } from './clock.ts';
import { piecesOf } from './collect-pieces.ts';
import type { StoreContext } from './context.ts';
import { evictCache } from './heads.ts';
import { cleanIndex } from './index-merge.ts';
import { findUnknownPacks } from './unknown-packs.ts';

/** Takes away what is left over. */
export async function tidy(
  context: StoreContext,
  rows: readonly SnapshotRow[],
  pacer: Pacer,
): Promise<void> {
  evictCache(context, new Set(rows.filter((row) => !row.condemned).map(({ id }) => id)));
  await cleanIndex(context, pacer);
  const { collections } = context.catalog;
  // Any of these may have a manifest of a snapshot that is gone.
  if (collections.retired().length > 0) return;
  if ((await findUnknownPacks(context, pacer)).length > 0) return;
  try {
    for (const piece of piecesOf(await findForgotten(context, pacer))) {
      await collections.forgetTombstones(piece);
      await pacer.pause();
    }
  } catch (error) {
    // So may a pack that cannot be read, once it is put back from a copy.
    if (!isDamage(error)) throw error;
  }
}

/** Ids of snapshots that are gone, and of which no pack has a manifest any more. */
async function findForgotten({ catalog, packs }: StoreContext, pacer: Pacer): Promise<string[]> {
  const gone = new Set(catalog.collections.tombstones());
  for (const { name } of catalog.packs()) {
    for (const entry of packs.reader(name).footer.entries) {
      if (entry.type === 'manifest') gone.delete(idToText(entry.snapshotId));
    }
    await pacer.pause();
  }
  return [...gone];
}
