/** A large log that grows by little: is only what is new stored, and what does finding it take? */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { appendLog } from '../generate/files.ts';
import { skipLoudly } from '../process/programs.ts';
import { freeBytes } from '../process/work-directory.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from '../suites/suite.ts';
import { compareDirectories } from './directories.ts';
import type { Step } from './measure.ts';

const LOG_BYTES = 1e9;
const QUICK_LOG_BYTES = 1e8;
const GROWTH_BYTES = 1e6;
/** The log, two copies of it, and what is kept of it. */
const ROOM = 4;

/** Stores a log, and again when it has grown. */
export async function measureGrowingLog(task: SuiteTask): Promise<SuiteResult> {
  const { quick, work, say } = task;
  const bytes = quick ? QUICK_LOG_BYTES : LOG_BYTES;
  if (freeBytes(work) < bytes * ROOM) {
    skipLoudly(`a log of ${bytes / 1e6} MB: not enough room at ${work}`);
    return { tables: [], bars: [], plots: [], raw: [] };
  }
  const title = `a log of ${bytes / 1e6} MB`;
  say(`writing ${title}`);
  const path = join(work, 'upper');
  mkdirSync(path);
  const log = join(path, 'server.log');
  let line = appendLog(log, 0, bytes);
  const grow = (): void => {
    line = appendLog(log, line, GROWTH_BYTES);
  };
  const step = (name: string, more: Partial<Step> = {}): Step => {
    return { name, original: path, dump: { name: name.replaceAll(' ', '-'), path }, ...more };
  };
  const result = await compareDirectories(task, title, [
    step('first'),
    step(`${GROWTH_BYTES / 1e6} MB more`, { prepare: grow, isRestored: true }),
  ]);
  rmSync(path, { recursive: true });
  return result;
}
