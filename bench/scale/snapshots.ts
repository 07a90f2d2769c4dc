/** Does anything get slower with the number of snapshots of a timeline? At 10, 100 and 1000. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from '../measure/child.ts';
import { median, withSpread } from '../measure/statistics.ts';
import { captureDump, restoreAndCopy, type RestoreResult } from '../measure/timeline.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from '../suites/suite.ts';
import { growTimeline } from './growth.ts';
import { writeChangedPages } from './made-pages.ts';

const TIMELINE = 'long';
const COUNTS = [10, 100, 1000] as const;
const PAGES = 2000;
const STRETCH = 100;
const MEGA = 1e6;

interface Probe {
  readonly captureMs: number;
  readonly openMs: number;
  readonly restoreMs: number;
  readonly copyMs: number;
  readonly peakBytes: number;
}

/** A store with so many snapshots. */
interface Stage {
  readonly snapshots: number;
  readonly store: string;
  readonly probes: Probe[];
}

/**
 * Lets a timeline grow and keeps a copy of the store at each of the counts; then measures fresh
 * processes on the copies in turns, so that a machine that is busy for a while is so for all.
 */
export async function measureSnapshots(task: SuiteTask): Promise<SuiteResult> {
  const { work, runs, quick, sizes, say } = task;
  const store = join(work, 'store');
  let dumps = 0;
  const write = (path: string): void => {
    dumps += 1;
    writeChangedPages(path, PAGES, { seed: 77, dump: dumps, stretch: STRETCH });
  };
  const stages: Stage[] = [];
  for (const snapshots of COUNTS.slice(0, quick ? 2 : sizes)) {
    say(`a timeline of ${snapshots} snapshots`);
    await growTimeline({ store, work, timeline: TIMELINE, count: snapshots - dumps, write });
    const copy = join(work, `store-${snapshots}`);
    cpSync(store, copy, { recursive: true });
    stages.push({ snapshots, store: copy, probes: [] });
  }
  for (let run = 0; run < runs; run++) {
    for (const stage of stages) {
      say(`probing ${stage.snapshots} snapshots, run ${run + 1} of ${runs}`);
      stage.probes.push(await probe(stage.store, work, write));
    }
  }
  for (const path of [store, ...stages.map((stage) => stage.store)]) {
    rmSync(path, { recursive: true, force: true });
  }
  return resultOf(stages);
}

async function probe(store: string, work: string, write: (path: string) => void): Promise<Probe> {
  const images = join(work, 'dump');
  write(images);
  const { captureMs, report } = await captureDump(store, TIMELINE, images);
  rmSync(images, { recursive: true });
  const [restored] = (await restoreAndCopy(store, TIMELINE, work)) as [RestoreResult];
  const { openMs } = await runChild({ store });
  const { restoreMs, copyMs } = restored;
  const peakBytes = Math.max(report.peakBytes, restored.report.peakBytes);
  return { captureMs, openMs, restoreMs, copyMs, peakBytes };
}

function resultOf(stages: readonly Stage[]): SuiteResult {
  const pick = (stage: Stage, of: (probe: Probe) => number): number[] => stage.probes.map(of);
  const rows = stages.map((stage) => ({
    snapshots: stage.snapshots,
    'capture, ms': withSpread(pick(stage, (each) => each.captureMs)),
    'open, ms': withSpread(pick(stage, (each) => each.openMs)),
    'restore of the newest, ms': withSpread(pick(stage, (each) => each.restoreMs)),
    'cp -a, ms': withSpread(pick(stage, (each) => each.copyMs)),
    'peak, MB': withSpread(pick(stage, (each) => each.peakBytes / MEGA)),
  }));
  const line = (label: string, of: (probe: Probe) => number) => {
    const points = stages.map((stage) => [stage.snapshots, median(pick(stage, of))] as const);
    return { label, points };
  };
  return {
    tables: [{ title: 'Snapshots of one timeline, of 8 MB, 1 % changed', rows }],
    bars: [],
    plots: [
      {
        kind: 'lines',
        title: 'by snapshots in the timeline',
        unit: 'ms',
        xTitle: 'snapshots',
        lines: [
          line('capture', (each) => each.captureMs),
          line('open', (each) => each.openMs),
          line('restore', (each) => each.restoreMs),
        ],
      },
    ],
    raw: stages,
  };
}
