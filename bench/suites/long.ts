/** A long timeline: a hundred dumps of redis. Does the store get worse with time? */
import { join } from 'node:path';
import { redisSource } from '../live/sources.ts';
import { readStoredPages, type StoredPages } from '../measure/delta-pages.ts';
import { mean, median, withSpread } from '../measure/statistics.ts';
import {
  captureSource,
  restoreAndCopy,
  type CaptureResult,
  type RestoreResult,
} from '../measure/timeline.ts';
import type { Plot, SuiteResult } from '../report/result.ts';
import type { SuiteTask } from './suite.ts';

const DUMPS = 100;
const QUICK_DUMPS = 24;
const QUICK_SHARE = 0.1;
/** The dumps that later ones are held against; the first one holds all that is there. */
const EARLY_END = 12;
const MEGA = 1e6;

/** Captures all of them, then restores each. */
export async function long({ work, runs, quick, say }: SuiteTask): Promise<SuiteResult> {
  const store = join(work, 'store');
  const source = await redisSource(work, quick ? QUICK_SHARE : 1);
  const count = quick ? QUICK_DUMPS : DUMPS;
  let captures: CaptureResult[];
  try {
    captures = await captureSource(source, count, { store, work }, ({ keptBytes }, number) => {
      say(`dump ${number} of ${count}: ${(keptBytes / MEGA).toFixed(2)} MB`);
    });
  } finally {
    await source.close();
  }
  const restores: RestoreResult[][] = [];
  for (let number = 1; number <= count; number++) {
    say(`restoring ${number} of ${count}`);
    restores.push(await restoreAndCopy(store, `bench@${number}`, work, runs));
  }
  return resultOf(source.label, { captures, restores, pages: await readStoredPages(store) });
}

interface LongTimeline {
  readonly captures: readonly CaptureResult[];
  readonly restores: readonly RestoreResult[][];
  readonly pages: StoredPages;
}

function resultOf(label: string, { captures, restores, pages }: LongTimeline): SuiteResult {
  const early = mean(captures.slice(1, EARLY_END).map((each) => each.keptBytes));
  const late = mean(captures.slice(captures.length / 2).map((each) => each.keptBytes));
  const ratios = restores.map((tries) => median(tries.map((t) => t.restoreMs / t.copyMs)));
  const slowest = Math.max(...ratios);
  const logical = captures.reduce((sum, each) => sum + each.logicalBytes, 0);
  const kept = captures.reduce((sum, each) => sum + each.keptBytes, 0);
  const row = {
    series: label,
    dumps: captures.length,
    'dumps, MB': (logical / MEGA).toFixed(0),
    'kept, MB': (kept / MEGA).toFixed(1),
    'kept %': ((kept / logical) * 100).toFixed(2),
    [`2-${EARLY_END}, MB each`]: (early / MEGA).toFixed(3),
    [`${captures.length / 2 + 1}-${captures.length}, MB each`]: (late / MEGA).toFixed(3),
    'slowest restore': `@${ratios.indexOf(slowest) + 1}, ${slowest.toFixed(2)} x cp -a`,
    'capture ms, first and last': [captures[1], captures.at(-1)]
      .map((each) => each?.captureMs.toFixed(0) ?? '')
      .join(' / '),
    'delta pages, %': sharesOf(pages),
    'depth, deepest and mean': `${pages.deepest} / ${pages.meanDepth.toFixed(1)}`,
    'cp -a after / before': withSpread(driftsOf(restores), 2),
  };
  return {
    tables: [{ title: `A long timeline: ${label}`, rows: [row] }],
    bars: [
      { bar: 'long-kept', of: label, value: late / early },
      { bar: 'long-restore', of: label, value: slowest },
      { bar: 'long-depth', of: label, value: pages.deepest },
    ],
    plots: plotsOf(label, captures, ratios),
    raw: { label, captures, restores, pages },
  };
}

function sharesOf({ fullPages, deltaPages }: StoredPages): string {
  return ((deltaPages / Math.max(1, fullPages + deltaPages)) * 100).toFixed(1);
}

/** Whether restores met one state of the machine: 1 if the copies around them took the same. */
function driftsOf(restores: readonly RestoreResult[][]): number[] {
  return restores.flatMap((tries) => tries.map((each) => each.afterMs / each.beforeMs));
}

function plotsOf(
  label: string,
  captures: readonly CaptureResult[],
  ratios: readonly number[],
): Plot[] {
  const line = (title: string, unit: string, values: readonly number[], first = 1): Plot => {
    const points = values.map((value, i) => [i + first, value] as const);
    return { kind: 'lines', title, unit, xTitle: 'dump', lines: [{ label, points }] };
  };
  const kept = captures.slice(1).map((each) => each.keptBytes / MEGA);
  const times = captures.map((each) => each.captureMs);
  return [
    line('kept of each dump, without the first', 'MB', kept, 2),
    line('capture', 'ms', times),
    line('restore', 'x cp -a', ratios),
  ];
}
