/** A hundred snapshots of a process, full and as stored: the table of timeline-based restore. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DumpSource } from '../generate/series.ts';
import { redisSource, stressSource } from '../live/sources.ts';
import { captureSource, type CaptureResult } from '../measure/timeline.ts';
import { mean } from '../measure/statistics.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from '../suites/suite.ts';

const SNAPSHOTS = 100;
/** What stress takes when it is not told otherwise. */
const STRESS_BYTES = 256 * 1024 * 1024;
const QUICK_SHARE = 0.1;
const MEGA = 1e6;

interface Process {
  readonly label: string;
  readonly captures: readonly CaptureResult[];
}

/** Both processes. */
export async function measureHundredSnapshots(task: SuiteTask): Promise<SuiteResult> {
  const { work, quick } = task;
  const share = quick ? QUICK_SHARE : 1;
  const processes: Process[] = [];
  for (const open of [
    () => stressSource(join(work, 'live'), Math.round(STRESS_BYTES * share)),
    () => redisSource(join(work, 'live'), share),
  ]) {
    processes.push(await measureProcess(task, await open(), SNAPSHOTS * share));
  }
  return resultOf(processes);
}

async function measureProcess(
  { work, say }: SuiteTask,
  source: DumpSource,
  count: number,
): Promise<Process> {
  const store = join(work, 'store');
  try {
    const captures = await captureSource(source, count, { store, work }, (_, number) => {
      if (number % 10 === 0) say(`${source.label}: ${number} of ${count}`);
    });
    return { label: source.label, captures };
  } finally {
    await source.close();
    rmSync(store, { recursive: true, force: true });
  }
}

function resultOf(processes: readonly Process[]): SuiteResult {
  const sum = (values: readonly number[]): number => values.reduce((all, each) => all + each, 0);
  const rows = processes.map(({ label, captures }) => {
    const full = sum(captures.map((each) => each.logicalBytes));
    const stored = sum(captures.map((each) => each.keptBytes));
    return {
      process: label,
      snapshots: captures.length,
      'full, MB': (full / MEGA).toFixed(1),
      'stored, MB': (stored / MEGA).toFixed(1),
      'stored, %': ((stored / full) * 100).toFixed(2),
      'capture, ms': mean(captures.map((each) => each.captureMs)).toFixed(0),
    };
  });
  const lines = processes.map(({ label, captures }) => {
    let total = 0;
    const points = captures.map((each, i) => [i + 1, (total += each.keptBytes) / MEGA] as const);
    return { label, points };
  });
  const title = 'Snapshots as full images and as stored';
  return {
    tables: [{ title, rows }],
    bars: [],
    plots: [{ kind: 'lines', title: 'stored', unit: 'MB', xTitle: 'snapshots', lines }],
    raw: processes,
  };
}
