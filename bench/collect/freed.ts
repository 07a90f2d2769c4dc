/**
 * How much of what only removed snapshots needed does a collection free, and how long does it take
 * beside decoding and encoding what is live? All snapshots of a timeline but the newest go.
 */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { CollectReport } from 'criu-timeline';
import type { DumpSource } from '../generate/series.ts';
import { generatedSource } from '../generate/series.ts';
import { REDIS, resized } from '../generate/workloads.ts';
import { runChild } from '../measure/child.ts';
import { packsOf } from '../measure/delta-pages.ts';
import { mean, median, ratios, withSpread } from '../measure/statistics.ts';
import { storeBytes } from '../measure/timeline.ts';
import { level } from '../process/level.ts';
import { runShell } from '../process/shell.ts';
import type { BarValue } from '../report/bars.ts';
import type { SuiteResult } from '../report/result.ts';
import { writeChangedPages } from '../scale/made-pages.ts';
import type { SuiteTask } from '../suites/suite.ts';
import { timeCodec, type CodecTime } from './codec.ts';
import { freedShare, type StoreBytes } from './shares.ts';

const TIMELINE = 'freed';
const UNIQUE_DUMPS = 8;
const UNIQUE_PAGES = 24_000;
/** A third of the pages is another in each dump. */
const STRETCH = 3;
const QUICK_SHARE = 0.1;
const MEGA = 1e6;

interface Series {
  readonly source: DumpSource;
  readonly dumps: number;
  /** Whether its numbers are held against bars. */
  readonly hasBars: boolean;
}

interface Run extends StoreBytes {
  readonly collectMs: number;
  readonly report: CollectReport;
  /** Of the packs that the collection wrote. */
  readonly rewritten: CodecTime;
  /** Of the packs of a new store that has only the newest dump. */
  readonly live: CodecTime;
}

interface Freed {
  readonly label: string;
  readonly dumps: number;
  readonly hasBars: boolean;
  readonly runs: readonly Run[];
}

/** Both series, one after the other. */
export async function measureFreed(task: SuiteTask): Promise<SuiteResult> {
  const share = task.quick ? QUICK_SHARE : 1;
  const series: Series[] = [
    { source: uniqueSource(UNIQUE_PAGES * share), dumps: UNIQUE_DUMPS, hasBars: true },
    {
      source: generatedSource(resized(REDIS, REDIS.pages * share)),
      dumps: REDIS.dumps,
      hasBars: false,
    },
  ];
  const results: Freed[] = [];
  for (const each of series) results.push(await measureSeries(task, each));
  return resultOf(results);
}

function uniqueSource(pages: number): DumpSource {
  let dump = 0;
  return {
    label: 'a third of the pages changed, kept in full',
    dump: async (directory) => {
      dump += 1;
      writeChangedPages(directory, pages, { seed: 5, dump, stretch: STRETCH });
    },
    close: async () => undefined,
  };
}

async function measureSeries(
  { work, runs, say }: SuiteTask,
  { source, dumps, hasBars }: Series,
): Promise<Freed> {
  const { label } = source;
  const [store, fresh, images] = ['store', 'fresh', 'dump'].map((name) => join(work, name)) as [
    string,
    string,
    string,
  ];
  say(`${dumps} dumps: ${label}`);
  const options = { create: true };
  for (let dump = 1; dump <= dumps; dump++) {
    rmSync(images, { recursive: true, force: true });
    await source.dump(images);
    await runChild({ store, options, captures: [{ timeline: TIMELINE, images }] });
  }
  await source.close();
  await runChild({ store: fresh, options, captures: [{ timeline: TIMELINE, images }] });
  // The first one would also measure how code is compiled.
  await timeCodec(packsOf(fresh));
  const done: Run[] = [];
  for (let run = 0; run < runs; run++) {
    say(`collecting, run ${run + 1} of ${runs}`);
    done.push(await collectCopy({ store, fresh, images, work }, dumps));
  }
  for (const path of [store, fresh, images]) rmSync(path, { recursive: true, force: true });
  return { label, dumps, hasBars, runs: done };
}

interface Places {
  readonly store: string;
  readonly fresh: string;
  /** The newest dump. */
  readonly images: string;
  readonly work: string;
}

async function collectCopy({ store, fresh, images, work }: Places, dumps: number): Promise<Run> {
  const copy = join(work, 'copy');
  cpSync(store, copy, { recursive: true });
  const before = storeBytes(copy);
  const old = new Set(packsOf(copy));
  const removes = Array.from({ length: dumps - 1 }, (_, i) => `${TIMELINE}@${i + 1}`);
  await runChild({ store: copy, removes });
  const first = await timeCodec(packsOf(fresh));
  await level(work);
  const { operations } = await runChild({ store: copy, collects: [{ wasteThreshold: 0 }] });
  const [operation] = operations;
  if (operation?.collected === undefined) throw new Error('no report of a collection');
  const rewritten = await timeCodec(packsOf(copy).filter((path) => !old.has(path)));
  const last = await timeCodec(packsOf(fresh));
  // Before and after, because the machine may have changed in between.
  const live = { ...last, milliseconds: mean([first.milliseconds, last.milliseconds]) };
  const after = storeBytes(copy);
  await compareNewest(copy, images, work);
  rmSync(copy, { recursive: true });
  const bytes = { before, after, fresh: storeBytes(fresh) };
  const { milliseconds: collectMs, collected: report } = operation;
  return { ...bytes, collectMs, report, rewritten, live };
}

/** A collection that loses pages would be fast: what is left must come back as it was. */
async function compareNewest(store: string, images: string, work: string): Promise<void> {
  const target = join(work, 'restored');
  await runChild({ store, restores: [{ snapshot: TIMELINE, target }] });
  const variables = { IMAGES: images, TARGET: target };
  await runShell({ line: 'diff -r "$IMAGES" "$TARGET"', cwd: '/', variables });
  rmSync(target, { recursive: true });
}

function resultOf(results: readonly Freed[]): SuiteResult {
  const pick = ({ runs }: Freed, of: (run: Run) => number): number[] => runs.map(of);
  const megabytes = (freed: Freed, of: (run: Run) => number): string =>
    withSpread(
      pick(freed, (run) => of(run) / MEGA),
      2,
    );
  const timeRatios = (freed: Freed, of: (run: Run) => CodecTime): number[] => {
    const codec = pick(freed, (run) => of(run).milliseconds);
    return ratios(
      pick(freed, (run) => run.collectMs),
      codec,
    );
  };
  const rows = results.map((each) => ({
    series: each.label,
    dumps: each.dumps,
    'before, MB': megabytes(each, ({ before }) => before),
    'after, MB': megabytes(each, ({ after }) => after),
    'new store of the newest, MB': megabytes(each, ({ fresh }) => fresh),
    freed: withSpread(pick(each, freedShare), 3),
    'collect, ms': withSpread(pick(each, ({ collectMs }) => collectMs)),
    'pages rewritten': withSpread(pick(each, ({ rewritten }) => rewritten.pages)),
    '/ their codec': withSpread(
      timeRatios(each, ({ rewritten }) => rewritten),
      2,
    ),
    'pages of the new store': withSpread(pick(each, ({ live }) => live.pages)),
    '/ codec of these': withSpread(
      timeRatios(each, ({ live }) => live),
      2,
    ),
  }));
  const barsOf = (each: Freed): BarValue[] => [
    { bar: 'collect-freed', of: each.label, value: median(pick(each, freedShare)) },
    {
      bar: 'collect-time',
      of: 'pages that it wrote again',
      value: median(timeRatios(each, ({ rewritten }) => rewritten)),
    },
    {
      bar: 'collect-time',
      of: 'pages of a new store of the newest',
      value: median(timeRatios(each, ({ live }) => live)),
    },
  ];
  const values = results.map((each) => {
    return { label: each.label, value: median(pick(each, freedShare)) };
  });
  return {
    tables: [{ title: 'All snapshots but the newest removed, and collected', rows }],
    bars: results.filter(({ hasBars }) => hasBars).flatMap(barsOf),
    plots: [{ kind: 'bars', title: 'freed of what only the removed needed', unit: '', values }],
    raw: results,
  };
}
