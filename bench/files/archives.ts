/** Archives of podman, one after the other into one timeline, and each of them back. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { writePodmanArchives } from '../generate/podman-archive.ts';
import { REDIS, resized } from '../generate/workloads.ts';
import { skipLoudly } from '../process/programs.ts';
import { runShell } from '../process/shell.ts';
import { canReadPeaks } from '../process/trace.ts';
import { freeBytes } from '../process/work-directory.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from '../suites/suite.ts';
import { runSteps } from './directories.ts';
import type { Step, StepsTask } from './measure.ts';
import { archiveSubjects } from './subjects.ts';
import { presentSteps } from './tables.ts';

const ARCHIVE = /\.tar(\.zst|\.gz)?$/;
const QUICK_SHARE = 0.1;
const MADE = { files: { count: 2000, directories: 20 }, logBytes: 2e7 } as const;
const MADE_ARCHIVES = 3;
/** Tars of given archives, which may be ten times as large, and what is kept of them. */
const ROOM = 12;

/** Imports and exports a series of archives: given ones, or made-up ones. */
export async function measureArchives(task: SuiteTask): Promise<SuiteResult> {
  const given = task.series.filter((directory) => archivesIn(directory).length > 0);
  const results: SuiteResult[] = [];
  for (const directory of given) {
    const title = `archives of ${basename(directory)}`;
    results.push(await measureSeries(task, directory, title));
  }
  if (given.length === 0) {
    const directory = join(task.work, 'made archives');
    task.say('no --series with archives: writing made-up ones');
    const workload = resized(REDIS, task.quick ? REDIS.pages * QUICK_SHARE : REDIS.pages);
    await writePodmanArchives(directory, { workload, ...MADE }, MADE_ARCHIVES);
    results.push(await measureSeries(task, directory, 'made-up archives'));
  }
  return {
    tables: results.flatMap(({ tables }) => tables),
    bars: [],
    plots: results.flatMap(({ plots }) => plots),
    raw: results.map(({ raw }) => raw),
  };
}

/** Paths of the archives in a directory, sorted by their names. */
export function archivesIn(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => ARCHIVE.test(name));
  return names.sort().map((name) => join(directory, name));
}

async function measureSeries(
  task: SuiteTask,
  directory: string,
  title: string,
): Promise<SuiteResult> {
  const { work, runs, say } = task;
  const archives = archivesIn(directory);
  const compressed = archives.reduce((sum, path) => sum + statSync(path).size, 0);
  if (freeBytes(work) < compressed * ROOM) {
    skipLoudly(`the archives in ${directory}: not enough room at ${work}`);
    return { tables: [], bars: [], plots: [], raw: [] };
  }
  say(`${archives.length} archives in ${directory}`);
  const tars = join(work, 'tars');
  mkdirSync(tars);
  const steps = archives.map((archive, index) => stepOf(archive, index, tars));
  const subjects = await archiveSubjects(({ name }) => archives[Number(name) - 1]!);
  const peaks = await canReadPeaks();
  const measured = await runSteps({ subjects, steps, work, peaks, say, check: checkTar }, runs);
  const sourceBytes = steps.map(({ original }) => statSync(original).size);
  rmSync(tars, { recursive: true });
  const { tables, plots } = presentSteps({ title, steps, runs: measured, sourceBytes });
  const raw = { title, archives, sourceBytes, runs: Object.fromEntries(measured) };
  return { tables, plots, bars: [], raw };
}

/** All archives are unpacked to the same path, one after the other: restic compares by path. */
function stepOf(archive: string, index: number, tars: string): Step {
  const name = String(index + 1).padStart(3, '0');
  const original = join(tars, `${name}.tar`);
  const path = join(tars, 'unpacked');
  execFileSync('bash', ['-c', PLAIN_TAR], { env: { ...process.env, ARCHIVE: archive, original } });
  const prepare = async (): Promise<void> => {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path);
    await runShell({ line: 'tar -xpf "../$NAME.tar"', cwd: path, variables: { NAME: name } });
  };
  return { name, dump: { name, path }, prepare, isRestored: true, original };
}

const PLAIN_TAR = `case "$ARCHIVE" in
  *.zst) zstd -dq "$ARCHIVE" -o "$original" ;;
  *.gz) gzip -dc "$ARCHIVE" > "$original" ;;
  *) ln "$ARCHIVE" "$original" 2> /dev/null || cp "$ARCHIVE" "$original" ;;
esac`;

/** Bytes where a tar comes back; what restic gives back is a directory, and is left alone. */
const checkTar: StepsTask['check'] = async ({ name }, { original }, target) => {
  if (statSync(target).isDirectory()) return;
  const unpacked =
    'if zstd -tq "$TARGET" 2> /dev/null; then zstd -dcq "$TARGET"; else cat "$TARGET"; fi';
  const line = `(${unpacked}) | cmp - "$ORIGINAL"`;
  const variables = { ORIGINAL: original, TARGET: target };
  await runShell({ line, cwd: '/', variables }).catch((error: unknown) => {
    throw new Error(`${name} gave back something else`, { cause: error });
  });
};
