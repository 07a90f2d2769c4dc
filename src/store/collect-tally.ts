/** What a collection has found and done so far, for its report. */
import { Pacer } from './clock.ts';
import type { CollectReport } from './collect-options.ts';
import type { StoreContext } from './context.ts';
import type { PackSurvey } from './survey.ts';
import { findUnknownPacks } from './unknown-packs.ts';

/** Counts. */
export class CollectTally {
  /** What was found of packs before anything was condemned. */
  packs: PackSurvey[] = [];
  condemnedSnapshots = 0;
  droppedPacks = 0;
  compactedPacks = 0;
  writtenBytes = 0;
  unlinkedBytes = 0;
  isComplete = true;
  readonly damage: Set<string> = new Set();

  /** Notes what cannot be read. */
  addDamage(damage: readonly Error[]): void {
    for (const { message } of damage) this.damage.add(message);
  }

  /** What there is to say now. */
  async report(context: StoreContext, dryRun: boolean): Promise<CollectReport> {
    // Not to be stopped: all is done.
    const unknown = await findUnknownPacks(context, new Pacer(undefined));
    const retired = context.catalog.collections.retired();
    return {
      dryRun,
      deadPages: sumOf(this.packs, ({ segments }) => sumOf(segments, (s) => s.deadPages)),
      deadBytes: sumOf(this.packs, ({ deadBytes }) => deadBytes),
      condemnedSnapshots: this.condemnedSnapshots,
      droppedPacks: this.droppedPacks,
      compactedPacks: this.compactedPacks,
      writtenBytes: this.writtenBytes,
      unlinkedBytes: this.unlinkedBytes,
      waitingPacks: retired.length,
      waitingBytes: sumOf(retired, ({ sizeBytes }) => sizeBytes),
      unknownPacks: unknown,
      damage: [...this.damage],
      complete: this.isComplete && retired.length === 0,
    };
  }
}

/** The sum of a number of each. */
export function sumOf<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + valueOf(item), 0);
}
