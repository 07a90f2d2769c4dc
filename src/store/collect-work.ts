/** What the parts of one collection share: the store, the limits, and what was done so far. */
import type { SnapshotRow } from '../catalog/rows.ts';
import type { StoreError } from '../errors.ts';
import type { RunningOperation } from './activity.ts';
import { Pacer } from './clock.ts';
import type { CollectLimits, CollectOptions } from './collect-options.ts';
import { CollectTally } from './collect-tally.ts';
import type { StoreContext } from './context.ts';
import { readInPieces } from './read-in-pieces.ts';
import { KnownSurveys } from './known-surveys.ts';
import { Marking, type MarkOptions } from './mark.ts';
import { unlinkRetired } from './retired.ts';
import { surveyPacks, type Inventory, type Needs, type PackSurvey, type Survey } from './survey.ts';
import type { TimeLimit } from './time-limit.ts';
import type { Findings } from './unfinished.ts';

/** The work of one collection. */
export class CollectWork {
  readonly context: StoreContext;
  readonly options: CollectOptions;
  readonly limits: CollectLimits;
  readonly time: TimeLimit;
  readonly pacer: Pacer;
  readonly tally: CollectTally = new CollectTally();
  /** The collection itself. */
  readonly own: RunningOperation;

  constructor(
    context: StoreContext,
    own: RunningOperation,
    options: CollectOptions,
    limits: CollectLimits,
  ) {
    this.context = context;
    this.own = own;
    this.options = options;
    this.limits = limits;
    this.time = limits.time;
    this.pacer = new Pacer(options.signal);
  }

  /** Every snapshot of the catalog. @throws StoreError CORRUPT. */
  async rows(): Promise<SnapshotRow[]> {
    const { snapshots } = this.context.catalog;
    return await readInPieces(this.pacer, (after, limit, damage) =>
      snapshots.some(after, limit, damage),
    );
  }

  /**
   * What was found by a collection that was cut off, or nothing yet. Where more is marked than is
   * needed, only one whose time is limited goes on: it would not get far if it began anew.
   */
  findings(
    what: 'kept' | 'all',
    rows: readonly SnapshotRow[],
    whole: readonly Uint8Array[],
  ): Findings {
    const { context, time, tally } = this;
    const before = context.unfinished[what];
    if (before !== undefined && !before.marking.hasMetDamage) {
      if (before.marking.isOnlyOf(rows, whole)) return before;
      if (time.isLimited) {
        tally.isComplete = false;
        return before;
      }
    }
    const marking = new Marking(context);
    const findings = {
      marking,
      surveys: new KnownSurveys(),
      condemnedSurveys: new KnownSurveys(),
    };
    context.unfinished[what] = findings;
    return findings;
  }

  /** Marks what snapshots need. @throws TimeIsOver. */
  async mark(
    marking: Marking,
    rows: readonly SnapshotRow[],
    more: Pick<MarkOptions, 'whole' | 'held'> = {},
  ): Promise<void> {
    const { pacer, time, tally } = this;
    const { onProgress } = this.options;
    const damage: StoreError[] = [];
    try {
      await marking.add(rows, { pacer, time, onProgress, damage, ...more });
    } finally {
      tally.addDamage(damage);
      if (damage.length > 0) tally.isComplete = false;
    }
  }

  /** Looks at packs. @throws TimeIsOver. */
  async survey(
    inventory: Inventory,
    needs: Needs,
    { known, packs = [] }: { readonly known: KnownSurveys; readonly packs?: PackSurvey[] },
  ): Promise<Survey> {
    const { pacer, time } = this;
    const survey = await surveyPacks(this.context, inventory, needs, { pacer, time, known, packs });
    this.tally.addDamage(survey.damage);
    return survey;
  }

  /** Unlinks what is retired, and nobody can be reading. */
  async unlink(): Promise<void> {
    const patience = this.time.patience(this.options.signal);
    this.tally.unlinkedBytes += await unlinkRetired(this.context, this.own, patience);
  }
}
