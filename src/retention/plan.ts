/**
 * The plan of a prune: which snapshots of one timeline a policy keeps, which it removes, and why.
 * Pure, and O(n log n). A plan is stable: with what it keeps, the same policy at the same time
 * keeps all of it.
 */
import { bucketName, bucketNumber } from './buckets.ts';
import { applyBudget, keptBytes } from './budget.ts';
import {
  candidateOf,
  findPreDumps,
  holdPreDumps,
  keep,
  preDumpBefore,
  type Candidate,
  type PlannableSnapshot,
  type PreDumps,
  type RetentionReason,
} from './candidates.ts';
import { timeBefore } from './interval.ts';
import {
  checkPolicy,
  type CheckedBucketRule,
  type CheckedPolicy,
  type LabelToKeep,
  type RetentionPolicy,
  type VersionGroups,
} from './policy.ts';

/** A snapshot, and why it is kept or removed. */
export interface PlannedSnapshot<S extends PlannableSnapshot> {
  readonly snapshot: S;
  readonly reasons: readonly RetentionReason[];
}

/** What a policy makes of the snapshots of a timeline; both lists are by sequence. */
export interface RetentionPlan<S extends PlannableSnapshot> {
  readonly kept: readonly PlannedSnapshot<S>[];
  readonly removed: readonly PlannedSnapshot<S>[];
  /** Bytes that the captures of what is kept have added. */
  readonly keptBytes: number;
  /** How much of them is beyond the budget, because no budget removes what they are of. */
  readonly overBudgetBytes: number;
}

/**
 * Plans which snapshots of a timeline to keep.
 *
 * Restorable snapshots are its versions; pre-dumps are none. A pre-dump is kept while a kept
 * snapshot continues from it, directly or through other pre-dumps, and while no restorable snapshot
 * follows it yet: the dump that it prepares may be on its way. Pins and labels keep it, too.
 *
 * @param snapshots of one timeline, in any order, none that is marked as removed.
 * @throws TypeError, RangeError for a policy that makes no sense.
 */
export function planRetention<S extends PlannableSnapshot>(
  snapshots: readonly S[],
  policy: RetentionPolicy,
  nowMs: number,
): RetentionPlan<S> {
  const checked = checkPolicy(policy);
  const candidates = snapshots
    .map(candidateOf)
    .sort((a, b) => a.snapshot.sequence - b.snapshot.sequence);
  const bySequence = candidates.filter(({ snapshot }) => snapshot.kind === 'restorable');
  // The sort is stable: of equal times, the greater sequence comes first.
  const versions = bySequence
    .toReversed()
    .sort((a, b) => b.snapshot.takenAtMs - a.snapshot.takenAtMs);
  keepProtected(candidates, checked.labels);
  keepNewest(candidates, versions[0], bySequence.at(-1));
  keepVersions(versions, checked, nowMs);
  if (checked.versionGroups !== undefined) keepGroups(bySequence, checked.versionGroups);
  const preDumps = findPreDumps(candidates);
  holdPreDumps(candidates, preDumps);
  const { maxBytes = Infinity } = checked;
  applyBudget(candidates, versions, preDumps, maxBytes);
  explain(candidates, preDumps, checked.versionGroups);
  const bytes = keptBytes(candidates);
  return {
    kept: candidates.filter(({ isKept }) => isKept).map(plannedOf),
    removed: candidates.filter(({ isKept }) => !isKept).map(plannedOf),
    keptBytes: bytes,
    overBudgetBytes: Math.max(bytes - maxBytes, 0),
  };
}

function plannedOf<S extends PlannableSnapshot>(candidate: Candidate<S>): PlannedSnapshot<S> {
  return { snapshot: candidate.snapshot, reasons: candidate.reasons };
}

function keepProtected(
  candidates: readonly Candidate<PlannableSnapshot>[],
  labels: readonly LabelToKeep[],
): void {
  for (const candidate of candidates) {
    if (candidate.snapshot.pinned) keep(candidate, 'pinned');
    for (const [key, value] of candidate.snapshot.labels) {
      const isWanted = labels.some(
        (label) => label.key === key && (label.value === undefined || label.value === value),
      );
      if (isWanted) keep(candidate, 'label', `${key}=${value}`);
    }
    candidate.isProtected = candidate.isKept;
  }
}

/**
 * Keeps the newest version by time and by sequence, which differ when a clock went back (the first
 * is what a time is resolved to, the second what the timeline's name stands for), and the pre-dumps
 * after it.
 */
function keepNewest<S extends PlannableSnapshot>(
  candidates: readonly Candidate<S>[],
  byTime: Candidate<S> | undefined,
  bySequence: Candidate<S> | undefined,
): void {
  const lastSequence = bySequence?.snapshot.sequence ?? 0;
  for (const candidate of candidates) {
    const isNewest = candidate === byTime || candidate === bySequence;
    if (isNewest) keep(candidate, 'newest');
    const { kind, sequence } = candidate.snapshot;
    const isAhead = kind === 'pre-dump' && sequence > lastSequence;
    if (isAhead) keep(candidate, 'preDump', 'no snapshot follows it yet');
    candidate.isProtected ||= isNewest || isAhead;
  }
}

/** Applies the rules on the order and the times of versions, which come the newest first. */
function keepVersions(
  versions: readonly Candidate<PlannableSnapshot>[],
  { last = 0, within, buckets }: CheckedPolicy,
  nowMs: number,
): void {
  const [newest] = versions;
  if (newest === undefined) return;
  const endMs = Math.min(newest.snapshot.takenAtMs, nowMs);
  versions.slice(0, last).forEach((version, index) => keep(version, 'last', String(index + 1)));
  if (within !== undefined) {
    const afterMs = timeBefore(endMs, within);
    for (const version of versions) {
      if (version.snapshot.takenAtMs <= afterMs) break;
      keep(version, 'within', `after ${timeText(afterMs)}`);
    }
  }
  for (const rule of buckets) keepBuckets(versions, rule, endMs);
}

function timeText(timeMs: number): string {
  const isTime = !Number.isNaN(new Date(timeMs).getTime());
  return isTime ? new Date(timeMs).toISOString().replace('.000Z', 'Z') : 'all times';
}

function keepBuckets(
  versions: readonly Candidate<PlannableSnapshot>[],
  { rule, toKeep }: CheckedBucketRule,
  endMs: number,
): void {
  const isNumber = typeof toKeep === 'number';
  const afterMs = isNumber ? -Infinity : timeBefore(endMs, toKeep);
  let left = isNumber ? toKeep : Infinity;
  let last: number | undefined;
  for (const version of versions) {
    const { takenAtMs } = version.snapshot;
    if (left === 0 || takenAtMs <= afterMs) return;
    const bucket = bucketNumber(rule, takenAtMs);
    if (bucket === last) continue;
    last = bucket;
    left -= 1;
    keep(version, rule, bucketName(rule, takenAtMs));
  }
  const oldest = versions.at(-1);
  if (!isNumber || oldest === undefined) return;
  // It may be the newest of its bucket, too.
  if (oldest.reasons.at(-1)?.rule === rule) return;
  keep(oldest, rule, `${bucketName(rule, oldest.snapshot.takenAtMs)} (oldest)`);
}

/** Applies the rule on groups; `versions` come by sequence. */
function keepGroups(
  versions: readonly Candidate<PlannableSnapshot>[],
  groups: VersionGroups,
): void {
  const newest = new Set<number>();
  for (const version of versions.toReversed()) {
    const group = groupOf(version.snapshot, groups);
    if (!newest.has(group) && newest.size === groups.keep) return;
    newest.add(group);
    keep(version, 'versionGroup', groupText(group, groups));
  }
}

/**
 * Groups are told by sequence numbers alone, pre-dumps included: these never change, so a group
 * stays the same whatever else is removed from the timeline.
 */
function groupOf({ sequence }: PlannableSnapshot, { size }: VersionGroups): number {
  return Math.ceil(sequence / size);
}

function groupText(group: number, { size }: VersionGroups): string {
  return `${(group - 1) * size + 1}-${group * size}`;
}

/** Says why pre-dumps are kept, and why the rest is not. */
function explain<S extends PlannableSnapshot>(
  candidates: readonly Candidate<S>[],
  preDumps: PreDumps<S>,
  groups: VersionGroups | undefined,
): void {
  for (const candidate of candidates) {
    const { snapshot, isKept } = candidate;
    if (isKept) {
      const before = preDumpBefore(preDumps, candidate);
      if (before !== undefined) keep(before, 'preDump', `parent of ${snapshot.sequence}`);
    } else if (candidate.reasons.length === 0) {
      candidate.reasons = [reasonToRemove(snapshot, groups)];
    }
  }
}

function reasonToRemove(
  snapshot: PlannableSnapshot,
  groups: VersionGroups | undefined,
): RetentionReason {
  if (snapshot.kind === 'pre-dump') {
    return { rule: 'preDump', detail: 'nothing that is kept continues from it' };
  }
  if (groups === undefined) return { rule: 'unmatched' };
  return { rule: 'versionGroup', detail: groupText(groupOf(snapshot, groups), groups) };
}
