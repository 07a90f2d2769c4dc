/** The options of `prune` that make a policy, and how their values are read. */
import { InvalidArgumentError, type Command } from 'commander';
import type { BucketsToKeep, LabelToKeep, RetentionPolicy, VersionGroups } from '../index.ts';
import { parseByteCount } from './byte-count.ts';

/** What the options of a policy become. */
export interface PolicyOptions {
  readonly keepLast?: number;
  readonly keepWithin?: string;
  readonly keepSecondly?: BucketsToKeep;
  readonly keepMinutely?: BucketsToKeep;
  readonly keepHourly?: BucketsToKeep;
  readonly keepDaily?: BucketsToKeep;
  readonly keepWeekly?: BucketsToKeep;
  readonly keepMonthly?: BucketsToKeep;
  readonly keepYearly?: BucketsToKeep;
  readonly keepLabel?: readonly LabelToKeep[];
  readonly versionGroups?: VersionGroups;
  readonly maxBytes?: number;
}

const BUCKETS = [
  ['secondly', 'second'],
  ['minutely', 'minute'],
  ['hourly', 'hour'],
  ['daily', 'day'],
  ['weekly', 'ISO week'],
  ['monthly', 'month'],
  ['yearly', 'year'],
] as const;

/** How policies work, for the end of the help. */
export const POLICY_HELP = `
A snapshot is kept when one rule keeps it. What is pinned and the newest one are
always kept. N is a number of seconds, hours, ... with snapshots, the most recent
ones; D an interval like 90s, 15m, 36h, 7d, 4w, 6mo, 1y or 1y5mo7d2h up to the
newest snapshot, or to now if that is earlier. All times are in UTC.

Bytes are like 500M, 10G (decimal) or 10Gi (binary): the oldest snapshots go until
the rest fits, but never one that is pinned or has a label of --keep-label.`;

/** Adds the options of a policy to a command. */
export function addPolicyOptions(command: Command): Command {
  command
    .option('--keep-last <n>', 'the newest N snapshots', parseNumber)
    .option('--keep-within <d>', 'all within an interval');
  for (const [rule, bucket] of BUCKETS) {
    command.option(`--keep-${rule} <n|d>`, `the newest of each ${bucket}`, parseBuckets);
  }
  return command
    .option('--keep-label <key[=value]>', 'all with this label (repeatable)', addLabelToKeep)
    .option('--version-groups <size:keep>', 'the newest groups of SIZE snapshots', parseGroups)
    .option('--max-bytes <bytes>', 'what their captures added, at most', parseByteCount);
}

/** The policy that options make. */
export function policyOf(options: PolicyOptions): RetentionPolicy {
  return {
    keepLast: options.keepLast,
    keepWithin: options.keepWithin,
    keepSecondly: options.keepSecondly,
    keepMinutely: options.keepMinutely,
    keepHourly: options.keepHourly,
    keepDaily: options.keepDaily,
    keepWeekly: options.keepWeekly,
    keepMonthly: options.keepMonthly,
    keepYearly: options.keepYearly,
    keepLabels: options.keepLabel,
    versionGroups: options.versionGroups,
    maxBytes: options.maxBytes,
  };
}

/** A whole number; the library says which are too small. */
export function parseNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('A number is like 12.');
}

/** A number of buckets, or an interval, which the library reads. */
export function parseBuckets(text: string): BucketsToKeep {
  return /^\d+$/.test(text) ? parseNumber(text) : text;
}

/** Collects labels, with or without a value. */
export function addLabelToKeep(
  text: string,
  previous: readonly LabelToKeep[] = [],
): readonly LabelToKeep[] {
  const equals = text.indexOf('=');
  const key = equals < 0 ? text : text.slice(0, equals);
  if (key === '') throw new InvalidArgumentError('A label is KEY or KEY=VALUE.');
  const label = equals < 0 ? { key } : { key, value: text.slice(equals + 1) };
  return [...previous, label];
}

/** Groups of versions, such as `5:3`. */
export function parseGroups(text: string): VersionGroups {
  const match = /^(\d{1,15}):(\d{1,15})$/.exec(text);
  if (match === null) throw new InvalidArgumentError('Version groups are SIZE:KEEP, like 5:3.');
  return { size: Number(match[1]), keep: Number(match[2]) };
}
