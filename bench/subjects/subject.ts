/** Something that can store a series of image directories and give the last one back. */
import { execFileSync } from 'node:child_process';

/** Where a subject finds its input, and may write. */
export interface Task {
  readonly series: string;
  /** Names of the image directories, in order. */
  readonly snapshots: readonly string[];
  /** An empty directory of its own. */
  readonly directory: string;
}

/** What one run of a subject took. */
export interface Measurement {
  readonly storeMs: number;
  readonly restoreMs: number;
  readonly keptBytes: number;
  /** Peak resident memory of storing and of restoring, where the subject is one process. */
  readonly storePeakBytes?: number;
  readonly restorePeakBytes?: number;
}

/** One row of the table. */
export interface Subject {
  readonly name: string;
  isAvailable(): boolean;
  measure(task: Task): Measurement;
}

/** Milliseconds that `work` takes. */
export function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** Runs a shell command in a directory, with values for the variables that it uses. */
export function shell(command: string, cwd: string, variables: Record<string, string> = {}): void {
  const env = { ...process.env, ...variables };
  execFileSync('bash', ['-o', 'pipefail', '-c', command], { cwd, env, stdio: 'pipe' });
}

/** Whether a program is installed. */
export function isInstalled(program: string): boolean {
  try {
    execFileSync('bash', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
