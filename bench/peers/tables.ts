/** Tables, bars and plots of the comparison with peers. */
import { frameRatio, metadataPercent } from '../measure/diagnostics.ts';
import { mean, median, ratios, withSpread } from '../measure/statistics.ts';
import type { BarName, BarValue } from '../report/bars.ts';
import type { Plot, ResultTable } from '../report/result.ts';
import type { Row } from '../report/table.ts';
import { tarZstd } from '../subjects/archives.ts';
import { restic } from '../subjects/backups.ts';
import { commandLine, inProcess } from '../subjects/ours.ts';
import type { Facts } from './facts.ts';
import { AGES, type Age, type RunResult } from './measure.ts';
import type { Series } from './series.ts';
import { stateTable } from './state.ts';

/** Everything measured on one series, by subject. */
export interface SeriesResult {
  readonly series: Series;
  readonly cache: 'warm' | 'cold';
  readonly runs: ReadonlyMap<string, readonly RunResult[]>;
  readonly facts: ReadonlyMap<string, Facts>;
}

const MEGA = 1e6;

/** Two tables: times, and what else it costs. */
export function tablesOf(result: SeriesResult): ResultTable[] {
  const { series, cache, runs, facts } = result;
  const megabytes = (series.logicalBytes / MEGA).toFixed(0);
  const size = `${series.dumps.length} dumps, ${megabytes} MB`;
  const title = `${series.label}: ${size}, ${cache} page cache`;
  const times = { title, rows: [...runs.keys()].map((name) => timesRow(result, name)) };
  const state = stateTable(`${series.label}, ${cache}: the state that restores met`, runs);
  if (cache === 'cold') return [times, state];
  const rows = [...facts].map(([name, fact]) => costsRow(result, name, fact));
  return [times, state, { title: `${series.label}: what it takes beside time`, rows }];
}

function timesRow(result: SeriesResult, name: string): Row {
  const rates = throughputs(result, name);
  const net = throughputs(result, name, true);
  const kept = keptPercent(result, name);
  const restores = AGES.map((age) => [
    `${age}, ms (x cp -a)`,
    [restoresOf(result, name, age), restoreRatios(result, name, age)]
      .map((values, i) => withSpread(values, i * 2))
      .join('  '),
  ]);
  return {
    subject: name,
    'store MB/s': withSpread(rates),
    'net of start': net.length === 0 ? '' : withSpread(net),
    'x tar|zstd': withSpread(ratios(rates, throughputs(result, tarZstd.name)), 2),
    'kept %': kept.toFixed(2),
    ...(Object.fromEntries(restores) as Record<string, string>),
  };
}

function costsRow(result: SeriesResult, name: string, facts: Facts): Row {
  const list = result.runs.get(name) ?? [];
  const own = (pick: (run: RunResult) => number | undefined): number | undefined => {
    const values = list.map(pick).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : Math.max(...values);
  };
  const ours = name === inProcess.name || name === commandLine.name;
  const storePeak = own((run) => run.stored?.peakBytes) ?? facts.storePeakBytes;
  const restorePeak = own((run) => run.restored.newest?.peakBytes) ?? facts.restorePeakBytes;
  return {
    subject: name,
    version: facts.version,
    'kept MB': (median(list.map((run) => run.keptBytes)) / MEGA).toFixed(2),
    'peak MB, store': megabytesOf(storePeak),
    'peak MB, restore': megabytesOf(restorePeak),
    'fsyncs a dump': facts.durabilityCalls?.toFixed(1) ?? 'n/a',
    'start ms': facts.startMs?.toFixed(0) ?? '',
    'block ms, store': own((run) => run.stored?.longestBlockMs)?.toFixed(1) ?? '',
    'block ms, restore': own(restoreBlock)?.toFixed(1) ?? '',
    'frames decoded/needed': ours ? (own(framesOf)?.toFixed(2) ?? 'n/a') : '',
    'metadata %': ours ? (own(metadataOf)?.toFixed(1) ?? 'n/a') : '',
    depth: ours ? (own((run) => run.pages?.deepest)?.toFixed(0) ?? 'n/a') : '',
  };
}

/** The values that have bars. */
export function barsOf(result: SeriesResult): BarValue[] {
  const { series, runs } = result;
  const bars: BarValue[] = [];
  const add = (bar: BarName, value: number | undefined, detail = ''): void => {
    bars.push({ bar, of: `${series.label}${detail}`, value });
  };
  for (const { name } of [inProcess, commandLine]) {
    const detail = name === inProcess.name ? '' : ', CLI';
    const rates = throughputs(result, name);
    add('capture-tar', median(ratios(rates, throughputs(result, tarZstd.name))), detail);
    const isProcess = name === commandLine.name;
    const resticBar = isProcess ? 'capture-restic-process' : 'capture-restic';
    add(resticBar, median(ratios(rates, throughputs(result, restic.name, !isProcess))), detail);
    for (const age of AGES) {
      add(`restore-${age}`, median(restoreRatios(result, name, age)), detail);
    }
  }
  const list = runs.get(inProcess.name) ?? [];
  add('capture-tar-running', median(runningRatios(result)));
  for (const age of AGES) add('restore-again', median(againRatios(result, age)), `, ${age}`);
  const kept: BarName | undefined = (['redis', 'python', 'node'] as const)
    .map((name) => `kept-${name}` as const)
    .find((name) => name === `kept-${series.workload}`);
  const most = (pick: (run: RunResult) => number | undefined): number | undefined => {
    const values = list.map(pick).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : Math.max(...values);
  };
  const inMegabytes = (bytes: number | undefined): number | undefined =>
    bytes === undefined ? undefined : bytes / MEGA;
  if (kept !== undefined && series.isWhole) add(kept, keptPercent(result, inProcess.name));
  add('cache', most(cacheBytesPerPage));
  add('capture-peak', inMegabytes(most((run) => run.stored?.peakBytes)));
  add('restore-peak', inMegabytes(most(restorePeak)));
  add(
    'capture-block',
    most((run) => run.stored?.longestBlockMs),
  );
  add('restore-block', most(restoreBlock));
  add('frames', most(framesOf));
  add('metadata', most(metadataOf));
  return bars;
}

/** Bars of kept bytes, throughput and restores. */
export function plotsOf(result: SeriesResult): Plot[] {
  const names = [...result.runs.keys()];
  const plot = (title: string, unit: string, valueOf: (name: string) => number): Plot => {
    const values = names.map((name) => ({ label: name, value: valueOf(name) }));
    return { kind: 'bars', title: `${result.series.label}: ${title}`, unit, values };
  };
  return [
    plot('kept', '% of the dumps', (name) => keptPercent(result, name)),
    plot('storing', 'MB/s', (name) => median(throughputs(result, name))),
    plot('restoring the newest', 'ms', (name) => median(restoresOf(result, name, 'newest'))),
  ];
}

function throughputs(result: SeriesResult, name: string, net = false): number[] {
  const { series, runs, facts } = result;
  const startMs = facts.get(name)?.startMs;
  if (net && startMs === undefined) return [];
  const less = net ? (startMs ?? 0) * series.dumps.length : 0;
  const bytes = series.logicalBytes / MEGA;
  return (runs.get(name) ?? []).map((run) => (bytes / (run.storeMs - less)) * 1000);
}

function keptPercent({ runs, series }: SeriesResult, name: string): number {
  const kept = (runs.get(name) ?? []).map((run) => run.keptBytes);
  return (median(kept) / series.logicalBytes) * 100;
}

function restoresOf({ runs }: SeriesResult, name: string, age: Age): number[] {
  return (runs.get(name) ?? []).map((run) => run.restoreMs[age]);
}

/** Run by run, to the mean of the copies right before and right after. */
function restoreRatios(result: SeriesResult, name: string, age: Age): number[] {
  const copies = (result.runs.get(name) ?? []).flatMap(({ beside }) => {
    const copy = beside[age];
    return copy === undefined ? [] : [mean([copy.beforeMs, copy.afterMs])];
  });
  return ratios(restoresOf(result, name, age), copies);
}

/** Dumps of a process before its code runs at full speed. */
const COLD_DUMPS = 3;

/** Run by run: a dump of ours, once the process has captured some, to the mean one of tar. */
function runningRatios({ runs }: SeriesResult): number[] {
  const peers = runs.get(tarZstd.name) ?? [];
  const ours = (runs.get(inProcess.name) ?? []).map(({ stored }) => {
    const operations = stored?.operations ?? [];
    return { dumps: operations.length, later: operations.slice(COLD_DUMPS) };
  });
  return ours.slice(0, peers.length).flatMap(({ dumps, later }, run) => {
    const peer = (peers[run] as RunResult).storeMs / dumps;
    const own = mean(later.map(({ milliseconds }) => milliseconds));
    return later.length === 0 ? [] : [peer / own];
  });
}

/** Restores of a process that has restored before, to the copies that a first one stood between. */
function againRatios({ runs }: SeriesResult, age: Age): number[] {
  return (runs.get(inProcess.name) ?? []).flatMap(({ againMs, beside }) => {
    const [again, copy] = [againMs[age], beside[age]];
    if (again === undefined || copy === undefined) return [];
    return [again / mean([copy.beforeMs, copy.afterMs])];
  });
}

function reportsOf({ restored }: RunResult) {
  return AGES.map((age) => restored[age]).filter((report) => report !== undefined);
}

function restorePeak(run: RunResult): number | undefined {
  const reports = reportsOf(run);
  return reports.length === 0 ? undefined : Math.max(...reports.map((each) => each.peakBytes));
}

function restoreBlock(run: RunResult): number | undefined {
  const reports = reportsOf(run);
  return reports.length === 0 ? undefined : Math.max(...reports.map((each) => each.longestBlockMs));
}

function framesOf(run: RunResult): number | undefined {
  const all = reportsOf(run).map((report) => frameRatio(report.operations[0]?.result));
  const known = all.filter((ratio) => ratio !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function metadataOf(run: RunResult): number | undefined {
  return metadataPercent(run.stored?.statistics, run.keptBytes);
}

function cacheBytesPerPage(run: RunResult): number | undefined {
  const pages = run.stored?.operations.at(-1)?.sizes?.logical.pages;
  return pages === undefined ? undefined : run.cacheBytes / pages;
}

function megabytesOf(bytes: number | undefined): string {
  return bytes === undefined ? 'n/a' : (bytes / MEGA).toFixed(0);
}
