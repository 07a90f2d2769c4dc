/** Which runs are merged: few remain, little is written, and no run covers too many segments. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_RUN_SEGMENTS } from '../../src/index/format.ts';
import {
  MAX_MERGED_RUNS,
  planMerge,
  type RunSize,
  tierOf,
  TIER_RUNS,
} from '../../src/index/tiers.ts';

const KIB = 1024;

function joined(runs: readonly RunSize[]): RunSize {
  return {
    sizeBytes: runs.reduce((sum, run) => sum + run.sizeBytes, 0),
    segmentCount: runs.reduce((sum, run) => sum + run.segmentCount, 0),
  };
}

/** Adds runs one after the other, merging as planned; returns what is left and what was written. */
function simulate(added: readonly RunSize[]): { runs: RunSize[]; most: number; written: number } {
  let runs: RunSize[] = [];
  let most = 0;
  let written = 0;
  for (const run of added) {
    runs.push(run);
    for (;;) {
      const chosen = planMerge(runs);
      if (chosen.length === 0) break;
      const result = joined(chosen);
      expect(chosen.length).toBeGreaterThan(1);
      expect(chosen.length).toBeLessThanOrEqual(MAX_MERGED_RUNS);
      expect(result.segmentCount).toBeLessThanOrEqual(MAX_RUN_SEGMENTS);
      written += result.sizeBytes;
      runs = [...runs.filter((each) => !chosen.includes(each)), result];
    }
    most = Math.max(most, runs.length);
  }
  return { runs, most, written };
}

describe('planMerge', () => {
  it('has tiers of a factor four', () => {
    const sizes = [0, 8 * KIB - 1, 8 * KIB, 32 * KIB - 1, 32 * KIB, 128 * KIB];
    expect(sizes.map(tierOf)).toEqual([0, 0, 1, 1, 2, 3]);
  });

  it('merges the lowest tier that has four runs, and none before', () => {
    const run = (sizeBytes: number) => ({ sizeBytes, segmentCount: 1 });
    const small = [1, 2, 3].map(run);
    const large = [1, 2, 3, 4].map((i) => run(100 * KIB + i));
    expect(planMerge(small)).toEqual([]);
    expect(planMerge([...small, ...large])).toEqual(large);
    expect(planMerge([...large, ...small, run(5)])).toEqual([...small, run(5)]);
  });

  it('leaves few runs of 10,000 captures, and writes each page few times', () => {
    const captures = Array.from({ length: 10_000 }, () => {
      return { sizeBytes: 70 * KIB, segmentCount: 1 };
    });
    const { most, written } = simulate(captures);
    expect(most).toBeLessThanOrEqual(3 * 8);
    expect(written / (10_000 * 70 * KIB)).toBeLessThan(7);
  });

  it('leaves few runs of 100,000 captures without pages', () => {
    const captures = Array.from({ length: 100_000 }, () => ({ sizeBytes: 52, segmentCount: 1 }));
    const { most, runs } = simulate(captures);
    expect(most).toBeLessThan(40);
    expect(joined(runs).segmentCount).toBe(100_000);
  });

  it('always ends, with less than four runs in a tier but for those of many segments', () => {
    const size = fc.record({
      sizeBytes: fc.oneof(fc.nat(100), fc.nat(10_000_000)),
      segmentCount: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 65_535 })),
    });
    fc.assert(
      fc.property(fc.array(size, { maxLength: 60 }), (added) => {
        const { runs } = simulate(added);
        const tiers = new Map<number, number>();
        for (const run of runs) {
          if (run.segmentCount > MAX_RUN_SEGMENTS / 2) continue;
          const tier = tierOf(run.sizeBytes);
          tiers.set(tier, (tiers.get(tier) ?? 0) + 1);
        }
        expect(Math.max(0, ...tiers.values())).toBeLessThan(TIER_RUNS);
        expect(joined(runs)).toEqual(joined(added));
      }),
    );
  });
});
