/** Collections: what they free, what they take, long timelines, and a disk that is full. */
import { measureBeside } from '../collect/beside.ts';
import { measureFreed } from '../collect/freed.ts';
import { measureFullDisk } from '../collect/full-disk.ts';
import { measureMany } from '../collect/many.ts';
import type { SuiteResult } from '../report/result.ts';
import { runParts } from './scale.ts';
import type { SuiteTask } from './suite.ts';

/** All four, one after the other. */
export async function collect(task: SuiteTask): Promise<SuiteResult> {
  return await runParts(task, {
    freed: measureFreed,
    beside: measureBeside,
    many: measureMany,
    'full-disk': measureFullDisk,
  });
}
