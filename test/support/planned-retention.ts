/** Timelines to plan retention for, without a store, and policies for them. */
import fc from 'fast-check';
import type { PlannableSnapshot } from '../../src/retention/candidates.ts';
import { planRetention, type RetentionPlan } from '../../src/retention/plan.ts';
import type { RetentionPolicy } from '../../src/retention/policy.ts';

/** A snapshot to plan for. */
export type Made = PlannableSnapshot;

/** A snapshot at a time, given as text or milliseconds, with everything else as it is mostly. */
export function made(sequence: number, takenAt: string | number, rest: Partial<Made> = {}): Made {
  return {
    id: `id ${sequence}`,
    sequence,
    kind: 'restorable',
    takenAtMs: typeof takenAt === 'number' ? takenAt : Date.parse(takenAt),
    parentId: sequence === 1 ? undefined : `id ${sequence - 1}`,
    labels: [],
    pinned: false,
    storedBytes: 10,
    ...rest,
  };
}

/** Restorable snapshots at these times. */
export function madeAt(...times: (string | number)[]): Made[] {
  return times.map((time, index) => made(index + 1, time));
}

/** The sequences that a plan keeps. */
export function keptOf(
  snapshots: readonly Made[],
  policy: RetentionPolicy,
  now: string | number = 8.64e15,
): number[] {
  const nowMs = typeof now === 'number' ? now : Date.parse(now);
  return planRetention(snapshots, policy, nowMs).kept.map(({ snapshot }) => snapshot.sequence);
}

/** Why each snapshot is kept or removed, as `rule` or `rule: detail`, by sequence. */
export function reasonsOf(plan: RetentionPlan<Made>): Record<number, string[]> {
  const entries = [...plan.kept, ...plan.removed].map(({ snapshot, reasons }) => [
    snapshot.sequence,
    reasons.map(({ rule, detail }) => (detail === undefined ? rule : `${rule}: ${detail}`)),
  ]);
  return Object.fromEntries(entries) as Record<number, string[]>;
}

/** Times that crowd in a few buckets of every size, some equal, before and after the epoch. */
const times = fc
  .tuple(
    fc.constantFrom(0, Date.parse('2024-02-29T23:59:58Z'), Date.parse('2026-12-31T23:00:00Z')),
    fc.constantFrom(400, 30_000, 1_800_000, 43_200_000, 3 * 86_400_000, 14e8, 2e10),
    fc.integer({ min: -6, max: 6 }),
  )
  .map(([base, step, steps]) => base + step * steps);

/** Timelines whose times go to and fro; sequences have gaps, parents are mostly the one before. */
export const timelines: fc.Arbitrary<Made[]> = fc
  .array(
    fc.record({
      takenAtMs: times,
      gap: fc.constantFrom(1, 1, 1, 2, 7),
      kind: fc.constantFrom('restorable', 'restorable', 'restorable', 'pre-dump'),
      back: fc.constantFrom(1, 1, 1, 2, 3),
      labels: fc.constantFrom(
        [],
        [],
        [['a', '1']],
        [
          ['a', '2'],
          ['b', '1'],
        ],
      ),
      pinned: fc.constantFrom(false, false, false, false, true),
      storedBytes: fc.integer({ min: 0, max: 30 }),
    }),
    { maxLength: 24 },
  )
  .map((items) => {
    let sequence = 0;
    const ids: string[] = [];
    return items.map(({ gap, back, ...rest }) => {
      sequence += gap;
      const parentId = ids.at(-back);
      ids.push(`id ${sequence}`);
      return made(sequence, rest.takenAtMs, { ...rest, parentId });
    });
  });

/** Times of planning, before, among and after those of the snapshots. */
export const nows: fc.Arbitrary<number> = fc.oneof(times, fc.constantFrom(-8.64e15, 8.64e15));

const intervals = fc.constantFrom('1s', '90s', '15m', '36h', '7d', '4w', '6mo', '1y', '1y5mo7d2h');
const counts = fc.integer({ min: 1, max: 6 });
const buckets = fc.oneof(counts, intervals);

/** Policies of one rule that keeps something. */
export const singleRules: fc.Arbitrary<RetentionPolicy> = fc.oneof(
  fc.record({ keepLast: counts }),
  fc.record({ keepWithin: intervals }),
  fc.record({ keepSecondly: buckets }),
  fc.record({ keepMinutely: buckets }),
  fc.record({ keepHourly: buckets }),
  fc.record({ keepDaily: buckets }),
  fc.record({ keepWeekly: buckets }),
  fc.record({ keepMonthly: buckets }),
  fc.record({ keepYearly: buckets }),
  fc.record({
    keepLabels: fc.constantFrom(
      [{ key: 'a' }],
      [{ key: 'a', value: '2' }],
      [{ key: 'b' }, { key: 'a', value: '1' }],
    ),
  }),
  fc.record({ versionGroups: fc.record({ size: counts, keep: counts }) }),
);

/** Policies of up to four rules. */
export const policies: fc.Arbitrary<RetentionPolicy> = fc
  .array(singleRules, { minLength: 1, maxLength: 4 })
  .map((rules) => Object.assign({}, ...rules) as RetentionPolicy);
