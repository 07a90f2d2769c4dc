/**
 * Measures subjects on a series. In every run, first each subject stores, then each restores the
 * newest, the middle and the oldest dump; whose turn is first changes from run to run. Before the
 * first restore, between any two and after the last, `cp -a` restores the same dump: a machine that
 * gets slower or faster meanwhile does so for a restore and for the two copies around it.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readReport, type ChildReport } from '../measure/child.ts';
import { readStoredPages, type StoredPages } from '../measure/delta-pages.ts';
import { directoryBytes, directoryBytesIfAny, warmUp } from '../measure/directories.ts';
import type { DropCache } from '../process/page-cache.ts';
import { level } from '../process/level.ts';
import { runShell, type ShellCommand } from '../process/shell.ts';
import { cpA } from '../subjects/archives.ts';
import type { Dump, Place, Subject } from '../subjects/subject.ts';
import type { Series } from './series.ts';

/** Which dumps are restored. */
export const AGES = ['newest', 'middle', 'oldest'] as const;

/** One of them. */
export type Age = (typeof AGES)[number];

/** What one run of a subject took. */
export interface RunResult {
  readonly storeMs: number;
  readonly restoreMs: Record<Age, number>;
  /** In a process that has restored the same before. */
  readonly againMs: Partial<Record<Age, number>>;
  readonly keptBytes: number;
  readonly cacheBytes: number;
  /** Where the subject measures itself. */
  readonly stored?: ChildReport;
  readonly restored: Partial<Record<Age, ChildReport>>;
  /** What each restore stood between. */
  readonly beside: Partial<Record<Age, Beside>>;
  /** Of what is stored in the end, where it is a store of ours. */
  readonly pages?: StoredPages;
}

/** What `cp -a` took for the same dump right before a restore and right after it. */
export interface Beside {
  readonly beforeMs: number;
  readonly afterMs: number;
  /** MB/s at which memory could be written before the restore: see level.ts. */
  readonly memoryRate: number;
}

/** What the subjects work on, and how. */
export interface PeersTask {
  readonly series: Series;
  readonly subjects: readonly Subject[];
  readonly work: string;
  /** Makes files cold before every timed command; warm otherwise. */
  readonly dropCache?: DropCache | undefined;
}

/** One run: results by the subject's name. */
export async function measureRun(task: PeersTask, run: number): Promise<Map<string, RunResult>> {
  const { subjects, work, series } = task;
  const root = join(work, 'run');
  const first = run % subjects.length;
  const order = [...subjects.slice(first), ...subjects.slice(0, first)];
  try {
    const stored = new Map<string, Stored>();
    for (const dump of series.dumps) warmUp(dump.path);
    for (const subject of order) stored.set(subject.name, await store(task, subject, root));
    const restored = new Map<string, Restored>();
    for (const { name } of order) {
      restored.set(name, { restoreMs: zeroes(), againMs: {}, restored: {}, beside: {} });
    }
    for (const age of AGES) {
      let beforeMs = (await restore(task, cpA, root, age)).milliseconds;
      for (const subject of order) {
        const result = restored.get(subject.name) as Restored;
        const { milliseconds, report, memoryRate } = await restore(task, subject, root, age);
        const afterMs = (await restore(task, cpA, root, age)).milliseconds;
        result.restoreMs[age] = milliseconds;
        result.beside[age] = { beforeMs, afterMs, memoryRate };
        if (report !== undefined) result.restored[age] = report;
        const againMs = await restoreAgain(task, subject, root, age);
        if (againMs !== undefined) result.againMs[age] = againMs;
        beforeMs = afterMs;
      }
    }
    const results = subjects.map(({ name }): [string, RunResult] => [
      name,
      { ...(stored.get(name) as Stored), ...(restored.get(name) as Restored) },
    ]);
    return new Map(results);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

type Restored = Pick<RunResult, 'restoreMs' | 'againMs' | 'restored' | 'beside'>;
type Stored = Omit<RunResult, keyof Restored>;

async function store(task: PeersTask, subject: Subject, root: string): Promise<Stored> {
  const place = await newPlace(subject, root);
  await beginLevel(task, root);
  const { milliseconds, report } = await time(subject, subject.store(place, task.series.dumps));
  const { cacheName } = subject;
  return {
    storeMs: milliseconds,
    keptBytes: directoryBytes(place.repository, cacheName === undefined ? [] : [cacheName]),
    cacheBytes:
      cacheName === undefined ? 0 : directoryBytesIfAny(join(place.repository, cacheName)),
    ...(report === undefined
      ? {}
      : { stored: report, pages: await readStoredPages(place.repository) }),
  };
}

async function restore(
  task: PeersTask,
  subject: Subject,
  root: string,
  age: Age,
): Promise<Timed & { readonly memoryRate: number }> {
  const { dumps } = task.series;
  const index = indexOf(age, dumps.length);
  const target = join(root, 'restored');
  const memoryRate = await beginLevel(task, root);
  const place = placeOf(subject, root);
  const outcome = await time(subject, subject.restore(place, dumps, index, target));
  await checkSame(subject, dumps[index] as Dump, target);
  rmSync(target, { recursive: true, force: true });
  return { ...outcome, memoryRate };
}

/** The last of several restores in one process. */
async function restoreAgain(
  task: PeersTask,
  subject: Subject,
  root: string,
  age: Age,
): Promise<number | undefined> {
  const { dumps } = task.series;
  const place = placeOf(subject, root);
  const target = join(root, 'again');
  const command = subject.restoreAgain?.(place, dumps, indexOf(age, dumps.length), target);
  if (command === undefined) return undefined;
  await beginLevel(task, root);
  return readReport((await runShell(command)).stdout).operations.at(-1)?.milliseconds;
}

interface Timed {
  readonly milliseconds: number;
  readonly report: ChildReport | undefined;
}

/** Runs the commands; the time is the process's own where it says so. */
async function time(subject: Subject, commands: readonly ShellCommand[]): Promise<Timed> {
  let milliseconds = 0;
  let report: ChildReport | undefined;
  for (const command of commands) {
    const ended = await runShell(command);
    if (subject.isInProcess === true) report = readReport(ended.stdout);
    milliseconds += report?.milliseconds ?? ended.milliseconds;
  }
  return { milliseconds, report };
}

/** An empty place for a subject, made ready by it. */
export async function newPlace(subject: Subject, root: string): Promise<Place> {
  const place = placeOf(subject, root);
  for (const path of [place.repository, place.scratch]) mkdirSync(path, { recursive: true });
  for (const command of subject.prepare(place)) await runShell(command);
  return place;
}

function placeOf({ name }: Subject, root: string): Place {
  const directory = join(root, name.replaceAll(/\W+/g, '-'));
  return { repository: join(directory, 'kept'), scratch: join(directory, 'scratch') };
}

async function beginLevel({ series, dropCache }: PeersTask, root: string): Promise<number> {
  const memoryRate = await level(root);
  await dropCache?.([root, ...series.dumps.map(({ path }) => path)]);
  return memoryRate;
}

async function checkSame({ name }: Subject, dump: Dump, target: string): Promise<void> {
  // A dump on top of another comes back flat from us.
  const line = 'test -e "$DUMP/parent" || diff -rq "$DUMP" "$TARGET"';
  const variables = { DUMP: dump.path, TARGET: target };
  await runShell({ line, cwd: '/', variables }).catch((error: unknown) => {
    throw new Error(`${name} restored something else`, { cause: error });
  });
}

function indexOf(age: Age, count: number): number {
  if (age === 'newest') return count - 1;
  return age === 'oldest' ? 0 : Math.floor((count - 1) / 2);
}

function zeroes(): Record<Age, number> {
  return { newest: 0, middle: 0, oldest: 0 };
}
