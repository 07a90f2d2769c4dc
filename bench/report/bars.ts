/** The bars: what each number must be, and what it should be. */
import { formatTable } from './table.ts';

/** A number that is held against two others. */
export interface Bar {
  readonly label: string;
  readonly unit: string;
  readonly must: number;
  readonly aim: number;
  readonly better: 'lower' | 'higher';
}

/** Name of a bar. */
export type BarName =
  | 'kept-redis'
  | 'kept-python'
  | 'kept-node'
  | 'cache'
  | 'capture-tar'
  | 'capture-tar-running'
  | 'capture-restic'
  | 'capture-restic-process'
  | 'restore-again'
  | 'restore-newest'
  | 'restore-middle'
  | 'restore-oldest'
  | 'capture-peak'
  | 'restore-peak'
  | 'frames'
  | 'metadata'
  | 'capture-block'
  | 'restore-block'
  | 'long-kept'
  | 'long-restore'
  | 'long-depth'
  | 'scale-capture'
  | 'scale-open'
  | 'collect-freed'
  | 'collect-time'
  | 'collect-beside'
  | 'collect-full-disk'
  | 'files-second'
  | 'files-second-process'
  | 'files-added'
  | 'many-operation'
  | 'many-capture';

const lower = (label: string, unit: string, must: number, aim: number): Bar => {
  return { label, unit, must, aim, better: 'lower' };
};
const higher = (label: string, unit: string, must: number, aim: number): Bar => {
  return { label, unit, must, aim, better: 'higher' };
};

/** All bars, by name. */
export const BARS: Readonly<Record<BarName, Bar>> = {
  'kept-redis': lower('kept of 12 dumps of redis', '%', 1.3, 1.15),
  'kept-python': lower('kept of 6 dumps of python', '%', 6.0, 5.4),
  'kept-node': lower('kept of 6 dumps of node', '%', 7.6, 6.9),
  cache: lower('cache/, a page of the newest snapshot', 'bytes', 64, 64),
  'capture-tar': higher('capture throughput / tar | zstd -1 -T0', 'x', 1, 2),
  'capture-tar-running': higher('the same from the 4th dump of a process on', 'x', 1, 2),
  'capture-restic': higher('capture throughput / restic, net of its start', 'x', 3, 8),
  'capture-restic-process': higher('the same, process beside process', 'x', 3, 8),
  'restore-newest': lower('restore of the newest / cp -a', 'x', 1.5, 1),
  'restore-middle': lower('restore of the middle / cp -a', 'x', 1.5, 1),
  'restore-oldest': lower('restore of the oldest / cp -a', 'x', 1.5, 1),
  'restore-again': lower('restore again in one process / cp -a', 'x', 1.5, 1),
  'capture-peak': lower('peak memory of a capture', 'MB', 400, 200),
  'restore-peak': lower('peak memory of a restore', 'MB', 400, 200),
  frames: lower('frames decoded / needed in a restore', 'x', 1.25, 1.05),
  metadata: lower('kept that is not page bytes', '%', 25, 10),
  'capture-block': lower('longest block of a capture', 'ms', 20, 5),
  'restore-block': lower('longest block of a restore', 'ms', 20, 5),
  'long-kept': lower('mean kept of later dumps / early dumps', 'x', 1.25, 1.1),
  'long-restore': lower('slowest restore / cp -a', 'x', 1.5, 1),
  'long-depth': lower('deepest delta page', '', 16, 16),
  'scale-capture': lower('capture at most / fewest stored pages', 'x', 1.3, 1),
  'scale-open': lower('opening at most stored pages', 'ms', 200, 50),
  'collect-freed': higher('freed / kept that only the removed needed', 'x', 0.95, 0.99),
  'collect-time': lower('collect / decoding and encoding of pages', 'x', 2, 1.5),
  'collect-beside': higher('capture throughput beside a collection / alone', 'x', 0.6, 0.8),
  'collect-full-disk': higher('freed with 1 MB left on the disk / with room', 'x', 0.5, 0.95),
  'files-second': lower('files: second capture / first, in one process', 'x', 0.1, 0.05),
  'files-second-process': lower('the same, a new process for each', 'x', 0.1, 0.05),
  'files-added': lower('files: added by the second capture', 'kB', 100, 20),
  'many-operation': lower('one operation on a long timeline', 'ms', 50, 20),
  'many-capture': lower('capture to a long timeline / to a short one', 'x', 1.2, 1),
};

/** What was measured for a bar; undefined when it could not be. */
export interface BarValue {
  readonly bar: BarName;
  /** Which series, size or the like. */
  readonly of: string;
  readonly value: number | undefined;
}

/** How a value stands to its bar. */
export type Verdict = 'PASS, aim reached' | 'PASS' | 'FAIL' | 'n/a';

/** The verdict on a value. */
export function judge(bar: Bar, value: number | undefined): Verdict {
  if (value === undefined || Number.isNaN(value)) return 'n/a';
  const reaches = (limit: number): boolean =>
    bar.better === 'lower' ? value <= limit : value >= limit;
  if (!reaches(bar.must)) return 'FAIL';
  return reaches(bar.aim) ? 'PASS, aim reached' : 'PASS';
}

/** The bars as rows of text. */
export function formatBars(values: readonly BarValue[]): string {
  const rows = values.map(({ bar: name, of, value }) => {
    const bar: Bar = BARS[name];
    const sign = bar.better === 'lower' ? '<=' : '>=';
    const known = value !== undefined && !Number.isNaN(value);
    return {
      bar: bar.label,
      of,
      must: `${sign} ${bar.must} ${bar.unit}`,
      aim: `${sign} ${bar.aim} ${bar.unit}`,
      ours: known ? `${value.toFixed(2)} ${bar.unit}` : 'n/a',
      verdict: judge(bar, value),
    };
  });
  return formatTable('bars', rows);
}
