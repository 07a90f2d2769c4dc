/**
 * Measures subjects on a source that changes from step to step: every subject stores the first
 * state, then every one the second, and so on, each step in new processes; then each restores.
 * Whose turn is first changes from run to run. A plain copy stands before and after every restore.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readReport, type ChildReport } from '../measure/child.ts';
import { directoryBytes } from '../measure/directories.ts';
import { mean } from '../measure/statistics.ts';
import { newPlace } from '../peers/measure.ts';
import { level } from '../process/level.ts';
import { runShell, type ShellCommand } from '../process/shell.ts';
import { runWithPeak } from '../process/trace.ts';
import type { Dump, Place, Subject } from '../subjects/subject.ts';
import { imagesBeside } from './subjects.ts';

/** One state of the source. */
export interface Step {
  readonly name: string;
  readonly dump: Dump;
  /** Brings the source into this state, untimed. */
  readonly prepare?: (run: number) => void | Promise<void>;
  /** Whether every subject has lost its caches when it begins. */
  readonly withoutCaches?: boolean;
  /** Whether it is restored. */
  readonly isRestored?: boolean;
  /** What a copy copies, and a restore is to give back. */
  readonly original: string;
}

/** What is measured. */
export interface StepsTask {
  readonly subjects: readonly Subject[];
  readonly steps: readonly Step[];
  readonly work: string;
  /** Whether peaks of peers can be found out. */
  readonly peaks: boolean;
  readonly say: (text: string) => void;
  /** Throws unless `target` is what the step's original is. */
  readonly check: (subject: Subject, step: Step, target: string) => Promise<void>;
}

/** What a command took. */
export interface Timed {
  /** Of the whole process. */
  readonly milliseconds: number;
  /** From opening to closing, where the subject tells. */
  readonly insideMs?: number;
  readonly peakBytes?: number;
  readonly report?: ChildReport;
}

/** Storing one state. */
export interface Stored extends Timed {
  readonly addedBytes: number;
}

/** Restoring one. */
export interface Restored extends Timed {
  /** Mean of the copies right before and right after. */
  readonly copyMs: number;
}

/** One run of one subject; both by the index of the step. */
export interface StepsRun {
  readonly stored: readonly Stored[];
  readonly restored: readonly (Restored | undefined)[];
}

/** One run of all subjects: results by the subject's name. */
export async function measureSteps(task: StepsTask, run: number): Promise<Map<string, StepsRun>> {
  const { subjects, steps, work, say } = task;
  const root = join(work, 'run');
  const first = run % subjects.length;
  const order = [...subjects.slice(first), ...subjects.slice(0, first)];
  const results = new Map<string, { stored: Stored[]; restored: (Restored | undefined)[] }>();
  const resultOf = (subject: Subject) => results.get(subject.name)!;
  for (const { name } of subjects) results.set(name, { stored: [], restored: [] });
  try {
    const places = new Map<Subject, Place>();
    for (const subject of order) places.set(subject, await newPlace(subject, root));
    for (const step of steps) {
      await step.prepare?.(run);
      for (const subject of order) {
        say(`run ${run + 1}, storing, ${step.name}: ${subject.name}`);
        resultOf(subject).stored.push(await store(task, subject, places.get(subject)!, step));
      }
    }
    for (const [index, step] of steps.entries()) {
      let beforeMs = step.isRestored === true ? await copy(step, root) : 0;
      for (const subject of order) {
        if (step.isRestored !== true) {
          resultOf(subject).restored.push(undefined);
          continue;
        }
        say(`run ${run + 1}, restoring, ${step.name}: ${subject.name}`);
        const timed = await restore(task, { subject, place: places.get(subject)!, index }, root);
        const afterMs = await copy(step, root);
        resultOf(subject).restored.push({ ...timed, copyMs: mean([beforeMs, afterMs]) });
        beforeMs = afterMs;
      }
    }
    return results;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function store(
  { peaks, work }: StepsTask,
  subject: Subject,
  place: Place,
  step: Step,
): Promise<Stored> {
  if (step.withoutCaches === true) forgetCaches(subject, place);
  const before = keptBytes(subject, place);
  await level(work);
  const timed = await time(subject, subject.store(place, [step.dump]), peaks ? place : undefined);
  return { ...timed, addedBytes: keptBytes(subject, place) - before };
}

async function restore(
  { peaks, steps, check }: StepsTask,
  { subject, place, index }: { subject: Subject; place: Place; index: number },
  root: string,
): Promise<Timed> {
  const target = join(root, 'restored');
  const dumps = steps.map(({ dump }) => dump);
  await level(root);
  const commands = subject.restore(place, dumps, index, target);
  const timed = await time(subject, commands, peaks ? place : undefined);
  await check(subject, steps[index]!, target);
  for (const path of [target, imagesBeside(target)]) rmSync(path, { recursive: true, force: true });
  return timed;
}

/** Runs the commands; looks for the peak of a peer where a place for that is given. */
async function time(
  subject: Subject,
  commands: readonly ShellCommand[],
  peakPlace: Place | undefined,
): Promise<Timed> {
  const all: Timed[] = [];
  for (const command of commands) {
    if (subject.isInProcess === true) {
      const { milliseconds, stdout } = await runShell(command);
      const report = readReport(stdout);
      const { milliseconds: insideMs, peakBytes } = report;
      all.push({ milliseconds, insideMs, peakBytes, report });
    } else if (peakPlace === undefined) all.push(await runShell(command));
    else {
      const { milliseconds, peakBytes } = await runWithPeak(command, peakPlace.scratch);
      all.push({ milliseconds, peakBytes });
    }
  }
  if (all.length !== 1) throw new Error(`${subject.name} takes ${all.length} commands for a step`);
  return all[0]!;
}

async function copy({ original }: Step, root: string): Promise<number> {
  const target = join(root, 'copied');
  await level(root);
  const variables = { SOURCE: original, TARGET: target };
  const ended = await runShell({ line: 'cp -a "$SOURCE" "$TARGET"', cwd: '/', variables });
  rmSync(target, { recursive: true });
  return ended.milliseconds;
}

function keptBytes({ cacheName }: Subject, { repository }: Place): number {
  return existsSync(repository)
    ? directoryBytes(repository, cacheName === undefined ? [] : [cacheName])
    : 0;
}

function forgetCaches({ cacheName }: Subject, { repository, scratch }: Place): void {
  if (cacheName !== undefined) {
    rmSync(join(repository, cacheName), { recursive: true, force: true });
  }
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch);
}
