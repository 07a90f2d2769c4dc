/**
 * Captures dump after dump into one store, each by a process of its own, and restores snapshots
 * beside `cp -a`. What the suites on long series, sizes and numbers are made of.
 */
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { DumpSource } from '../generate/series.ts';
import { level } from '../process/level.ts';
import { runShell } from '../process/shell.ts';
import { runChild, type ChildReport } from './child.ts';
import { directoryBytes } from './directories.ts';
import { mean } from './statistics.ts';

const CACHE = 'cache';

/** One capture by a fresh process. */
export interface CaptureResult {
  readonly logicalBytes: number;
  /** By how much the whole store grew, without cache/. */
  readonly keptBytes: number;
  readonly captureMs: number;
  readonly report: ChildReport;
}

/** Bytes of a store without its caches. */
export function storeBytes(store: string): number {
  return directoryBytes(store, [CACHE]);
}

/** Captures one image directory. */
export async function captureDump(
  store: string,
  timeline: string,
  images: string,
  keptBefore = 0,
): Promise<CaptureResult> {
  const logicalBytes = directoryBytes(images);
  await level(dirname(images));
  const report = await runChild({
    store,
    options: { create: true },
    captures: [{ timeline, images }],
    statistics: true,
  });
  const keptBytes = storeBytes(store) - keptBefore;
  return { logicalBytes, keptBytes, captureMs: report.operations[0]?.milliseconds ?? 0, report };
}

/** Takes and captures `count` dumps of a source; a dump is gone when the next is taken. */
export async function captureSource(
  source: DumpSource,
  count: number,
  { store, work, timeline = 'bench' }: { store: string; work: string; timeline?: string },
  onCapture: (result: CaptureResult, number: number) => void = () => undefined,
): Promise<CaptureResult[]> {
  const results: CaptureResult[] = [];
  const images = join(work, 'dump');
  let kept = 0;
  for (let number = 1; number <= count; number++) {
    await source.dump(images);
    const result = await captureDump(store, timeline, images, kept);
    kept += result.keptBytes;
    results.push(result);
    onCapture(result, number);
    rmSync(images, { recursive: true, force: true });
  }
  return results;
}

/** One restore by a fresh process, and what `cp -a` took for the same right before and after. */
export interface RestoreResult {
  readonly restoreMs: number;
  readonly beforeMs: number;
  readonly afterMs: number;
  /** Mean of the two. */
  readonly copyMs: number;
  /** MB/s at which memory could be written at first: see level.ts. */
  readonly memoryRate: number;
  readonly report: ChildReport;
}

/**
 * Restores a snapshot between two copies of it by `cp -a`, which meet the same state of the machine
 * on average, `runs` times; all is removed again.
 */
export async function restoreAndCopy(
  store: string,
  snapshot: string,
  work: string,
  runs = 1,
): Promise<RestoreResult[]> {
  const [source, target] = [join(work, 'to-copy'), join(work, 'restored')];
  await runChild({ store, restores: [{ snapshot, target: source }] });
  const results: RestoreResult[] = [];
  for (let run = 0; run < runs; run++) {
    const beforeMs = await timeCopy(source, target);
    const memoryRate = await level(work);
    const report = await runChild({ store, restores: [{ snapshot, target }] });
    rmSync(target, { recursive: true });
    const afterMs = await timeCopy(source, target);
    const copyMs = mean([beforeMs, afterMs]);
    const restoreMs = report.milliseconds;
    results.push({ restoreMs, beforeMs, afterMs, copyMs, memoryRate, report });
  }
  rmSync(source, { recursive: true });
  return results;
}

async function timeCopy(source: string, target: string): Promise<number> {
  await level(dirname(target));
  const variables = { SOURCE: source, TARGET: target };
  const copy = await runShell({ line: 'cp -a "$SOURCE" "$TARGET"', cwd: '/', variables });
  rmSync(target, { recursive: true });
  return copy.milliseconds;
}
