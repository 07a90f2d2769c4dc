/**
 * The captures after the first one of many files, of which few have changed: in one process that
 * stays open, as tickers have it, and in a new process for each.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { changesOfSmallFiles, type SmallFiles } from '../generate/files.ts';
import { writeImageDirectory } from '../generate/image-directory.ts';
import { fillPages } from '../generate/page-content.ts';
import { type ChildOperation, type ChildTask, runChild } from '../measure/child.ts';
import { median, withSpread } from '../measure/statistics.ts';
import { level } from '../process/level.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from '../suites/suite.ts';

const TIMELINE = 'bench';
const PAGES = 10;
const CAPTURES = 3;
/** Files changed less than 2 s before a capture are read by the next one, whatever they are. */
const SETTLED_MS = 2500;

/** Files in a directory. */
export interface ManyFiles {
  readonly title: string;
  readonly path: string;
  readonly files: SmallFiles;
  /** How many of them are others in each capture. */
  readonly changed: number;
}

/** Of one process or several, each run's captures. */
interface Series {
  readonly how: string;
  readonly runs: ChildOperation[][];
}

/** So many runs of each, in turns. */
export async function measureSecondCaptures(
  { work, runs, say }: SuiteTask,
  many: ManyFiles,
): Promise<SuiteResult> {
  const images = join(work, 'images-second');
  writeImageDirectory(images, PAGES, (target, page) => fillPages(target, page, 1));
  const one: Series = { how: 'one process', runs: [] };
  const several: Series = { how: 'a new process for each', runs: [] };
  let version = 1000;
  for (let run = 0; run < runs; run++) {
    for (const series of run % 2 === 0 ? [one, several] : [several, one]) {
      say(`run ${run + 1}, ${many.title}: ${CAPTURES} captures, ${series.how}`);
      const captures = Array.from({ length: CAPTURES }, (_, i) => {
        version += 1;
        const change = { count: i === 0 ? 0 : many.changed, version };
        const changes = changesOfSmallFiles(many.path, many.files, change);
        return { timeline: TIMELINE, images, files: many.path, changes };
      });
      series.runs.push(await capture(work, captures, series === one));
    }
  }
  rmSync(images, { recursive: true });
  return resultOf(many, [one, several]);
}

async function capture(
  work: string,
  captures: NonNullable<ChildTask['captures']>,
  isOneProcess: boolean,
): Promise<ChildOperation[]> {
  const store = join(work, 'second');
  const tasks = isOneProcess ? [captures] : captures.map((each) => [each]);
  const operations: ChildOperation[] = [];
  await sleep(SETTLED_MS);
  await level(work);
  for (const each of tasks) {
    const report = await runChild({ store, options: { create: true }, captures: each });
    operations.push(...report.operations);
  }
  rmSync(store, { recursive: true });
  return operations;
}

function resultOf({ title, changed }: ManyFiles, all: readonly Series[]): SuiteResult {
  const times = (runs: Series['runs'], index: number): number[] =>
    runs.map((operations) => operations[index]!.milliseconds);
  const shareOf = (runs: Series['runs'], index: number): number[] =>
    runs.map((operations) => operations[index]!.milliseconds / operations[0]!.milliseconds);
  const rows = all.map(({ how, runs }) => ({
    captures: how,
    'first, ms': withSpread(times(runs, 0)),
    [`second, ${changed} changed, ms`]: withSpread(times(runs, 1)),
    'third, ms': withSpread(times(runs, 2)),
    'second / first': withSpread(shareOf(runs, 1), 3),
    'third / first': withSpread(shareOf(runs, 2), 3),
  }));
  const [one, several] = all as [Series, Series];
  const added = [...one.runs, ...several.runs].map(
    (operations) => (operations[1]?.sizes?.stored.bytes ?? NaN) / 1000,
  );
  return {
    tables: [{ title: `${title}: capture again`, rows }],
    bars: [
      { bar: 'files-second', of: title, value: median(shareOf(one.runs, 1)) },
      { bar: 'files-second-process', of: title, value: median(shareOf(several.runs, 1)) },
      { bar: 'files-added', of: title, value: median(added) },
    ],
    plots: [],
    raw: all,
  };
}
