/**
 * What only the library can tell about itself: how many frames a restore decoded and how many it
 * needed, and how much of a store is not page content. What delta pages stand on is read from the
 * packs, in delta-pages.ts.
 */
import type { RestoreReport, StoreStatistics } from 'criu-timeline';

/** Frames decoded for each frame needed. */
export function frameRatio(restored: RestoreReport | undefined): number | undefined {
  if (restored === undefined) return undefined;
  return restored.framesDecoded / Math.max(1, restored.framesNeeded);
}

/** Percent of the kept bytes that are not compressed pages. */
export function metadataPercent(
  statistics: Pick<StoreStatistics, 'frameBytes'> | undefined,
  keptBytes: number,
): number | undefined {
  return statistics === undefined ? undefined : (1 - statistics.frameBytes / keptBytes) * 100;
}
