/**
 * A subject: something that stores a series of image directories and gives any of them back. It is
 * no more than commands, so that the same commands are timed, traced and run on nothing at all.
 */
import type { Program } from '../process/programs.ts';
import type { ShellCommand } from '../process/shell.ts';

/** Where a subject works. */
export interface Place {
  /** What it keeps: an empty directory at first. */
  readonly repository: string;
  /** For caches and the like, which are not counted. */
  readonly scratch: string;
}

/** One image directory of the series. */
export interface Dump {
  readonly name: string;
  readonly path: string;
}

/** One row of the tables. */
export interface Subject {
  readonly name: string;
  readonly needs: readonly Program[];
  /** Shell lines that print the version. */
  readonly version: string;
  /** Untimed. */
  prepare(place: Place): ShellCommand[];
  /** Stores all dumps, in order. */
  store(place: Place, dumps: readonly Dump[]): ShellCommand[];
  /** Rebuilds the dump with this index of those stored at `target`, which is absent. */
  restore(place: Place, dumps: readonly Dump[], index: number, target: string): ShellCommand[];
  /** The same again and again in one process; the last operation of its report counts. */
  restoreAgain?(place: Place, dumps: readonly Dump[], index: number, target: string): ShellCommand;
  /** Prints a ChildReport: its time in the process counts, not that of the process. */
  readonly isInProcess?: boolean;
  /** Entry of the repository that is not counted as kept. */
  readonly cacheName?: string;
}
