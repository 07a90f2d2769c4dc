/** The tables of the publications that this library builds on, measured again with it. */
import type { SuiteResult } from '../report/result.ts';
import { measureChanges, measureServices } from '../seeds/sizes.ts';
import { measureHundredSnapshots } from '../seeds/snapshots.ts';
import { measureVersionGroups } from '../seeds/version-groups.ts';
import { runParts } from './scale.ts';
import type { SuiteTask } from './suite.ts';

/** All of them, one after the other. */
export async function seeds(task: SuiteTask): Promise<SuiteResult> {
  return await runParts(task, {
    services: measureServices,
    changes: measureChanges,
    groups: measureVersionGroups,
    hundred: measureHundredSnapshots,
  });
}
