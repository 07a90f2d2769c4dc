/** Does memory grow with the image? Captures and restores of 0.1, 1 and 16 GB. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from '../measure/child.ts';
import { captureDump } from '../measure/timeline.ts';
import { freeBytes } from '../process/work-directory.ts';
import { skipLoudly } from '../process/programs.ts';
import type { BarValue } from '../report/bars.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from '../suites/suite.ts';
import { writeUniquePages } from './made-pages.ts';

const GIGABYTES = [0.1, 1, 16] as const;
const GIGA = 1e9;
const MEGA = 1e6;
const PAGE_BYTES = 4096;
/** Dump, store, and restored copy; the dump is removed before the restore. */
const ROOM = 1.5;

interface Size {
  readonly gigabytes: number;
  readonly captureMs: number;
  readonly restoreMs: number;
  readonly capturePeakBytes: number;
  readonly restorePeakBytes: number;
}

/** Captures and restores one dump of each size. */
export async function measureImageSizes(task: SuiteTask): Promise<SuiteResult> {
  const { work, quick, say } = task;
  const sizes: Size[] = [];
  for (const nominal of GIGABYTES.slice(0, task.sizes)) {
    const gigabytes = quick ? nominal / 10 : nominal;
    if (freeBytes(work) < gigabytes * GIGA * ROOM) {
      skipLoudly(`an image of ${gigabytes} GB: not enough room at ${work}`);
      continue;
    }
    say(`an image of ${gigabytes} GB`);
    sizes.push(await measureSize(work, gigabytes));
  }
  return resultOf(sizes);
}

async function measureSize(work: string, gigabytes: number): Promise<Size> {
  const [store, images, target] = ['store', 'dump', 'restored'].map((name) => join(work, name)) as [
    string,
    string,
    string,
  ];
  writeUniquePages(images, Math.round((gigabytes * GIGA) / PAGE_BYTES), 3);
  const captured = await captureDump(store, 'size', images);
  rmSync(images, { recursive: true, force: true });
  const restored = await runChild({ store, restores: [{ snapshot: 'size', target }] });
  for (const path of [target, store]) rmSync(path, { recursive: true, force: true });
  return {
    gigabytes,
    captureMs: captured.report.milliseconds,
    restoreMs: restored.milliseconds,
    capturePeakBytes: captured.report.peakBytes,
    restorePeakBytes: restored.peakBytes,
  };
}

function resultOf(sizes: readonly Size[]): SuiteResult {
  const rate = (gigabytes: number, ms: number): string => ((gigabytes * 1e6) / ms).toFixed(0);
  const rows = sizes.map((size) => ({
    'image, GB': size.gigabytes,
    'capture, MB/s': rate(size.gigabytes, size.captureMs),
    'restore, MB/s': rate(size.gigabytes, size.restoreMs),
    'capture, peak MB': (size.capturePeakBytes / MEGA).toFixed(0),
    'restore, peak MB': (size.restorePeakBytes / MEGA).toFixed(0),
  }));
  const bars = sizes.flatMap((size): BarValue[] => {
    const of = `${size.gigabytes} GB`;
    return [
      { bar: 'capture-peak', of, value: size.capturePeakBytes / MEGA },
      { bar: 'restore-peak', of, value: size.restorePeakBytes / MEGA },
    ];
  });
  const line = (label: string, pick: (size: Size) => number) => {
    return { label, points: sizes.map((size) => [size.gigabytes, pick(size) / MEGA] as const) };
  };
  return {
    tables: [{ title: 'Size of the image, all pages new and different', rows }],
    bars,
    plots: [
      {
        kind: 'lines',
        title: 'peak memory by image',
        unit: 'MB',
        xTitle: 'GB',
        lines: [
          line('capture', (size) => size.capturePeakBytes),
          line('restore', (size) => size.restorePeakBytes),
        ],
      },
    ],
    raw: sizes,
  };
}
