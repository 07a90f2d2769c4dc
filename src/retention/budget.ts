/**
 * The size budget of a plan: the oldest snapshots go until what is left fits. What a snapshot takes
 * is what its capture added, because what others share with it stays with them.
 */
import {
  preDumpBefore,
  type Candidate,
  type PlannableSnapshot,
  type PreDumps,
} from './candidates.ts';

/**
 * Removes the oldest of what is kept until it takes at most `maxBytes`, with the pre-dumps that
 * only they held.
 *
 * @param versions the restorable snapshots, the newest first.
 */
export function applyBudget<S extends PlannableSnapshot>(
  candidates: readonly Candidate<S>[],
  versions: readonly Candidate<S>[],
  preDumps: PreDumps<S>,
  maxBytes: number,
): void {
  let bytes = keptBytes(candidates);
  for (const version of versions.toReversed()) {
    if (bytes <= maxBytes) return;
    if (version.isKept && !version.isProtected) bytes -= drop(version, preDumps);
  }
}

/** Bytes that the captures of what is kept have added. */
export function keptBytes(candidates: readonly Candidate<PlannableSnapshot>[]): number {
  return candidates.reduce(
    (sum, { isKept, snapshot }) => sum + (isKept ? snapshot.storedBytes : 0),
    0,
  );
}

/** Removes a snapshot and what only it held; returns the bytes of all of them. */
function drop<S extends PlannableSnapshot>(first: Candidate<S>, preDumps: PreDumps<S>): number {
  let bytes = 0;
  let next: Candidate<S> | undefined = first;
  while (next !== undefined) {
    next.isKept = false;
    next.reasons = [{ rule: 'budget' }];
    bytes += next.snapshot.storedBytes;
    const before: Candidate<S> | undefined = preDumpBefore(preDumps, next);
    if (before === undefined) break;
    before.holders -= 1;
    next = before.holders === 0 && !before.isProtected ? before : undefined;
  }
  return bytes;
}
