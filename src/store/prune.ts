/**
 * Prune: the snapshots of a timeline that no rule of a policy keeps are marked as removed, all in
 * one transaction. Their space comes back with the next collection; until then each of them can be
 * undeleted.
 */
import { setImmediate } from 'node:timers/promises';
import type { ListedSnapshot } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import type { SnapshotKind } from '../manifest/manifest.ts';
import type { RetentionReason } from '../retention/candidates.ts';
import { planRetention, type PlannedSnapshot, type RetentionPlan } from '../retention/plan.ts';
import type { RetentionPolicy } from '../retention/policy.ts';
import { now as currentTime } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';

/** Each time, somebody else has pinned or removed a snapshot between two looks at the list. */
const MAX_TRIES = 1000;

/** What a prune takes. */
export interface PruneOptions extends OperationOptions {
  /** Only says what would be removed; possible in a store that is opened for reading. */
  readonly dryRun?: boolean | undefined;
  /** The time that intervals end at, unless the newest snapshot is older; now by default. */
  readonly now?: Date | undefined;
}

/** A snapshot, and why it is kept or removed. */
export interface PrunedSnapshot {
  readonly id: string;
  readonly sequence: number;
  readonly kind: SnapshotKind;
  /** In ISO 8601. */
  readonly takenAt: string;
  /** What its capture added to the store. */
  readonly storedBytes: number;
  /** Every rule that keeps it, or the one reason why it is removed. */
  readonly reasons: readonly RetentionReason[];
}

/** What a prune did, or would do; both lists are by sequence. */
export interface PruneReport {
  readonly timeline: string;
  readonly dryRun: boolean;
  readonly kept: readonly PrunedSnapshot[];
  readonly removed: readonly PrunedSnapshot[];
  /** What the captures of those that are kept added to the store. */
  readonly keptBytes: number;
  /** How much of that is beyond `maxBytes`, because it may not be removed. */
  readonly overBudgetBytes: number;
}

/** Removes what a policy does not keep. */
export async function prune(
  { catalog }: StoreContext,
  timeline: string,
  policy: RetentionPolicy,
  { dryRun = false, now, signal, onProgress }: PruneOptions,
): Promise<PruneReport> {
  const nowMs = now === undefined ? currentTime() : timeOf(now);
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted();
    const rows = catalog.snapshots.ofTimeline(timeline);
    const plan = planRetention(rows, policy, nowMs);
    const ids = plan.removed.map(({ snapshot }) => snapshot.id);
    // A pin that came in between changes the plan, also for what the pinned one continues from.
    const isDone = dryRun || ids.length === 0 || (await catalog.removeUnpinned(ids, signal));
    if (isDone) {
      onProgress?.({ phase: 'snapshots', done: rows.length, total: rows.length });
      return reportOf(timeline, dryRun, plan);
    }
    if (tries === MAX_TRIES) {
      throw new StoreError('LOCKED', `others keep changing timeline ${timeline}`);
    }
    await setImmediate();
  }
}

function timeOf(now: Date): number {
  if (now instanceof Date && !Number.isNaN(now.getTime())) return now.getTime();
  throw new TypeError('now is not a valid Date');
}

function reportOf(
  timeline: string,
  dryRun: boolean,
  { kept, removed, keptBytes, overBudgetBytes }: RetentionPlan<ListedSnapshot>,
): PruneReport {
  return {
    timeline,
    dryRun,
    kept: kept.map(prunedOf),
    removed: removed.map(prunedOf),
    keptBytes,
    overBudgetBytes,
  };
}

function prunedOf({ snapshot, reasons }: PlannedSnapshot<ListedSnapshot>): PrunedSnapshot {
  const { id, sequence, kind, takenAtMs, storedBytes } = snapshot;
  const takenAt = new Date(takenAtMs).toISOString();
  return { id, sequence, kind, takenAt, storedBytes, reasons };
}
