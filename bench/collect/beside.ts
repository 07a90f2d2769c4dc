/**
 * Do captures get slower while another process collects all the time? Throughput of the captures of
 * one process, alone and beside a process that removes and collects: in another store, where the
 * two share only the machine, and in the same one, where they wait for each other as well.
 */
import { cpSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { generatedSource, writeSeries } from '../generate/series.ts';
import { REDIS, resized } from '../generate/workloads.ts';
import { runChild, type ChildReport } from '../measure/child.ts';
import { directoryBytes } from '../measure/directories.ts';
import { median, ratios, withSpread } from '../measure/statistics.ts';
import { level } from '../process/level.ts';
import { skipLoudly } from '../process/programs.ts';
import type { BarValue } from '../report/bars.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from '../suites/suite.ts';
import { growGarbage, removalsOf, type Garbage } from './garbage.ts';
import { busyShare, wholeSpan } from './shares.ts';

const DUMPS = 8;
const GARBAGE: Garbage = { timelines: 2, snapshots: 24, pages: 12_000 };
const QUICK_SHARE = 0.1;
/** A capture's threads and a collection, which is one thread, find a core each on two. */
const WORKERS = 1;
/** Below this the collector ran out of garbage, or was not there: the ratio would say nothing. */
const LEAST_BUSY = 0.9;
const POLL_MS = 5;
const MEGA = 1e6;

/** Where the collector works. */
const COLLECTORS = ['alone', 'another store', 'the same store'] as const;
type Collector = (typeof COLLECTORS)[number];

interface Run {
  /** MB/s of the captures. */
  readonly rate: number;
  /** Part of the captures' time in which a collection ran. */
  readonly busy: number;
  readonly collections: number;
  readonly completed: number;
  readonly writtenBytes: number;
}

type Runs = Record<Collector, Run[]>;

interface Places {
  readonly work: string;
  readonly template: string;
  readonly dumps: readonly string[];
  readonly garbage: Garbage;
}

/** Measures the three in turns, each on fresh copies of a store with garbage. */
export async function measureBeside({ work, runs, quick, say }: SuiteTask): Promise<SuiteResult> {
  const share = quick ? QUICK_SHARE : 1;
  const garbage = { ...GARBAGE, pages: GARBAGE.pages * share };
  const [template, series] = [join(work, 'template'), join(work, 'series')];
  say('a store with garbage, and a series of dumps');
  await growGarbage(template, work, garbage);
  await writeSeries(generatedSource(resized(REDIS, REDIS.pages * share)), series, DUMPS);
  const dumps = Array.from({ length: DUMPS }, (_, i) =>
    join(series, String(i + 1).padStart(3, '0')),
  );
  const results: Runs = { alone: [], 'another store': [], 'the same store': [] };
  for (let run = 0; run < runs; run++) {
    for (let turn = 0; turn < COLLECTORS.length; turn++) {
      const collector = COLLECTORS[(run + turn) % COLLECTORS.length] as Collector;
      say(`captures, collector: ${collector}, run ${run + 1} of ${runs}`);
      results[collector].push(await measure({ work, template, dumps, garbage }, collector));
    }
  }
  return resultOf(results);
}

async function measure(places: Places, collector: Collector): Promise<Run> {
  const { work, template, dumps, garbage } = places;
  const [store, other] = [join(work, 'captured'), join(work, 'other')];
  for (const path of [store, other]) cpSync(template, path, { recursive: true });
  await level(work);
  const capture = async (): Promise<ChildReport> => {
    const captures = dumps.map((images) => ({ timeline: 'captured', images }));
    return await runChild({ store, options: { workers: WORKERS }, captures });
  };
  const [captured, collected] =
    collector === 'alone'
      ? [await capture(), undefined]
      : await besideRounds(capture, {
          store: collector === 'the same store' ? store : other,
          work,
          garbage,
        });
  for (const path of [store, other]) rmSync(path, { recursive: true });
  return runOf(dumps, captured, collected);
}

interface Rounds {
  readonly store: string;
  readonly work: string;
  readonly garbage: Garbage;
}

/** Captures from when the first collection begins; afterwards the collector may end its round. */
async function besideRounds(
  capture: () => Promise<ChildReport>,
  { store, work, garbage }: Rounds,
): Promise<[captured: ChildReport, collected: ChildReport]> {
  const [started, stop] = [join(work, 'started'), join(work, 'stop')];
  const removes = removalsOf(garbage);
  let isOver = false;
  const rounds = runChild({
    store,
    rounds: { removes, started, stop, options: { wasteThreshold: 0 } },
  }).finally(() => (isOver = true));
  // One that failed early is an error below, and not one that nobody handles until then.
  rounds.catch(() => undefined);
  while (!existsSync(started) && !isOver) await sleep(POLL_MS);
  const captured = await capture().finally(() => {
    writeFileSync(stop, '');
  });
  const collected = await rounds;
  for (const path of [started, stop]) rmSync(path, { force: true });
  return [captured, collected];
}

function runOf(
  dumps: readonly string[],
  captured: ChildReport,
  collected: ChildReport | undefined,
): Run {
  const bytes = dumps.reduce((sum, path) => sum + directoryBytes(path), 0);
  const milliseconds = captured.operations.reduce((sum, each) => sum + each.milliseconds, 0);
  const rounds = collected?.operations ?? [];
  const reports = rounds.flatMap((round) => round.collected ?? []);
  return {
    rate: bytes / 1000 / milliseconds,
    busy: busyShare(wholeSpan(captured.operations), rounds),
    collections: rounds.length,
    completed: reports.filter(({ complete }) => complete).length,
    writtenBytes: reports.reduce((sum, report) => sum + report.writtenBytes, 0),
  };
}

function resultOf(results: Runs): SuiteResult {
  const pick = (collector: Collector, of: (run: Run) => number): number[] =>
    results[collector].map(of);
  const rate = ({ rate }: Run): number => rate;
  const relative = (collector: Collector): number[] =>
    ratios(pick(collector, rate), pick('alone', rate));
  const rows = COLLECTORS.map((collector) => ({
    'collector in': collector,
    'captures, MB/s': withSpread(pick(collector, rate)),
    '/ alone': withSpread(relative(collector), 2),
    'collecting, % of the time': withSpread(pick(collector, ({ busy }) => busy * 100)),
    collections: withSpread(pick(collector, ({ collections }) => collections)),
    'of these complete': withSpread(pick(collector, ({ completed }) => completed)),
    'written by them, MB': withSpread(pick(collector, (run) => run.writtenBytes / MEGA)),
  }));
  const bars = COLLECTORS.slice(1).map((collector): BarValue => {
    const busy = Math.min(...pick(collector, (run) => run.busy));
    const isBusy = busy >= LEAST_BUSY;
    if (!isBusy) {
      skipLoudly(
        `captures beside a collection in ${collector}: it ran ${busy * 100} % of the time`,
      );
    }
    const value = isBusy ? median(relative(collector)) : undefined;
    return { bar: 'collect-beside', of: collector, value };
  });
  const cores = os.availableParallelism();
  const values = COLLECTORS.map((label) => ({ label, value: median(pick(label, rate)) }));
  return {
    tables: [
      {
        title:
          `Captures of ${DUMPS} dumps of redis (generated) by one process with workers: ` +
          `${WORKERS}, beside one that removes and collects; ${cores} cores`,
        rows,
      },
    ],
    bars,
    plots: [{ kind: 'bars', title: 'captures beside a collector', unit: 'MB/s', values }],
    raw: results,
  };
}
