/** What a collection takes, and what it says in the end. */
import type { OperationOptions } from './context.ts';
import { TimeLimit } from './time-limit.ts';

/** What collect takes. */
export interface CollectOptions extends OperationOptions {
  /**
   * Says what would be freed, and changes nothing. If the time is over before all is counted, the
   * report is not complete: its dead pages and bytes are of the packs that were looked at.
   */
  readonly dryRun?: boolean | undefined;
  /** Bytes of packs that may be written, without limit unless given; larger ones stay. */
  readonly maxBytes?: number | undefined;
  /**
   * Milliseconds after which nothing new is begun; without limit unless given, but for other
   * operations, which are waited for at most 5 seconds, and half of the time that is left.
   *
   * What was marked and counted by then is remembered by the open store, and the next collection
   * goes on from there: however small the limit, each does at least one step (it marks a snapshot,
   * say, or looks at a pack), so that repeated ones get to the end. A snapshot that was marked and
   * is removed before that keeps its space until the next round. Damage is not remembered: where a
   * snapshot or a pack cannot be read, each collection begins anew.
   */
  readonly maxMilliseconds?: number | undefined;
  /** The part of a pack that may be waste, 0.3 by default; with 0 all of it is freed. */
  readonly wasteThreshold?: number | undefined;
}

/** What a collection found and did. Bytes of pages that share a frame are estimates. */
export interface CollectReport {
  readonly dryRun: boolean;
  /** Pages that no snapshot needs, and about the bytes of packs that they and the rest take. */
  readonly deadPages: number;
  readonly deadBytes: number;
  /** Snapshots that could be undeleted before, and no longer can. */
  readonly condemnedSnapshots: number;
  /** Packs of which nothing was needed, and packs that were written once more. */
  readonly droppedPacks: number;
  readonly compactedPacks: number;
  /** Bytes of the packs that were written. */
  readonly writtenBytes: number;
  /** Bytes of the packs that were unlinked; in a dry run, of those that would be. */
  readonly unlinkedBytes: number;
  /** Packs that operations may still be reading: the next collection unlinks them. */
  readonly waitingPacks: number;
  readonly waitingBytes: number;
  /** Packs that the catalog does not know: never deleted; `repair` adopts them. */
  readonly unknownPacks: readonly string[];
  /** What is damaged, and was left as it is, with all that it might need. */
  readonly damage: readonly string[];
  /** Whether all was done; otherwise time, bytes, damage or other operations were in the way. */
  readonly complete: boolean;
}

const DEFAULT_WASTE = 0.3;

/** The options, complete. */
export interface CollectLimits {
  readonly maxBytes: number;
  readonly time: TimeLimit;
  readonly wasteThreshold: number;
}

/** Checks the options; the time begins now. @throws TypeError, RangeError. */
export function checkCollectOptions(options: CollectOptions): CollectLimits {
  const { maxBytes = Infinity, maxMilliseconds = Infinity } = options;
  const wasteThreshold = options.wasteThreshold ?? DEFAULT_WASTE;
  const values = { maxBytes, maxMilliseconds, wasteThreshold };
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== 'number') throw new TypeError(`${name} is not a number`);
    if (!(value >= 0)) throw new RangeError(`${name} is ${value}, not 0 or more`);
  }
  if (wasteThreshold > 1) throw new RangeError(`wasteThreshold is ${wasteThreshold}, not 0 to 1`);
  return { maxBytes, wasteThreshold, time: new TimeLimit(maxMilliseconds) };
}
