/** What grows with what: stored pages, snapshots of a timeline, the size of an image. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { SuiteResult } from '../report/result.ts';
import { measureImageSizes } from '../scale/image-sizes.ts';
import { measureSnapshots } from '../scale/snapshots.ts';
import { measureStoredPages } from '../scale/stored-pages.ts';
import type { Suite, SuiteTask } from './suite.ts';

/** All three, one after the other. */
export async function scale(task: SuiteTask): Promise<SuiteResult> {
  return await runParts(task, {
    images: measureImageSizes,
    snapshots: measureSnapshots,
    pages: measureStoredPages,
  });
}

/** Runs the parts of a suite, each in a directory of its own, and joins what they found. */
export async function runParts(
  task: SuiteTask,
  parts: Readonly<Record<string, Suite>>,
): Promise<SuiteResult> {
  const results = new Map<string, SuiteResult>();
  for (const [name, part] of Object.entries(parts)) {
    const work = join(task.work, name);
    mkdirSync(work);
    results.set(name, await part({ ...task, work }));
    rmSync(work, { recursive: true, force: true });
  }
  const all = [...results.values()];
  return {
    tables: all.flatMap((each) => each.tables),
    bars: all.flatMap((each) => each.bars),
    plots: all.flatMap((each) => each.plots),
    raw: Object.fromEntries([...results].map(([name, each]) => [name, each.raw])),
  };
}
