/** The calling thread, doing the tasks itself, one after the other. */
import { setImmediate } from 'node:timers/promises';
import type { Zstd } from '../bytes/zstd.ts';
import type { Files } from '../files/files.ts';
import { readSteps } from './read.ts';
import { runStep, runTask } from './run-task.ts';
import { Session, ThreadParts } from './session.ts';
import type { SessionSetup, StepKind, TaskKind, Tasks } from './tasks.ts';
import { HERE, type Crew, type ReportSink, type Threads } from './threads.ts';

/** No threads but the caller's. */
export function inlineThreads(files: Files, zstd: Zstd): Threads {
  const parts = new ThreadParts(files, zstd);
  return {
    workers: 0,
    prepare: () => undefined,
    open: (setup, onReport) => new InlineCrew(parts, setup, onReport),
    close() {
      parts.close();
      return Promise.resolve();
    },
  };
}

/** The calling thread at work for one operation. */
export class InlineCrew implements Crew {
  readonly width = 1;
  readonly #session: Session;
  /** Ends when the next task may begin that takes a turn. */
  #turn: Promise<void> = Promise.resolve();
  readonly #reading = new Set<Promise<unknown>>();
  readonly #onReport: ReportSink;

  constructor(parts: ThreadParts, setup: SessionSetup, onReport: ReportSink) {
    this.#session = new Session(parts, setup);
    this.#onReport = onReport;
  }

  laneOf(): number {
    return HERE;
  }

  runHere<Kind extends StepKind>(
    kind: Kind,
    request: Tasks[Kind]['request'],
  ): Tasks[Kind]['result'] {
    try {
      return runStep(this.#session, kind, request);
    } finally {
      this.#onReport(this.#session.report());
    }
  }

  async run<Kind extends TaskKind>(
    kind: Kind,
    request: Tasks[Kind]['request'],
  ): Promise<Tasks[Kind]['result']> {
    try {
      if (kind === 'read') return await this.#track(request as Tasks['read']['request']);
      if (kind === 'encode') return await this.#inTurn(() => runTask(this.#session, kind, request));
      return await runTask(this.#session, kind, request);
    } finally {
      this.#onReport(this.#session.report());
    }
  }

  /** A slice's frames come all at once: each few of them take a turn of the event loop. */
  async #inTurn<T>(task: () => T | Promise<T>): Promise<T> {
    const done = this.#turn.then(task);
    this.#turn = done.then(afterTurn, afterTurn);
    return await done;
  }

  async #track(request: Tasks['read']['request']): Promise<Tasks['read']['result']> {
    // One after the other: each of several would take a step in every turn of the event loop.
    const reading = Promise.allSettled(this.#reading).then(() => this.#read(request));
    this.#reading.add(reading);
    try {
      return await reading;
    } finally {
      this.#reading.delete(reading);
    }
  }

  /** Two leaves in one go hold the thread for 30 ms in a new process. */
  async #read(request: Tasks['read']['request']): Promise<Tasks['read']['result']> {
    for (const steps = readSteps(this.#session, request); ;) {
      this.#session.begin();
      const step = steps.next();
      if (step.done === true) return step.value;
      await afterTurn();
    }
  }

  async runEverywhere(kind: 'closeSources' | 'closeTargets'): Promise<void> {
    await this.run(kind, undefined);
  }

  async close(): Promise<void> {
    // What they write to is open, or nobody else's, until the last one has ended.
    await Promise.allSettled([...this.#reading, this.#turn]);
    this.#session.close();
  }
}

/** Once lets events in, and goes on before timers. */
async function afterTurn(): Promise<void> {
  await setImmediate();
  await setImmediate();
}
