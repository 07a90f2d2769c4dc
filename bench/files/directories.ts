/** Compares all subjects on an upper directory that changes from step to step. */
import { join } from 'node:path';
import { writeImageDirectory } from '../generate/image-directory.ts';
import { fillPages } from '../generate/page-content.ts';
import { warmUp } from '../measure/directories.ts';
import { runShell } from '../process/shell.ts';
import { canReadPeaks } from '../process/trace.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from '../suites/suite.ts';
import { measureSteps, type Step, type StepsRun, type StepsTask } from './measure.ts';
import { directorySubjects } from './subjects.ts';
import { presentSteps } from './tables.ts';

/** As little as there can be: what is measured are files. */
const PAGES = 1;

/** All runs of all steps. */
export async function compareDirectories(
  { work, runs, say }: SuiteTask,
  title: string,
  steps: readonly Step[],
): Promise<SuiteResult> {
  const images = join(work, `images-${title.replaceAll(/\W+/g, '-')}`);
  writeImageDirectory(images, PAGES, (target, page) => fillPages(target, page, 1));
  const subjects = await directorySubjects(images);
  const peaks = await canReadPeaks();
  for (const path of new Set(steps.map(({ dump }) => dump.path))) warmUp(path);
  const measured = await runSteps({ subjects, steps, work, peaks, say, check: checkSame }, runs);
  const { tables, plots } = presentSteps({ title, steps, runs: measured });
  return { tables, plots, bars: [], raw: { title, runs: Object.fromEntries(measured) } };
}

/** So many runs: results by the subject's name. */
export async function runSteps(task: StepsTask, runs: number): Promise<Map<string, StepsRun[]>> {
  const all = new Map<string, StepsRun[]>(task.subjects.map(({ name }) => [name, []]));
  for (let run = 0; run < runs; run++) {
    for (const [name, result] of await measureSteps(task, run)) all.get(name)?.push(result);
  }
  return all;
}

const checkSame: StepsTask['check'] = async ({ name }, { original }, target) => {
  const line = 'diff -rq --no-dereference "$ORIGINAL" "$TARGET"';
  const variables = { ORIGINAL: original, TARGET: target };
  await runShell({ line, cwd: '/', variables }).catch((error: unknown) => {
    throw new Error(`${name} restored something else`, { cause: error });
  });
};
