/** Plans of retention against the same rules by brute force, and what must be true of any plan. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planRetention, type PlannedSnapshot } from '../../src/retention/plan.ts';
import type { RetentionPolicy } from '../../src/retention/policy.ts';
import { nows, policies, singleRules, timelines, type Made } from '../support/planned-retention.ts';
import { keptByOracle } from '../support/retention-oracle.ts';

const RUNS = { numRuns: 2000 };

/** What a plan keeps; every snapshot must be in one of its lists, with a reason. */
function keptIds(snapshots: readonly Made[], policy: RetentionPolicy, nowMs: number): string[] {
  const { kept, removed, keptBytes } = planRetention(snapshots, policy, nowMs);
  const all = [...kept, ...removed].map(({ snapshot }) => snapshot);
  expect(all.sort((a, b) => a.sequence - b.sequence)).toEqual(snapshots);
  for (const { reasons } of kept) expect(reasons.length).toBeGreaterThan(0);
  for (const { reasons } of removed) expect(reasons).toHaveLength(1);
  expect(keptBytes).toBe(kept.reduce((sum, { snapshot }) => sum + snapshot.storedBytes, 0));
  return kept.map(({ snapshot }) => snapshot.id);
}

describe('a plan', () => {
  test('keeps what the rule keeps when it is told for each snapshot by itself', () => {
    let removed = 0;
    fc.assert(
      fc.property(timelines, singleRules, nows, (snapshots, policy, nowMs) => {
        const kept = keptIds(snapshots, policy, nowMs);
        expect(kept.toSorted()).toEqual([...keptByOracle(snapshots, policy, nowMs)].toSorted());
        removed += snapshots.length - kept.length;
      }),
      RUNS,
    );
    expect(removed).toBeGreaterThan(RUNS.numRuns);
  });

  test('of several rules keeps what any of them keeps', () => {
    fc.assert(
      fc.property(timelines, policies, nows, (snapshots, policy, nowMs) => {
        const rules = Object.entries(policy).map(([option, value]) => ({ [option]: value }));
        const union = rules.flatMap((rule) => [...keptByOracle(snapshots, rule, nowMs)]);
        expect(keptIds(snapshots, policy, nowMs).toSorted()).toEqual(
          [...new Set(union)].toSorted(),
        );
      }),
      RUNS,
    );
  });

  test('keeps no less when a number is larger', () => {
    const larger = (value: unknown): unknown => {
      if (typeof value === 'number') return value + 1;
      if (typeof value !== 'object' || value === null || !('keep' in value)) return value;
      return { ...value, keep: (value.keep as number) + 1 };
    };
    fc.assert(
      fc.property(timelines, policies, nows, (snapshots, policy, nowMs) => {
        const entries = Object.entries(policy).map(([option, value]) => [option, larger(value)]);
        const more = Object.fromEntries(entries) as RetentionPolicy;
        const kept = keptIds(snapshots, more, nowMs);
        expect(kept).toEqual(expect.arrayContaining(keptIds(snapshots, policy, nowMs)));
      }),
      RUNS,
    );
  });

  const budgets = fc.option(fc.integer({ min: 1, max: 300 }), { nil: undefined });

  test('removes nothing more from what it kept, at the same time', () => {
    fc.assert(
      fc.property(timelines, policies, budgets, nows, (snapshots, rules, maxBytes, nowMs) => {
        const policy = { ...rules, maxBytes };
        const first = planRetention(snapshots, policy, nowMs);
        const survivors = first.kept.map(({ snapshot }) => snapshot);
        const second = planRetention(survivors, policy, nowMs);
        expect(second.removed).toEqual([]);
        expect(second.overBudgetBytes).toBe(first.overBudgetBytes);
      }),
      RUNS,
    );
  });

  test('never removes what is pinned, nor the newest by time or by sequence', () => {
    fc.assert(
      fc.property(timelines, policies, budgets, nows, (snapshots, rules, maxBytes, nowMs) => {
        const kept = keptIds(snapshots, { ...rules, maxBytes }, nowMs);
        const versions = snapshots.filter(({ kind }) => kind === 'restorable');
        const newestMs = Math.max(...versions.map(({ takenAtMs }) => takenAtMs));
        const newest = [
          versions.at(-1),
          versions.findLast(({ takenAtMs }) => takenAtMs === newestMs),
          ...snapshots.filter(({ pinned }) => pinned),
        ].flatMap((snapshot) => snapshot?.id ?? []);
        expect(kept).toEqual(expect.arrayContaining(newest));
      }),
      RUNS,
    );
  });

  test('does not depend on the order in which it is given the snapshots', () => {
    fc.assert(
      fc.property(timelines, policies, budgets, nows, (snapshots, rules, maxBytes, nowMs) => {
        const policy = { ...rules, maxBytes };
        const plan = planRetention(snapshots, policy, nowMs);
        expect(planRetention(snapshots.toReversed(), policy, nowMs)).toEqual(plan);
      }),
    );
  });

  test('keeps as much as its budget allows, the newest first', () => {
    let removed = 0;
    fc.assert(
      fc.property(timelines, policies, fc.integer({ min: 1, max: 150 }), nows, (...made) => {
        const [snapshots, policy, maxBytes, nowMs] = made;
        const free = planRetention(snapshots, policy, nowMs);
        const plan = planRetention(snapshots, { ...policy, maxBytes }, nowMs);
        const over = plan.removed.filter(({ reasons }) => reasons[0]?.rule === 'budget');
        const idsOf = (list: readonly PlannedSnapshot<Made>[]) =>
          list.map(({ snapshot }) => snapshot.id);
        expect([...idsOf(plan.kept), ...idsOf(over)].toSorted()).toEqual(
          idsOf(free.kept).toSorted(),
        );
        expect(plan.overBudgetBytes).toBe(Math.max(plan.keptBytes - maxBytes, 0));
        const isVersion = ({ snapshot }: (typeof over)[number]) => snapshot.kind === 'restorable';
        const byTime = over
          .filter(isVersion)
          .sort((a, b) => a.snapshot.takenAtMs - b.snapshot.takenAtMs);
        const dropped = byTime.at(-1)?.snapshot;
        removed += byTime.length;
        const unprotected = plan.kept
          .filter(isVersion)
          .filter(({ reasons }) =>
            reasons.every(({ rule }) => !['pinned', 'label', 'newest'].includes(rule)),
          );
        if (plan.overBudgetBytes > 0) expect(unprotected).toEqual([]);
        if (dropped === undefined) return;
        for (const { snapshot } of unprotected) {
          expect(snapshot.takenAtMs).toBeGreaterThanOrEqual(dropped.takenAtMs);
        }
        // The last one that went had to: with all that went because of it, there was too much.
        const bytes = over
          .filter((each) => !isVersion(each) || each.snapshot.takenAtMs === dropped.takenAtMs)
          .reduce((sum, { snapshot }) => sum + snapshot.storedBytes, 0);
        expect(plan.keptBytes + bytes).toBeGreaterThan(maxBytes);
      }),
      RUNS,
    );
    expect(removed).toBeGreaterThan(RUNS.numRuns / 4);
  });
});
