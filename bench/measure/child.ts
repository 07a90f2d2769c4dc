/** Starts `child.js`, the measured process of this library, with a task and reads its report. */
import { fileURLToPath } from 'node:url';
import type {
  ExportOptions,
  OpenOptions,
  RestoreReport,
  SnapshotSizes,
  StoreStatistics,
} from 'criu-timeline';
import { runShell, type ShellCommand } from '../process/shell.ts';

/** What the child is to do: open the store, capture, import, restore, export, close. */
export interface ChildTask {
  readonly store: string;
  readonly options?: OpenOptions;
  readonly captures?: readonly {
    readonly timeline: string;
    readonly images: string;
    /** The upper directory, where the container's files are captured as well. */
    readonly files?: string;
  }[];
  readonly imports?: readonly { readonly timeline: string; readonly archive: string }[];
  readonly restores?: readonly {
    readonly snapshot: string;
    readonly target: string;
    /** Where the container's files go, if they are wanted. */
    readonly files?: string;
    /** Whether the target is removed afterwards, untimed. */
    readonly discard?: boolean;
  }[];
  readonly exports?: readonly ({
    readonly snapshot: string;
    readonly target: string;
  } & Pick<ExportOptions, 'compression'>)[];
  /** Whether to ask the store for its statistics at the end. */
  readonly statistics?: boolean;
}

/** One capture, import, restore or export. */
export interface ChildOperation {
  readonly milliseconds: number;
  /** Of a capture or import. */
  readonly sizes?: SnapshotSizes;
  /** Of a restore. */
  readonly result?: RestoreReport;
}

/** What the child measured. */
export interface ChildReport {
  /** Opening, the operations and closing. */
  readonly milliseconds: number;
  readonly openMs: number;
  readonly closeMs: number;
  readonly operations: readonly ChildOperation[];
  readonly statistics?: StoreStatistics;
  /** The longest time for which the event loop did not turn. */
  readonly longestBlockMs: number;
  /** VmHWM: the runtime is included. */
  readonly peakBytes: number;
}

const CHILD = fileURLToPath(new URL('../child.js', import.meta.url));

/** The command that does a task. */
export function childCommand(task: ChildTask): ShellCommand {
  const variables = { NODE: process.execPath, CHILD, TASK: JSON.stringify(task) };
  return { line: '"$NODE" "$CHILD" "$TASK"', cwd: '/', variables };
}

/** The report that such a command printed. */
export function readReport(stdout: string): ChildReport {
  return JSON.parse(stdout) as ChildReport;
}

/** Does a task in a child process of its own. */
export async function runChild(task: ChildTask): Promise<ChildReport> {
  return readReport((await runShell(childCommand(task))).stdout);
}
