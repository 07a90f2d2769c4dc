/** The container's files, and archives with them: beside tar, zstd, restic, borg and cp. */
import { measureArchives } from '../files/archives.ts';
import { measureGrowingLog } from '../files/growing-log.ts';
import { measureManyFiles } from '../files/many-files.ts';
import { versionsOfSubjects } from '../files/subjects.ts';
import type { SuiteResult } from '../report/result.ts';
import { runParts } from './scale.ts';
import type { SuiteTask } from './suite.ts';

/** All three, one after the other. */
export async function files(task: SuiteTask): Promise<SuiteResult> {
  const result = await runParts(task, {
    many: measureManyFiles,
    log: measureGrowingLog,
    archives: measureArchives,
  });
  return { ...result, versions: await versionsOfSubjects() };
}
