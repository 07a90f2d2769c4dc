/**
 * What a policy of one rule keeps, told for each snapshot by itself by looking at all others: slow,
 * and nothing like the planner. Only the calendar's arithmetic on intervals is the planner's own,
 * which has examples of its own.
 */
import { parseInterval, timeBefore } from '../../src/retention/interval.ts';
import type { RetentionPolicy } from '../../src/retention/policy.ts';
import type { Made } from './planned-retention.ts';

const WEEK_MS = 7 * 86_400_000;
/** A Monday. */
const MONDAY_MS = Date.parse('2026-11-23');

/** What two times must have in common to be in one bucket. */
const COMMON: Record<string, (time: Date) => number | string> = {
  keepSecondly: (time) => `${COMMON['keepMinutely']!(time)} ${time.getUTCSeconds()}`,
  keepMinutely: (time) => `${COMMON['keepHourly']!(time)} ${time.getUTCMinutes()}`,
  keepHourly: (time) => `${COMMON['keepDaily']!(time)} ${time.getUTCHours()}`,
  keepDaily: (time) => `${COMMON['keepMonthly']!(time)} ${time.getUTCDate()}`,
  keepWeekly: (time) => Math.floor((time.getTime() - MONDAY_MS) / WEEK_MS),
  keepMonthly: (time) => `${COMMON['keepYearly']!(time)} ${time.getUTCMonth()}`,
  keepYearly: (time) => time.getUTCFullYear(),
};

/** Ids of what a policy keeps. */
export function keptByOracle(
  snapshots: readonly Made[],
  policy: RetentionPolicy,
  nowMs: number,
): Set<string> {
  const versions = snapshots.filter(({ kind }) => kind === 'restorable');
  const kept = new Set<string>();
  for (const snapshot of snapshots) {
    const isVersion = snapshot.kind === 'restorable';
    const isKept =
      snapshot.pinned ||
      hasLabel(snapshot, policy) ||
      (isVersion
        ? isNewest(snapshot, versions) || isWanted(snapshot, versions, policy, nowMs)
        : versions.every(({ sequence }) => sequence < snapshot.sequence));
    if (isKept) kept.add(snapshot.id);
  }
  return withPreDumps(snapshots, kept);
}

function withPreDumps(snapshots: readonly Made[], kept: Set<string>): Set<string> {
  const added = snapshots.filter(
    ({ id, kind }) =>
      kind === 'pre-dump' &&
      !kept.has(id) &&
      snapshots.some((child) => child.parentId === id && kept.has(child.id)),
  );
  if (added.length === 0) return kept;
  return withPreDumps(snapshots, new Set([...kept, ...added.map(({ id }) => id)]));
}

/** Whether `a` comes after `b`. */
function isAfter(a: Made, b: Made): boolean {
  if (a.takenAtMs !== b.takenAtMs) return a.takenAtMs > b.takenAtMs;
  return a.sequence > b.sequence;
}

function isNewest(snapshot: Made, versions: readonly Made[]): boolean {
  const isLast = versions.every(({ sequence }) => sequence <= snapshot.sequence);
  return isLast || !versions.some((other) => isAfter(other, snapshot));
}

function hasLabel({ labels }: Made, { keepLabels = [] }: RetentionPolicy): boolean {
  return keepLabels.some(({ key, value }) =>
    labels.some(([has, is]) => has === key && (value ?? is) === is),
  );
}

function isWanted(
  snapshot: Made,
  versions: readonly Made[],
  policy: RetentionPolicy,
  nowMs: number,
): boolean {
  const newer = versions.filter((other) => isAfter(other, snapshot));
  const greatestMs = Math.max(...versions.map(({ takenAtMs }) => takenAtMs));
  const isWithin = (interval: string): boolean =>
    snapshot.takenAtMs > timeBefore(Math.min(greatestMs, nowMs), parseInterval('oracle', interval));
  if (newer.length < (policy.keepLast ?? 0)) return true;
  if (policy.keepWithin !== undefined && isWithin(policy.keepWithin)) return true;
  for (const [option, commonOf] of Object.entries(COMMON)) {
    const toKeep = policy[option as 'keepDaily'];
    if (toKeep === undefined) continue;
    const bucketsOf = (some: readonly Made[]) =>
      new Set(some.map(({ takenAtMs }) => commonOf(new Date(takenAtMs))));
    const [bucket] = bucketsOf([snapshot]);
    const isFirst = !bucketsOf(newer).has(bucket!);
    if (typeof toKeep === 'string') {
      if (isFirst && isWithin(toKeep)) return true;
      continue;
    }
    if (isFirst && bucketsOf(newer).size < toKeep) return true;
    const isOldest = newer.length === versions.length - 1;
    if (isOldest && bucketsOf(versions).size < toKeep) return true;
  }
  return isInGroup(snapshot, versions, policy);
}

function isInGroup(
  { sequence }: Made,
  versions: readonly Made[],
  { versionGroups }: RetentionPolicy,
): boolean {
  if (versionGroups === undefined) return false;
  const { size, keep } = versionGroups;
  const endOf = (number: number): number => {
    let end = size;
    while (end < number) end += size;
    return end;
  };
  const ends = new Set(versions.map((other) => endOf(other.sequence)));
  return [...ends].filter((end) => end > endOf(sequence)).length < keep;
}
