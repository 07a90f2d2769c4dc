/**
 * A pool of worker threads, and what each of them does: this file is both, the side that sends
 * orders and the thread that carries them out.
 *
 * Workers start with the first operation that will need them, and live until the store is closed;
 * they do not keep the process alive while nothing runs. One that dies fails every operation that
 * was using it, and the next operation starts a new one.
 */
import {
  isMainThread,
  type MessagePort,
  parentPort,
  Worker,
  workerData,
} from 'node:worker_threads';
import { loadZstd, type Zstd } from '../bytes/zstd.ts';
import { StoreError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { nodeFiles } from '../files/node-files.ts';
import { InlineCrew } from './inline-threads.ts';
import { receiveError, sendError, type Answer, type Order } from './messages.ts';
import { runTask } from './run-task.ts';
import { Session, ThreadParts } from './session.ts';
import type { SessionSetup, StepKind, TaskKind, Tasks } from './tasks.ts';
import { HERE, type Crew, type ReportSink, type Threads } from './threads.ts';

/** Neighbouring regions that go to one worker: fewer frames are needed by two of them. */
const REGIONS_IN_A_ROW = 2;

/** Tells a worker of this library from any other that may load this module. */
const WORKER_MARK = 'criu-timeline-slices';

/** Below this there is not enough to do for threads to become ready in time. */
const WORTH_PREPARING_BYTES = 4 * 1024 * 1024;

/** Little is allocated there, and nothing of it lives long: less memory, not more time. */
const YOUNG_GENERATION_MB = 16;

/**
 * A pool of `workers` threads; the calling thread does what is too small to be sent away.
 *
 * @param startBytes what a first operation must be about at least for threads to start; the second
 * one that is worth it at all starts them, because then others will come.
 */
export function workerThreads(
  workers: number,
  files: Files,
  zstd: Zstd,
  startBytes: number = 0,
): Threads {
  const parts = new ThreadParts(files, zstd);
  const pool = new WorkerPool(workers);
  let isSecond = false;
  const minimum = () => (isSecond ? Math.min(startBytes, WORTH_PREPARING_BYTES) : startBytes);
  return {
    workers,
    prepare: (bytes) => {
      if (bytes >= Math.max(minimum(), WORTH_PREPARING_BYTES)) pool.start();
    },
    open: (setup, onReport, bytes = Infinity) => {
      if (bytes < minimum() && !pool.isStarted) {
        isSecond ||= bytes >= WORTH_PREPARING_BYTES;
        return new InlineCrew(parts, setup, onReport);
      }
      const shared = { ...setup, cacheBytes: setup.cacheBytes / workers };
      const here = new InlineCrew(parts, shared, onReport);
      return new WorkerCrew(pool, here, { setup: shared, onReport });
    },
    async close() {
      await pool.stop();
      parts.close();
    },
  };
}

/** Workers that have opened a session, and its number there. */
interface OpenedSession {
  readonly session: number;
  readonly workers: readonly PooledWorker[];
}

/** The workers; when the first of them is needed, all start. */
class WorkerPool {
  readonly size: number;
  readonly #workers: PooledWorker[] = [];
  #nextSession = 1;

  constructor(size: number) {
    this.size = size;
  }

  /** Whether there are workers, dead or alive. */
  get isStarted(): boolean {
    return this.#workers.length > 0;
  }

  /** Starts those that are missing. */
  start(): void {
    for (let i = 0; i < this.size; i++) {
      if (this.#workers[i]?.isAlive !== true) this.#workers[i] = new PooledWorker();
    }
  }

  /** Living workers that have opened a session, and its number. */
  open(setup: SessionSetup): OpenedSession {
    this.start();
    const session = this.#nextSession++;
    for (const worker of this.#workers) worker.open(session, setup);
    return { session, workers: [...this.#workers] };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    this.#workers.length = 0;
  }
}

/** A worker, as the calling thread sees it. */
class PooledWorker {
  isAlive = true;
  /** Tasks that it has and has not answered. */
  waiting = 0;
  readonly #worker: Worker;
  readonly #answers = new Map<number, (answer: Answer | StoreError) => void>();
  #nextTask = 1;

  constructor() {
    // This very file: the same in src and in dist, whatever it is called there.
    this.#worker = new Worker(new URL(import.meta.url), {
      workerData: WORKER_MARK,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.#worker.unref();
    this.#worker.on('message', (answer: Answer) => {
      this.#settle(answer.task, answer);
    });
    this.#worker.on('error', (cause) => this.#die(cause));
    this.#worker.on('exit', () => this.#die(undefined));
  }

  #settle(task: number, answer: Answer | StoreError): void {
    const settle = this.#answers.get(task);
    if (settle === undefined) return;
    this.#answers.delete(task);
    this.waiting -= 1;
    if (this.waiting === 0) this.#worker.unref();
    settle(answer);
  }

  #die(cause: unknown): void {
    this.isAlive = false;
    const error = new StoreError('STORAGE', 'a worker thread stopped', { cause });
    for (const task of [...this.#answers.keys()]) this.#settle(task, error);
  }

  open(session: number, setup: SessionSetup): void {
    this.#send({ type: 'open', session, setup });
  }

  close(session: number): void {
    this.#send({ type: 'close', session });
  }

  #send(order: Order): void {
    if (this.isAlive) this.#worker.postMessage(order);
  }

  async run(session: number, kind: TaskKind, request: unknown): Promise<Answer> {
    const task = this.#nextTask++;
    this.waiting += 1;
    // While it works for somebody, the process must not end under it.
    this.#worker.ref();
    const answer = new Promise<Answer | StoreError>((resolve) => this.#answers.set(task, resolve));
    if (this.isAlive) this.#send({ type: 'task', session, task, kind, request });
    else this.#die(undefined);
    const settled = await answer;
    if (settled instanceof StoreError) throw settled;
    return settled;
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

class WorkerCrew implements Crew {
  readonly #pool: WorkerPool;
  readonly #here: InlineCrew;
  readonly #from: { readonly setup: SessionSetup; readonly onReport: ReportSink };
  readonly #running = new Set<Promise<unknown>>();
  #opened: OpenedSession | undefined;

  constructor(
    pool: WorkerPool,
    here: InlineCrew,
    from: { readonly setup: SessionSetup; readonly onReport: ReportSink },
  ) {
    this.#pool = pool;
    this.#here = here;
    this.#from = from;
  }

  get width(): number {
    return this.#pool.size;
  }

  #open(): OpenedSession {
    this.#opened ??= this.#pool.open(this.#from.setup);
    return this.#opened;
  }

  laneOf(region: number): number {
    const { workers } = this.#open();
    return Math.floor(region / REGIONS_IN_A_ROW) % workers.length;
  }

  runHere<Kind extends StepKind>(
    kind: Kind,
    request: Tasks[Kind]['request'],
  ): Tasks[Kind]['result'] {
    return this.#here.runHere(kind, request);
  }

  async run<Kind extends TaskKind>(
    kind: Kind,
    request: Tasks[Kind]['request'],
    lane?: number,
  ): Promise<Tasks[Kind]['result']> {
    // A last frame is not worth starting threads that nothing else has been sent to.
    const isHere = lane === HERE || (kind === 'encode' && this.#opened === undefined);
    if (isHere) return await this.#here.run(kind, request);
    const { workers } = this.#open();
    const worker = (lane === undefined ? undefined : workers[lane]) ?? idlest(workers);
    return (await this.#ask(worker, kind, request)) as Tasks[Kind]['result'];
  }

  async runEverywhere(kind: 'closeSources' | 'closeTargets'): Promise<void> {
    const workers = this.#opened?.workers ?? [];
    await Promise.all(workers.map((worker) => this.#ask(worker, kind, undefined)));
    await this.#here.runEverywhere(kind);
  }

  async #ask(worker: PooledWorker, kind: TaskKind, request: unknown): Promise<unknown> {
    const running = worker.run(this.#opened?.session ?? 0, kind, request);
    this.#running.add(running);
    try {
      const { result, error, report } = await running;
      this.#from.onReport(report);
      if (error !== undefined) throw receiveError(error);
      return result;
    } finally {
      this.#running.delete(running);
    }
  }

  async close(): Promise<void> {
    // Memory and descriptors of the operation are in use until the last task has ended.
    await Promise.allSettled(this.#running);
    const { session = 0, workers = [] } = this.#opened ?? {};
    for (const worker of workers) worker.close(session);
    await this.#here.close();
  }
}

function idlest(workers: readonly PooledWorker[]): PooledWorker {
  return workers.reduce((best, worker) => (worker.waiting < best.waiting ? worker : best));
}

/** The worker's side: carries out orders, one after the other. */
async function serve(): Promise<void> {
  const port = parentPort as NonNullable<typeof parentPort>;
  const parts = new ThreadParts(nodeFiles, await loadZstd());
  const sessions = new Map<number, Session>();
  port.on('message', (order: Order) => {
    if (order.type === 'open') sessions.set(order.session, new Session(parts, order.setup));
    else if (order.type === 'task') void answer(port, sessions, order);
    else {
      sessions.get(order.session)?.close();
      sessions.delete(order.session);
    }
  });
}

/** Sends the answer before the next order is taken, unless a task has to wait for something. */
async function answer(
  port: MessagePort,
  sessions: ReadonlyMap<number, Session>,
  order: Extract<Order, { type: 'task' }>,
): Promise<void> {
  const session = sessions.get(order.session) as Session;
  let result: unknown;
  let error: Answer['error'];
  try {
    result = await runTask(session, order.kind, order.request as never);
  } catch (cause) {
    error = sendError(cause);
  }
  const answer: Answer = { task: order.task, result, error, report: session.report() };
  port.postMessage(answer);
}

if (!isMainThread && workerData === WORKER_MARK) await serve();
