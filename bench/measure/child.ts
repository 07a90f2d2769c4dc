/** Starts `child.js`, the measured process of this library, with a task and reads its report. */
import { fileURLToPath } from 'node:url';
import type {
  CollectOptions,
  CollectReport,
  ExportOptions,
  OpenOptions,
  RestoreReport,
  RetentionPolicy,
  SnapshotSizes,
  StoreStatistics,
} from 'criu-timeline';
import { runShell, type ShellCommand } from '../process/shell.ts';

/** A file, and what is in it from now on. */
export interface FileChange {
  readonly path: string;
  readonly text: string;
}

/** What the child is to do: open the store, each list in the order here, close. */
export interface ChildTask {
  readonly store: string;
  readonly options?: OpenOptions;
  readonly captures?: readonly {
    readonly timeline: string;
    readonly images: string;
    /** The upper directory, where the container's files are captured as well. */
    readonly files?: string;
    /** Files that are written anew before, untimed. */
    readonly changes?: readonly FileChange[];
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
  /** References of snapshots. */
  readonly removes?: readonly string[];
  readonly undeletes?: readonly string[];
  /** Names of timelines. */
  readonly lists?: readonly string[];
  /** With the date in ISO 8601. */
  readonly ats?: readonly { readonly timeline: string; readonly date: string }[];
  /** Only planned: dry runs. */
  readonly prunes?: readonly { readonly timeline: string; readonly policy: RetentionPolicy }[];
  readonly collects?: readonly CollectOptions[];
  readonly rounds?: CollectRounds;
  /** Whether to ask the store for its statistics at the end. */
  readonly statistics?: boolean;
}

/** Remove a snapshot, collect, remove the next one, and so on. */
export interface CollectRounds {
  readonly removes: readonly string[];
  /** A file that is made when the first collection is about to begin. */
  readonly started: string;
  /** No further round begins when this file is there. */
  readonly stop: string;
  readonly options: CollectOptions;
}

/** One capture, import, restore, removal or the like; of a round, its collection. */
export interface ChildOperation {
  /** Since 1970, comparable between processes. */
  readonly startedAtMs: number;
  readonly milliseconds: number;
  /** Of a capture or import. */
  readonly sizes?: SnapshotSizes;
  /** Of a restore. */
  readonly result?: RestoreReport;
  /** Of a list or prune, how many snapshots there were; of `at`, the sequence. */
  readonly found?: number;
  /** Of a prune, how many of them would stay. */
  readonly kept?: number;
  /** Of a collection. */
  readonly collected?: CollectReport;
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
