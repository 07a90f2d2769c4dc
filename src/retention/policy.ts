/**
 * What a retention policy says, and the check that it says something. Whoever mistypes a rule must
 * hear of it, because what no rule keeps is removed: options that do not exist are refused, and so
 * is a policy that would keep nothing.
 */
import type { BucketRule } from './buckets.ts';
import { BUCKET_RULES } from './buckets.ts';
import { parseInterval, type Interval } from './interval.ts';

/**
 * How many buckets a rule keeps a snapshot of: a number of them, or those within an interval such
 * as `90s`, `15m`, `36h`, `7d`, `4w`, `6mo`, `1y` or `1y5mo7d2h`.
 */
export type BucketsToKeep = number | string;

/** Keeps snapshots with a label, whatever its value is unless one is given. */
export interface LabelToKeep {
  readonly key: string;
  readonly value?: string | undefined;
}

/** Keeps whole groups of snapshots: those numbered 1 to `size`, the next `size`, and so on. */
export interface VersionGroups {
  /** Sequence numbers in a group. */
  readonly size: number;
  /** How many of the newest groups to keep, the one that still fills up included. */
  readonly keep: number;
}

/**
 * Which snapshots of a timeline to keep: those that at least one rule keeps. The newest restorable
 * snapshot and those that are pinned are always kept.
 *
 * All times are in UTC. The newest snapshot is that of the greatest time, of equal times that of
 * the greatest sequence. A number of buckets is that of the most recent ones that are not empty;
 * where there are fewer, the oldest snapshot is kept as well, so that a new timeline grows to its
 * full length. An interval ends at the time of the newest snapshot, or now if that is earlier:
 *
 * - a container that adds snapshots, whatever times they claim, even times to come, cannot push a
 *   bucket out of an interval, as it can out of a number (within one bucket, the newest wins);
 * - a clock that jumps ahead, or a container that stands still, makes nothing too old;
 * - a clock that goes back makes intervals reach further back, which only keeps more.
 */
export interface RetentionPolicy {
  /** The newest so many. */
  readonly keepLast?: number | undefined;
  /** All within an interval. */
  readonly keepWithin?: string | undefined;
  /** The newest of each second. */
  readonly keepSecondly?: BucketsToKeep | undefined;
  /** The newest of each minute. */
  readonly keepMinutely?: BucketsToKeep | undefined;
  /** The newest of each hour. */
  readonly keepHourly?: BucketsToKeep | undefined;
  /** The newest of each day. */
  readonly keepDaily?: BucketsToKeep | undefined;
  /** The newest of each ISO week, which begins on Monday. */
  readonly keepWeekly?: BucketsToKeep | undefined;
  /** The newest of each month. */
  readonly keepMonthly?: BucketsToKeep | undefined;
  /** The newest of each year. */
  readonly keepYearly?: BucketsToKeep | undefined;
  /** All that have one of these labels. */
  readonly keepLabels?: readonly LabelToKeep[] | undefined;
  /** The newest groups, each as a whole. */
  readonly versionGroups?: VersionGroups | undefined;
  /**
   * Bytes that the captures of what is kept may have added to the store. Beyond that, the oldest
   * of them are removed, except the newest one and those that are pinned or have a label of
   * `keepLabels`. On its own it keeps nothing.
   */
  readonly maxBytes?: number | undefined;
}

/** A rule on buckets: either so many of them, or those within an interval. */
export interface CheckedBucketRule {
  readonly rule: BucketRule;
  readonly toKeep: number | Interval;
}

/** A policy that makes sense. */
export interface CheckedPolicy {
  readonly last: number | undefined;
  readonly within: Interval | undefined;
  readonly buckets: readonly CheckedBucketRule[];
  readonly labels: readonly LabelToKeep[];
  readonly versionGroups: VersionGroups | undefined;
  readonly maxBytes: number | undefined;
}

const BUCKET_OPTIONS = {
  secondly: 'keepSecondly',
  minutely: 'keepMinutely',
  hourly: 'keepHourly',
  daily: 'keepDaily',
  weekly: 'keepWeekly',
  monthly: 'keepMonthly',
  yearly: 'keepYearly',
} as const satisfies Record<BucketRule, keyof RetentionPolicy>;

const OPTIONS: readonly string[] = [
  'keepLast',
  'keepWithin',
  ...Object.values(BUCKET_OPTIONS),
  'keepLabels',
  'versionGroups',
  'maxBytes',
];

/**
 * Checks a policy and reads its intervals.
 *
 * @throws TypeError or RangeError that names the option, RangeError when no rule keeps anything.
 */
export function checkPolicy(policy: RetentionPolicy): CheckedPolicy {
  checkOptions('a policy', policy, OPTIONS);
  const { keepLast, keepWithin, keepLabels = [], versionGroups, maxBytes } = policy;
  const checked = {
    last: keepLast === undefined ? undefined : wholeNumber('keepLast', keepLast),
    within: keepWithin === undefined ? undefined : intervalOf('keepWithin', keepWithin),
    buckets: BUCKET_RULES.flatMap((rule): CheckedBucketRule[] => {
      const option = BUCKET_OPTIONS[rule];
      const value = policy[option];
      return value === undefined ? [] : [{ rule, toKeep: bucketsToKeep(option, value) }];
    }),
    labels: checkLabels(keepLabels),
    versionGroups: versionGroups === undefined ? undefined : checkGroups(versionGroups),
    maxBytes: maxBytes === undefined ? undefined : wholeNumber('maxBytes', maxBytes),
  };
  const { last, within, buckets, labels, versionGroups: groups } = checked;
  const rules = [last, within, groups, ...buckets, ...labels];
  if (rules.some((rule) => rule !== undefined)) return checked;
  throw new RangeError('a policy needs a rule that keeps something, such as keepLast');
}

function bucketsToKeep(option: string, value: unknown): number | Interval {
  if (typeof value === 'string') return parseInterval(option, value);
  if (typeof value === 'number') return wholeNumber(option, value);
  throw new TypeError(`${option} is neither a number nor an interval`);
}

function intervalOf(option: string, value: unknown): Interval {
  if (typeof value === 'string') return parseInterval(option, value);
  throw new TypeError(`${option} is not an interval like '36h'`);
}

function wholeNumber(option: string, value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(`${option} is not a number`);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new RangeError(`${option} is ${value}, not a whole number from 1`);
}

function checkLabels(labels: unknown): readonly LabelToKeep[] {
  if (!Array.isArray(labels)) throw new TypeError('keepLabels is not a list');
  return labels.map((label: unknown, index) => {
    const option = `keepLabels[${index}]`;
    checkOptions(option, label, ['key', 'value']);
    const { key, value } = label as { readonly key?: unknown; readonly value?: unknown };
    if (typeof key !== 'string') throw new TypeError(`${option}.key is not a text`);
    if (value === undefined || typeof value === 'string') return { key, value };
    throw new TypeError(`${option}.value is not a text`);
  });
}

function checkGroups(groups: unknown): VersionGroups {
  checkOptions('versionGroups', groups, ['size', 'keep']);
  const { size, keep } = groups as { readonly size?: unknown; readonly keep?: unknown };
  return {
    size: wholeNumber('versionGroups.size', size),
    keep: wholeNumber('versionGroups.keep', keep),
  };
}

function checkOptions(name: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${name} is not an object`);
  }
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new TypeError(`${name} has no option '${unknown}'`);
}
