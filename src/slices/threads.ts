/**
 * Who works on slices: the calling thread itself, or a pool of workers. An operation opens a crew
 * for its time, gives it tasks, and closes it.
 */
import type { SessionSetup, StepKind, TaskKind, Tasks, TaskReport } from './tasks.ts';

/** The lane of the calling thread. */
export const HERE = -1;

/** Threads that work for one operation. */
export interface Crew {
  /** How many tasks can run at once. */
  readonly width: number;
  /**
   * The thread for a region of pages, always the same one: what it has decoded for one capture
   * serves it in the next.
   */
  laneOf(region: number): number;
  /**
   * Does a task in a lane, or on the worker that has the least to do.
   *
   * @throws StoreError as the task does; STORAGE when a thread died.
   */
  run<Kind extends TaskKind>(
    kind: Kind,
    request: Tasks[Kind]['request'],
    lane?: number,
  ): Promise<Tasks[Kind]['result']>;
  /** Does a step on the calling thread: for what takes less time than to send it away. */
  runHere<Kind extends StepKind>(
    kind: Kind,
    request: Tasks[Kind]['request'],
  ): Tasks[Kind]['result'];
  /** Does a task on every thread. */
  runEverywhere(kind: 'closeSources' | 'closeTargets'): Promise<void>;
  /** Ends the operation on every thread, once its tasks have ended. */
  close(): Promise<void>;
}

/** What the tasks of an operation found out, added up. */
export type ReportSink = (report: TaskReport) => void;

/** Threads, ready for operations. */
export interface Threads {
  /** How many tasks can run at once; 0 when the calling thread does them. */
  readonly workers: number;
  /** Says that an operation on so many bytes comes: threads take some 60 ms to become ready. */
  prepare(bytes: number): void;
  /**
   * Opens threads for an operation.
   *
   * @param bytes that it is about; as many as can be, unless given.
   */
  open(setup: SessionSetup, onReport: ReportSink, bytes?: number): Crew;
  /** Ends all threads. */
  close(): Promise<void>;
}
