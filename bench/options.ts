/** What can be asked of the benchmark on its command line. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** The suites by name. */
export const SUITE_NAMES = [
  'peers',
  'long',
  'scale',
  'collect',
  'micro',
  'files',
  'seeds',
] as const;

/** Name of a suite. */
export type SuiteName = (typeof SUITE_NAMES)[number];

/** What was asked for. */
export interface BenchOptions {
  readonly suites: readonly SuiteName[];
  /** Directories that hold the image directories of a series. */
  readonly series: readonly string[];
  readonly runs: number;
  readonly quick: boolean;
  /** How many of the sizes of `scale` are measured, the smallest first. */
  readonly sizes: number;
  readonly output: string;
}

/** Printed on --help and on misuse. */
export const USAGE = `npm run bench -- [suite...] [options]

suites: peers (default)  this library beside cp, tar, zstd, restic, borg and casync
        long             a hundred dumps of redis in one timeline
        scale            many stored pages, many snapshots, large images
        collect          what collections free and take, many snapshots, a full disk
        micro            single functions, nanoseconds each
        files            the container's files and archives beside tar, zstd, restic, borg
        seeds            the tables of the publications that this library builds on
        all              every one of them

--series DIR   image directories of one process, which sort in the order they were
               taken (peers), or archives of one container, *.tar, *.tar.zst and
               *.tar.gz (files); repeatable; without it, made-up ones are used
--runs N       how often to measure (3)
--sizes N      how many sizes scale measures, the smallest first (3: all)
--quick        a tenth of everything, once: shows that it works, decides nothing
--output DIR   where results are written (bench/results)`;

/**
 * Reads the command line; undefined when help was asked for.
 *
 * @throws TypeError or RangeError for what cannot be understood.
 */
export function parseOptions(parameters: readonly string[]): BenchOptions | undefined {
  const { values, positionals } = parseArgs({
    args: [...parameters],
    allowPositionals: true,
    options: {
      series: { type: 'string', multiple: true, default: [] },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      sizes: { type: 'string', default: '3' },
      output: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return undefined;
  const runs = countOf('runs', values.runs ?? (values.quick ? '1' : '3'));
  const sizes = countOf('sizes', values.sizes);
  const series = values.series.map((path) => resolve(path));
  const missing = series.find((path) => !existsSync(path));
  if (missing !== undefined) throw new RangeError(`there is no series at ${missing}`);
  return {
    suites: suitesOf(positionals),
    series,
    runs,
    quick: values.quick,
    sizes,
    output: resolve(values.output ?? new URL('results', import.meta.url).pathname),
  };
}

function countOf(option: string, text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new RangeError(`--${option} ${text}`);
}

function suitesOf(names: readonly string[]): SuiteName[] {
  if (names.length === 0) return ['peers'];
  if (names.includes('all')) return [...SUITE_NAMES];
  return names.map((name) => {
    const known = SUITE_NAMES.find((suite) => suite === name);
    if (known === undefined) throw new RangeError(`there is no suite ${name}`);
    return known;
  });
}
