/** Many small files, of which few change or none: does a capture scale with what is there? */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { changeSmallFiles, writeSmallFiles, type SmallFiles } from '../generate/files.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from '../suites/suite.ts';
import { compareDirectories } from './directories.ts';
import type { Step } from './measure.ts';
import { measureSecondCaptures } from './second-capture.ts';

const FILES = 100_000;
const QUICK_FILES = 10_000;
const CHANGED_FILES = 10;
const DIRECTORIES = 300;

/** In many directories, and in one. */
export async function measureManyFiles(task: SuiteTask): Promise<SuiteResult> {
  const count = task.quick ? QUICK_FILES : FILES;
  const results: SuiteResult[] = [];
  for (const directories of [DIRECTORIES, 1]) {
    results.push(await measureLayout(task, { count, directories }));
  }
  return {
    tables: results.flatMap(({ tables }) => tables),
    bars: results.flatMap(({ bars }) => bars),
    plots: results.flatMap(({ plots }) => plots),
    raw: results.map(({ raw }) => raw),
  };
}

async function measureLayout(task: SuiteTask, files: SmallFiles): Promise<SuiteResult> {
  const where = files.directories === 1 ? 'one directory' : `${files.directories} directories`;
  const title = `${files.count} files in ${where}`;
  const path = join(task.work, 'upper');
  task.say(`writing ${title}`);
  writeSmallFiles(path, files);
  const step = (name: string, more: Partial<Step> = {}): Step => {
    return { name, original: path, dump: { name: name.replaceAll(' ', '-'), path }, ...more };
  };
  const change = (run: number): void => {
    changeSmallFiles(path, files, { count: CHANGED_FILES, version: run + 1 });
  };
  const result = await compareDirectories(task, title, [
    step('first'),
    step(`${CHANGED_FILES} changed`, { prepare: change }),
    step('unchanged'),
    step('caches lost', { withoutCaches: true, isRestored: true }),
  ]);
  const second = await measureSecondCaptures(task, { title, path, files, changed: CHANGED_FILES });
  rmSync(path, { recursive: true });
  return {
    tables: [...result.tables, ...second.tables],
    bars: second.bars,
    plots: result.plots,
    raw: { steps: result.raw, second: second.raw },
  };
}
