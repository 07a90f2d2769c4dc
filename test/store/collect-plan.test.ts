/** Plans of collections: what is dropped, what is written once more, and that nothing else is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SnapshotRow } from '../../src/catalog/rows.ts';
import { SlotSet } from '../../src/pack/slot-set.ts';
import { planCollection } from '../../src/store/collect-plan.ts';
import type { PackSurvey } from '../../src/store/survey.ts';

const MEBIBYTE = 1024 * 1024;

/** What a pack is like, as plain numbers. */
interface Shape {
  readonly live: number;
  readonly dead: number;
  readonly hasManifest: boolean;
  readonly generation: number | undefined;
}

function surveyOf({ live, dead, hasManifest, generation }: Shape, number: number): PackSurvey {
  const identity = new Uint8Array(16).fill(number);
  const pages = { dead: new SlotSet(), deadPages: dead > 0 ? 1 : 0, livePages: live > 0 ? 1 : 0 };
  return {
    number,
    name: `pack ${number}`,
    sizeBytes: live + dead + 500,
    segments: [{ number, identity, local: 0, ...pages }],
    manifests: hasManifest ? [{ id: `${number}` } as SnapshotRow] : [],
    statesGeneration: generation,
    hasDamagedStates: false,
    deadBytes: dead,
    liveBytes: live,
  };
}

const bytes = fc.oneof(fc.constant(0), fc.nat(MEBIBYTE), fc.nat(40 * MEBIBYTE));
const shape: fc.Arbitrary<Shape> = fc.record({
  live: bytes,
  dead: bytes,
  hasManifest: fc.boolean(),
  generation: fc.option(fc.nat(9), { nil: undefined, freq: 3 }),
});
const surveys = fc
  .array(shape, { maxLength: 80, size: 'max' })
  .map((shapes) => shapes.map((each, i) => surveyOf(each, i + 1)));
const thresholds = fc.record({
  wasteThreshold: fc.constantFrom(0, 0.1, 0.3, 1),
  maxBytes: fc.constantFrom(0, MEBIBYTE, 50 * MEBIBYTE, Infinity),
});

const isUnneeded = ({ manifests, segments }: PackSurvey): boolean =>
  manifests.length === 0 && segments.every(({ livePages }) => livePages === 0);

describe('a plan', () => {
  it('drops what nobody needs, but for the newest states, and keeps to its limits', () => {
    const run = (packs: PackSurvey[], limits: { wasteThreshold: number; maxBytes: number }) => {
      const { drop, compact } = planCollection(packs, limits);
      const newest = Math.max(-1, ...packs.map((pack) => pack.statesGeneration ?? -1));
      const spared = packs.filter((pack) => isUnneeded(pack) && !drop.includes(pack));
      expect(drop.every(isUnneeded)).toBe(true);
      expect(spared.length).toBeLessThanOrEqual(1);
      for (const pack of spared) expect(pack.statesGeneration).toBe(newest);
      const kept = packs.filter((pack) => !drop.includes(pack));
      const states = kept.map((pack) => pack.statesGeneration ?? -1);
      expect(Math.max(-1, ...states)).toBe(newest);
      const chosen = compact.flat();
      expect(new Set(chosen).size).toBe(chosen.length);
      expect(chosen.some((pack) => drop.includes(pack))).toBe(false);
      const written = chosen.reduce((sum, { liveBytes }) => sum + liveBytes, 0);
      expect(written).toBeLessThanOrEqual(limits.maxBytes);
      for (const group of compact) {
        expect(group.map(({ number }) => number)).toEqual(
          group.map(({ number }) => number).sort((a, b) => a - b),
        );
        const live = group.reduce((sum, { liveBytes }) => sum + liveBytes, 0);
        if (group.length > 1) expect(live).toBeLessThanOrEqual(32 * MEBIBYTE);
        else expect(group[0]?.deadBytes).toBeGreaterThan(0);
      }
      if (limits.wasteThreshold === 0 && limits.maxBytes === Infinity) {
        for (const pack of kept) if (pack.deadBytes > 0) expect(chosen).toContain(pack);
      }
    };
    fc.assert(fc.property(surveys, thresholds, run), { numRuns: 200 });
  });

  it('tolerates waste up to the threshold, and not a byte more', () => {
    const limits = { wasteThreshold: 0.3, maxBytes: Infinity };
    const planOf = (dead: number) => {
      const pack = surveyOf({ live: 7000, dead, hasManifest: true, generation: undefined }, 1);
      return planCollection([{ ...pack, sizeBytes: 10_000, liveBytes: 10_000 - dead }], limits);
    };
    expect(planOf(3000).compact).toEqual([]);
    expect(planOf(3001).compact).toHaveLength(1);
  });

  it('merges small packs when there are many, and leaves large ones alone', () => {
    const small = { live: 1000, dead: 0, hasManifest: true, generation: undefined };
    const large = { ...small, live: 5 * MEBIBYTE };
    const limits = { wasteThreshold: 0.3, maxBytes: Infinity };
    const packs = (count: number) =>
      [large, ...Array.from({ length: count }, () => small), large].map((each, i) =>
        surveyOf(each, i + 1),
      );
    expect(planCollection(packs(31), limits).compact).toEqual([]);
    const [merged, ...others] = planCollection(packs(32), limits).compact;
    expect([merged?.length, others.length]).toEqual([32, 0]);
  });

  it('spends few bytes on those packs of a group that they are enough for', () => {
    const packs = Array.from({ length: 10 }, (_, i) =>
      surveyOf({ live: MEBIBYTE, dead: MEBIBYTE, hasManifest: true, generation: undefined }, i + 1),
    );
    const { compact } = planCollection(packs, { wasteThreshold: 0, maxBytes: 3 * MEBIBYTE });
    expect(compact.flat()).toHaveLength(3);
  });

  it('says that packs are left out, though no group is', () => {
    const packs = Array.from({ length: 10 }, (_, i) =>
      surveyOf({ live: MEBIBYTE, dead: MEBIBYTE, hasManifest: true, generation: undefined }, i + 1),
    );
    const planOf = (mebibytes: number) =>
      planCollection(packs, { wasteThreshold: 0, maxBytes: mebibytes * MEBIBYTE });
    expect(planOf(9)).toMatchObject({ compact: [{ length: 9 }], leavesOut: true });
    expect(planOf(10)).toMatchObject({ compact: [{ length: 10 }], leavesOut: false });
    expect(planCollection([], { wasteThreshold: 0, maxBytes: 0 }).leavesOut).toBe(false);
  });

  describe('of many small packs and few bytes', () => {
    const smallPacks = (deadOf: (i: number) => number, liveOf: (i: number) => number) =>
      Array.from({ length: 40 }, (_, i) =>
        surveyOf(
          { live: liveOf(i), dead: deadOf(i), hasManifest: true, generation: undefined },
          i + 1,
        ),
      );
    const limits = { wasteThreshold: 0.3, maxBytes: 1.5 * MEBIBYTE };

    it('compacts one with waste, whatever its neighbours are', () => {
      const packs = smallPacks(
        (i) => (i === 38 ? 3 * MEBIBYTE : 0),
        (i) => (i > 35 ? MEBIBYTE : 1000),
      );
      const { compact } = planCollection(packs, limits);
      expect(compact.flat().map(({ number }) => number)).toContain(39);
    });

    it('merges the small ones, though a large one is older', () => {
      const packs = smallPacks(
        () => 0,
        (i) => (i === 0 ? 1.5 * MEBIBYTE : MEBIBYTE / 2),
      );
      expect(planCollection(packs, limits).compact).toMatchObject([{ length: 3 }]);
    });
  });
});
