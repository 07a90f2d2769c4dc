/**
 * Buckets of time: seconds, minutes, hours, days, ISO weeks, months and years, all in UTC, for any
 * time that a Date can hold. A bucket's name is as ISO 8601 writes it.
 */

/** The rules that keep one snapshot of each bucket, the finest first. */
export const BUCKET_RULES = [
  'secondly',
  'minutely',
  'hourly',
  'daily',
  'weekly',
  'monthly',
  'yearly',
] as const;

/** A rule that keeps one snapshot of each bucket. */
export type BucketRule = (typeof BUCKET_RULES)[number];

/** How much of `2026-11-21T10:05:07.123Z` is too fine for a bucket's name. */
const CUT: Readonly<Record<Exclude<BucketRule, 'weekly'>, number>> = {
  secondly: '.123Z'.length,
  minutely: ':07.123Z'.length,
  hourly: ':05:07.123Z'.length,
  daily: 'T10:05:07.123Z'.length,
  monthly: '-21T10:05:07.123Z'.length,
  yearly: '-11-21T10:05:07.123Z'.length,
};

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const WEEK_DAYS = 7;
const YEAR_MONTHS = 12;
/** Of a week that starts on Monday; the year of its Thursday is the year of an ISO week. */
const THURSDAY = 3;

/** Numbers of the bucket that a time is in: the same for times in one bucket, and only for them. */
const NUMBER: Readonly<Record<BucketRule, (timeMs: number) => number>> = {
  secondly: (timeMs) => Math.floor(timeMs / SECOND_MS),
  minutely: (timeMs) => Math.floor(timeMs / MINUTE_MS),
  hourly: (timeMs) => Math.floor(timeMs / HOUR_MS),
  daily: (timeMs) => Math.floor(timeMs / DAY_MS),
  // The first of January 1970 was a Thursday.
  weekly: (timeMs) => Math.floor((timeMs / DAY_MS + THURSDAY) / WEEK_DAYS),
  monthly: (timeMs) => {
    const date = new Date(timeMs);
    return date.getUTCFullYear() * YEAR_MONTHS + date.getUTCMonth();
  },
  yearly: (timeMs) => new Date(timeMs).getUTCFullYear(),
};

/** The number of the bucket that a time is in, which is cheaper than its name. */
export function bucketNumber(rule: BucketRule, timeMs: number): number {
  return NUMBER[rule](timeMs);
}

/** The name of the bucket that a time is in. */
export function bucketName(rule: BucketRule, timeMs: number): string {
  if (rule === 'weekly') return weekOf(timeMs);
  return new Date(timeMs).toISOString().slice(0, -CUT[rule]);
}

/** The ISO week of a time, such as `2026-W53` for the first days of 2027. */
function weekOf(timeMs: number): string {
  const date = new Date(timeMs);
  const weekday = (date.getUTCDay() + WEEK_DAYS - 1) % WEEK_DAYS;
  const thursday = new Date(timeMs + (THURSDAY - weekday) * DAY_MS);
  const week = Math.floor(dayOfYear(thursday) / WEEK_DAYS) + 1;
  const year = thursday.toISOString().slice(0, -CUT.yearly);
  return `${year}-W${String(week).padStart(2, '0')}`;
}

/** Days since the first of January. */
function dayOfYear(date: Date): number {
  // The calendar is the same every 400 years, and the first day of this year may be out of range.
  const year = 2000 + (date.getUTCFullYear() % 400);
  const day = Date.UTC(year, date.getUTCMonth(), date.getUTCDate());
  return (day - Date.UTC(year, 0, 1)) / DAY_MS;
}
