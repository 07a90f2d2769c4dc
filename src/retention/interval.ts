/**
 * Intervals such as `15m`, `36h` or `1y5mo7d2h`: parsing, and going back in time by one.
 *
 * Years and months are those of the calendar in UTC; weeks, days and everything below always have
 * the same length. One text has one meaning: `m` is a minute and `mo` a month, units come from the
 * largest to the smallest, each at most once.
 */

/** A length of time. */
export interface Interval {
  readonly months: number;
  readonly milliseconds: number;
}

const UNITS = ['y', 'mo', 'w', 'd', 'h', 'm', 's'];
const FORM = new RegExp(`^${UNITS.map((unit) => `(?:(\\d{1,9})${unit})?`).join('')}$`);

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;
const YEAR_MONTHS = 12;

/**
 * Reads an interval; `option` is whose it is.
 *
 * @throws RangeError when the text is none, or stands for no time at all.
 */
export function parseInterval(option: string, text: string): Interval {
  const numbers = FORM.exec(text)?.slice(1) ?? [];
  const [years = 0, months = 0, weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] =
    numbers.map((digits: string | undefined) => Number(digits ?? 0));
  const interval = {
    months: years * YEAR_MONTHS + months,
    milliseconds:
      weeks * WEEK_MS + days * DAY_MS + hours * HOUR_MS + minutes * MINUTE_MS + seconds * SECOND_MS,
  };
  if (interval.months > 0 || interval.milliseconds > 0) return interval;
  throw new RangeError(`${option} is '${text}', not an interval like '36h' or '1y5mo7d2h'`);
}

/**
 * The time that is an interval before another one: months first, then the rest. A day that the
 * month does not have becomes its last one. Before all times that a Date can hold is -Infinity.
 */
export function timeBefore(endMs: number, { months, milliseconds }: Interval): number {
  const date = new Date(endMs);
  const month = date.getUTCFullYear() * YEAR_MONTHS + date.getUTCMonth() - months;
  const day = date.getUTCDate();
  // Not by the constructor, which takes the years 0 to 99 for those of the last century.
  const startMs = new Date(endMs).setUTCFullYear(0, month, Math.min(day, daysOfMonth(month)));
  return Number.isNaN(startMs) ? -Infinity : startMs - milliseconds;
}

/** Days of a month, which is counted from that of the year 0. */
function daysOfMonth(month: number): number {
  // The calendar is the same every 400 years, and these are far from the ends of all times.
  const cycle = 400 * YEAR_MONTHS;
  const same = ((month % cycle) + cycle) % cycle;
  return new Date(Date.UTC(2000, same + 1, 0)).getUTCDate();
}
