/**
 * What a collection leaves behind that was cut off by its time: what it has marked and counted so
 * far. The next one of the same handle goes on from there, so that small amounts of time get to
 * the end, too. Only in memory, and only until a collection gets there.
 *
 * Snapshots that come, or are undeleted, are not among what is marked, and are marked then. Of one
 * that goes meanwhile, marks are left over: they keep what only it needed until the next round.
 */
import type { KnownSurveys } from './known-surveys.ts';
import type { Marking } from './mark.ts';

/** What has been found so far. */
export interface Findings {
  readonly marking: Marking;
  /** Of all that may go, before anything is condemned. */
  readonly surveys: KnownSurveys;
  /** Of what is condemned. */
  readonly condemnedSurveys: KnownSurveys;
}

/** Remembers them from one collection to the next: who holds the collection's lock uses it. */
export class UnfinishedCollection {
  /** By what snapshots need that are not removed. */
  kept: Findings | undefined = undefined;
  /** By what all need, condemned ones too. */
  all: Findings | undefined = undefined;

  /** Forgets everything. */
  forget(): void {
    this.kept = undefined;
    this.all = undefined;
  }
}
