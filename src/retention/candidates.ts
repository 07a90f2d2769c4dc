/**
 * The snapshots of a plan while it is made: what is kept so far, and why. Pre-dumps, which cannot
 * be restored, are held by what continues from them.
 */

/** What a plan looks at of a snapshot. */
export interface PlannableSnapshot {
  readonly id: string;
  readonly sequence: number;
  readonly kind: 'restorable' | 'pre-dump';
  readonly takenAtMs: number;
  readonly parentId: string | undefined;
  readonly labels: readonly (readonly [string, string])[];
  readonly pinned: boolean;
  readonly storedBytes: number;
}

/** Why a snapshot is kept or removed. */
export interface RetentionReason {
  /**
   * What keeps it: a rule of the policy, that it is `pinned` or the `newest`, or, for a `preDump`,
   * that a kept one continues from it. What removes it: that it is `unmatched` by all rules (of a
   * `versionGroup` that is too old; a `preDump` that nothing kept continues from), or the `budget`.
   */
  readonly rule: RetentionRule;
  /** Which bucket, label, group or neighbour it is about. */
  readonly detail?: string | undefined;
}

/** What a reason may name. */
export type RetentionRule =
  | 'newest'
  | 'pinned'
  | 'label'
  | 'last'
  | 'within'
  | 'secondly'
  | 'minutely'
  | 'hourly'
  | 'daily'
  | 'weekly'
  | 'monthly'
  | 'yearly'
  | 'versionGroup'
  | 'preDump'
  | 'unmatched'
  | 'budget';

/** A snapshot and what is known of its fate. */
export interface Candidate<S extends PlannableSnapshot> {
  readonly snapshot: S;
  isKept: boolean;
  /** Whether no budget may remove it. */
  isProtected: boolean;
  reasons: RetentionReason[];
  /** Of a pre-dump: how many kept snapshots continue from it. */
  holders: number;
}

/** A snapshot that nothing has been said about. */
export function candidateOf<S extends PlannableSnapshot>(snapshot: S): Candidate<S> {
  return { snapshot, isKept: false, isProtected: false, reasons: [], holders: 0 };
}

/** Keeps a snapshot, and remembers why. */
export function keep(
  candidate: Candidate<PlannableSnapshot>,
  rule: RetentionRule,
  detail?: string,
): void {
  candidate.isKept = true;
  candidate.reasons.push(detail === undefined ? { rule } : { rule, detail });
}

/** The pre-dumps of a plan by id. */
export type PreDumps<S extends PlannableSnapshot> = ReadonlyMap<string, Candidate<S>>;

/** Finds the pre-dumps. */
export function findPreDumps<S extends PlannableSnapshot>(
  candidates: readonly Candidate<S>[],
): PreDumps<S> {
  const found = candidates.filter(({ snapshot }) => snapshot.kind === 'pre-dump');
  return new Map(found.map((candidate) => [candidate.snapshot.id, candidate]));
}

/** The pre-dump that a snapshot continues from, if it does so. */
export function preDumpBefore<S extends PlannableSnapshot>(
  preDumps: PreDumps<S>,
  { snapshot: { parentId } }: Candidate<S>,
): Candidate<S> | undefined {
  return parentId === undefined ? undefined : preDumps.get(parentId);
}

/**
 * Keeps the pre-dumps that lead to what is kept. Only those without a restorable snapshot in
 * between: as each snapshot continues from the one before, all would be kept for ever otherwise.
 */
export function holdPreDumps<S extends PlannableSnapshot>(
  candidates: readonly Candidate<S>[],
  preDumps: PreDumps<S>,
): void {
  for (const kept of candidates.filter(({ isKept }) => isKept)) {
    let before = preDumpBefore(preDumps, kept);
    while (before !== undefined) {
      before.holders += 1;
      // Then its own parents are held already, or will be when it is its turn.
      if (before.isKept) break;
      before.isKept = true;
      before = preDumpBefore(preDumps, before);
    }
  }
}
