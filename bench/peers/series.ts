/** The series that the subjects store: given ones, or made-up ones of the measured workloads. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { generatedSource, writeSeries } from '../generate/series.ts';
import { resized, WORKLOADS } from '../generate/workloads.ts';
import { directoryBytes } from '../measure/directories.ts';
import type { Dump } from '../subjects/subject.ts';
import type { SuiteTask } from '../suites/suite.ts';

/** A series of dumps. */
export interface Series {
  readonly label: string;
  /** `redis`, `python` or `node`, where there are bars for it. */
  readonly workload: string;
  readonly dumps: readonly Dump[];
  readonly logicalBytes: number;
  /** Whether it is as long and as large as the bars are stated for. */
  readonly isWhole: boolean;
}

const QUICK_DUMPS = 4;
const QUICK_SHARE = 0.1;

/** The series to measure, one after the other; made-up ones are written when they are needed. */
export async function* openSeries(task: SuiteTask): AsyncGenerator<Series> {
  const { series, quick, work } = task;
  for (const path of series) {
    const name = basename(path);
    yield readSeries(path, { label: name, workload: name, quick });
  }
  if (series.length > 0) return;
  for (const workload of WORKLOADS) {
    const source = generatedSource(
      quick ? resized(workload, workload.pages * QUICK_SHARE) : workload,
    );
    const path = join(work, 'series', workload.name);
    task.say(`writing ${source.label}`);
    await writeSeries(source, path, quick ? QUICK_DUMPS : workload.dumps);
    yield readSeries(path, { label: source.label, workload: workload.name, quick });
  }
}

function readSeries(
  path: string,
  { label, workload, quick }: { label: string; workload: string; quick: boolean },
): Series {
  const names = readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
  if (names.length === 0) throw new RangeError(`${path} holds no image directories`);
  const used = quick ? names.slice(0, QUICK_DUMPS) : names;
  const dumps = used.map((name) => ({ name, path: join(path, name) }));
  const bytes = dumps.map((dump) => directoryBytes(dump.path));
  const logicalBytes = bytes.reduce((sum, each) => sum + each, 0);
  const expected = WORKLOADS.find(({ name }) => name === workload)?.dumps;
  return { label, workload, dumps, logicalBytes, isWhole: used.length === expected };
}
