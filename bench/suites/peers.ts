/** This library beside what users would pick instead, on whole series of dumps. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { findFacts, type Facts } from '../peers/facts.ts';
import { measureRun, type RunResult } from '../peers/measure.ts';
import { openSeries, type Series } from '../peers/series.ts';
import { barsOf, plotsOf, tablesOf, type SeriesResult } from '../peers/tables.ts';
import { findDropCache, type DropCache } from '../process/page-cache.ts';
import { findTracing, type Tracing } from '../process/trace.ts';
import type { SuiteResult } from '../report/result.ts';
import { installedSubjects } from '../subjects/index.ts';
import type { Subject } from '../subjects/subject.ts';
import type { SuiteTask } from './suite.ts';

/** Cold rows are for orientation: one run for every third warm one. */
const WARM_RUNS_A_COLD_RUN = 3;

/** Compares all subjects on all series. */
export async function peers(task: SuiteTask): Promise<SuiteResult> {
  const subjects = await installedSubjects();
  const dropCache = await findDropCache();
  const tracing = await findTracing();
  const results: SeriesResult[] = [];
  for await (const series of openSeries(task)) {
    results.push(...(await compare(task, { series, subjects, dropCache, tracing })));
    // Made-up ones; given ones are elsewhere.
    rmSync(join(task.work, 'series'), { recursive: true, force: true });
  }
  const warm = results.filter(({ cache }) => cache === 'warm');
  return {
    tables: results.flatMap((result) => tablesOf(result)),
    bars: warm.flatMap((result) => barsOf(result)),
    plots: warm.flatMap((result) => plotsOf(result)),
    raw: results.map(({ series, cache, runs, facts }) => {
      return { series, cache, runs: Object.fromEntries(runs), facts: Object.fromEntries(facts) };
    }),
    versions: versionsOf(warm[0]?.facts ?? new Map<string, Facts>()),
  };
}

interface Comparison {
  readonly series: Series;
  readonly subjects: readonly Subject[];
  readonly dropCache: DropCache | undefined;
  readonly tracing: Tracing;
}

async function compare(
  { work, runs, say }: SuiteTask,
  { series, subjects, dropCache, tracing }: Comparison,
): Promise<SeriesResult[]> {
  const facts = new Map<string, Facts>();
  for (const subject of subjects) {
    say(`${series.label}: memory and fsyncs of ${subject.name}`);
    facts.set(subject.name, await findFacts(subject, series, { work, tracing }));
  }
  const measure = async (count: number, drop?: DropCache) => {
    const results = new Map<string, RunResult[]>(subjects.map(({ name }) => [name, []]));
    for (let run = 0; run < count; run++) {
      say(`${series.label}: run ${run + 1} of ${count}, ${drop ? 'cold' : 'warm'}`);
      const one = await measureRun({ series, subjects, work, dropCache: drop }, run);
      for (const [name, result] of one) results.get(name)?.push(result);
    }
    return results;
  };
  const warm: SeriesResult = { series, facts, cache: 'warm', runs: await measure(runs) };
  if (dropCache === undefined) return [warm];
  const coldRuns = Math.ceil(runs / WARM_RUNS_A_COLD_RUN);
  return [warm, { series, facts, cache: 'cold', runs: await measure(coldRuns, dropCache) }];
}

function versionsOf(facts: ReadonlyMap<string, Facts>): Record<string, string> {
  return Object.fromEntries([...facts].map(([name, { version }]) => [name, version]));
}
