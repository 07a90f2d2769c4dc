/**
 * Which runs to merge: size-tiered. Tier 0 has the runs below 8 KiB, each next one those up to
 * four times as large; four runs of a tier become one of the next. So n pages are in at most
 * 3 log4(n) runs or so, and each is written log4(n) times.
 */
import { MAX_RUN_SEGMENTS } from './format.ts';

/** What the choice depends on. */
export interface RunSize {
  readonly sizeBytes: number;
  readonly segmentCount: number;
}

/** Runs of a tier that are merged. */
export const TIER_RUNS = 4;
/** Runs that are merged at once at most: 64 KiB of memory and a descriptor each. */
export const MAX_MERGED_RUNS = 16;
/** With 64 KiB, every third capture wrote the runs of 2,000 small ones again: 25 of 80 ms. */
const FIRST_TIER_BYTES = 8 * 1024;

/** The tier of a run. */
export function tierOf(sizeBytes: number): number {
  let tier = 0;
  for (let bound = FIRST_TIER_BYTES; sizeBytes >= bound; bound *= TIER_RUNS) tier += 1;
  return tier;
}

/** The runs to merge next, of the lowest tier that has enough of them; none when no tier has. */
export function planMerge<Run extends RunSize>(runs: readonly Run[]): Run[] {
  const tiers = new Map<number, Run[]>();
  for (const run of runs) {
    // Of two such runs there might be too many segments for one.
    if (run.segmentCount > MAX_RUN_SEGMENTS / 2) continue;
    const tier = tierOf(run.sizeBytes);
    tiers.set(tier, [...(tiers.get(tier) ?? []), run]);
  }
  const full = [...tiers.keys()].filter((tier) => (tiers.get(tier)?.length ?? 0) >= TIER_RUNS);
  if (full.length === 0) return [];
  return chooseFitting(tiers.get(Math.min(...full)) as Run[]);
}

/** As many as one run may cover. */
function chooseFitting<Run extends RunSize>(runs: readonly Run[]): Run[] {
  let segments = 0;
  const ascending = runs.toSorted((a, b) => a.segmentCount - b.segmentCount);
  return ascending.slice(0, MAX_MERGED_RUNS).filter(({ segmentCount }) => {
    segments += segmentCount;
    return segments <= MAX_RUN_SEGMENTS;
  });
}
