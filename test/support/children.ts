/**
 * Child processes that use the library from its sources, and print a line of JSON for each thing
 * they did. None outlives its test.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** What a child is told. */
export interface Task {
  readonly directory: string;
  readonly timeline: string;
  /** Seeds of the dumps that it captures, from `first` on. */
  readonly first: number;
  readonly count: number;
  /** Where it makes its dumps. */
  readonly work: string;
  readonly pages?: number;
  /** Waits, with the store open, until it is killed or its input ends. */
  readonly stay?: boolean;
}

/** What a child says. */
export type Report =
  | { readonly event: 'open'; readonly storeId: string }
  | { readonly event: 'begin'; readonly seed: number }
  | { readonly event: 'captured'; readonly seed: number; readonly id: string }
  | { readonly event: 'done' };

/** A child at work. */
export interface Child {
  readonly process: ChildProcess;
  /** All that it has said so far. */
  readonly reports: readonly Report[];
  /** Waits for it to say something of this kind for the n-th time. */
  said(event: Report['event'], times?: number): Promise<void>;
  /** Waits for its end; rejects with its stderr when it failed by itself. */
  ended(): Promise<void>;
  /** kill -9, and waits until it is dead. */
  kill(): Promise<void>;
}

const program = fileURLToPath(new URL('capture-child.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

function parametersOf(task: Task): string[] {
  // Not tsx itself, which would leave worker threads without it.
  const typescript = './test/support/typescript.mjs';
  const parameters = ['--import', typescript, '-C', '@criu-timeline/source', program];
  return [...parameters, JSON.stringify(task)];
}

/** Runs a child on a task to its end, while this process does nothing at all. */
export function runChild(task: Task): void {
  execFileSync(process.execPath, parametersOf(task), { cwd: root, stdio: 'pipe' });
}

/** Starts a child on a task. */
export function startChild(task: Task): Child {
  const child = spawn(process.execPath, parametersOf(task), {
    cwd: root,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const reports: Report[] = [];
  let complaint = '';
  let wake: () => void = () => undefined;
  child.stderr.on('data', (chunk) => (complaint += String(chunk)));
  createInterface(child.stdout).on('line', (line) => {
    reports.push(JSON.parse(line) as Report);
    wake();
  });
  const exit = once(child, 'close').then(() => wake());
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const said = async (event: Report['event'], times = 1): Promise<void> => {
    for (;;) {
      if (reports.filter((report) => report.event === event).length >= times) return;
      if (hasEnded()) throw new Error(`the child ended before it said ${event}: ${complaint}`);
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  const ended = async (): Promise<void> => {
    await exit;
    if (child.exitCode !== 0) throw new Error(`the child failed: ${complaint}`);
  };
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exit;
  };
  return { process: child, reports, said, ended, kill };
}
