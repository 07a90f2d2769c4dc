/**
 * Capture and restore by size of the image: the 56, 118 and 256 MB of the micro-services, and 1 MB
 * to 1 GB with memory that stays or changes between two captures.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { median, withSpread } from '../measure/statistics.ts';
import { captureDump, restoreAndCopy } from '../measure/timeline.ts';
import type { SuiteResult } from '../report/result.ts';
import { writeChangedPages } from '../scale/made-pages.ts';
import type { SuiteTask } from '../suites/suite.ts';

const SERVICE_MEGABYTES = [56, 118, 256] as const;
const MEGABYTES = [1, 4, 16, 64, 256, 1024] as const;
const QUICK_SHARE = 0.1;
const PAGE_BYTES = 4096;
const MEGA = 1e6;
/** Every second page changes. */
const STRETCH = 2;

interface Size {
  readonly megabytes: number;
  readonly firstMs: number[];
  readonly againMs: number[];
  readonly restoreMs: number[];
  readonly copyMs: number[];
  readonly firstBytes: number;
  readonly againBytes: number;
}

/** The micro-services' table. */
export async function measureServices(task: SuiteTask): Promise<SuiteResult> {
  const sizes: Size[] = [];
  for (const megabytes of SERVICE_MEGABYTES) {
    sizes.push(await measureSize(task, megabytes, true));
  }
  const rows = sizes.map((size) => ({
    'image, MB': size.megabytes,
    'capture, ms': withSpread(size.firstMs),
    'restore, ms': withSpread(size.restoreMs),
    'cp -a, ms': withSpread(size.copyMs),
    'stored, MB': (size.firstBytes / MEGA).toFixed(1),
  }));
  const title = 'Images of three micro-services';
  return { tables: [{ title, rows }], bars: [], plots: [], raw: sizes };
}

/** Untouched against changed memory. */
export async function measureChanges(task: SuiteTask): Promise<SuiteResult> {
  const untouched: Size[] = [];
  const changed: Size[] = [];
  for (const megabytes of MEGABYTES) {
    untouched.push(await measureSize(task, megabytes, false));
    changed.push(await measureSize(task, megabytes, true));
  }
  const rows = untouched.map((size, i) => ({
    'memory, MB': size.megabytes,
    'first capture, ms': withSpread(size.firstMs),
    'again, untouched, ms': withSpread(size.againMs),
    'stored, MB': (size.againBytes / MEGA).toFixed(3),
    'again, half changed, ms': withSpread(changed[i]?.againMs ?? []),
    'stored then, MB': ((changed[i]?.againBytes ?? NaN) / MEGA).toFixed(3),
  }));
  const line = (label: string, sizes: readonly Size[]) => {
    const points = sizes.map((size) => [size.megabytes, median(size.againMs)] as const);
    return { label, points };
  };
  return {
    tables: [{ title: 'The second capture, by what happened to memory', rows }],
    bars: [],
    plots: [
      {
        kind: 'lines',
        title: 'the second capture',
        unit: 'ms',
        xTitle: 'memory, MB',
        lines: [line('untouched', untouched), line('half changed', changed)],
      },
    ],
    raw: { untouched, changed },
  };
}

/** Two captures into a new store and a restore of the first, in every run. */
async function measureSize(
  { work, runs, quick, say }: SuiteTask,
  nominal: number,
  changes: boolean,
): Promise<Size> {
  const megabytes = Number((quick ? nominal * QUICK_SHARE : nominal).toFixed(1));
  say(`${megabytes} MB, ${changes ? 'changed' : 'untouched'}`);
  const pages = Math.max(1, Math.round((megabytes * 1024 * 1024) / PAGE_BYTES));
  const [store, images] = [join(work, 'store'), join(work, 'dump')];
  const write = (run: number, dump: number): void => {
    rmSync(images, { recursive: true, force: true });
    writeChangedPages(images, pages, { seed: run, dump, stretch: STRETCH });
  };
  let [firstBytes, againBytes] = [0, 0];
  const times = { firstMs: [], againMs: [], restoreMs: [], copyMs: [] } as Record<
    'firstMs' | 'againMs' | 'restoreMs' | 'copyMs',
    number[]
  >;
  for (let run = 0; run < runs; run++) {
    write(run, 0);
    const first = await captureDump(store, 'size', images);
    if (changes) write(run, 1);
    const again = await captureDump(store, 'size', images, first.keptBytes);
    const restored = await restoreAndCopy(store, 'size@1', work);
    times.firstMs.push(first.captureMs);
    times.againMs.push(again.captureMs);
    times.restoreMs.push(...restored.map((each) => each.restoreMs));
    times.copyMs.push(...restored.map((each) => each.copyMs));
    [firstBytes, againBytes] = [first.keptBytes, again.keptBytes];
    for (const path of [store, images]) rmSync(path, { recursive: true, force: true });
  }
  return { megabytes, ...times, firstBytes, againBytes };
}
