/**
 * The frame around every operation of an open store: refuses work when the store is closed or only
 * for reading, gives aborts and unknown failures their codes, and lets `close` wait for what runs.
 */
import { StoreError, storageError, systemCode } from '../errors.ts';
import type { RunningOperation } from './activity.ts';
import { writableStaging, type OperationOptions, type StoreContext } from './context.ts';
import { recordLostFrames } from './lost-frames.ts';
import type { OpenedStore } from './open-store.ts';
import { explainDamage } from './outdated.ts';
import { refreshView } from './view.ts';

/** What an operation does; it is told which one it is. */
export type Work<T> = (
  context: StoreContext,
  operation: RunningOperation | undefined,
) => Promise<T>;

/** Runs operations on an open store. */
export class Operations {
  #store: OpenedStore;
  readonly #reopen: () => Promise<OpenedStore>;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;
  /** What runs while the store is closed, and is opened again after it. */
  #alone: Promise<unknown> | undefined;
  /** Whether that could not open it again. */
  #isLost = false;

  /** @param reopen opens the same store once more. */
  constructor(store: OpenedStore, reopen: () => Promise<OpenedStore>) {
    this.#store = store;
    this.#reopen = reopen;
  }

  /** The parts of the store. @throws StoreError CLOSED, LOCKED while it is repaired. */
  get context(): StoreContext {
    const { directory: file } = this.#store.context.layout;
    if (this.#closing !== undefined || this.#isLost) {
      throw new StoreError('CLOSED', 'the store has been closed', { file });
    }
    if (this.#alone === undefined) return this.#store.context;
    throw new StoreError('LOCKED', 'the store is being repaired', { file });
  }

  /**
   * Waits for what runs, closes the store, runs `work`, and opens the store again, whatever became
   * of that: what works on the files of a store while nobody has it open. If it cannot be opened
   * again, it stays closed.
   */
  async alone<T>(options: OperationOptions, work: () => Promise<T>): Promise<T> {
    writableStaging(this.context);
    if (options.signal?.aborted === true) {
      throw new StoreError('ABORTED', 'the operation was stopped', {
        cause: options.signal.reason,
      });
    }
    const running = this.#closeAndReopen(work);
    this.#alone = running;
    try {
      return await running;
    } finally {
      this.#alone = undefined;
    }
  }

  async #closeAndReopen<T>(work: () => Promise<T>): Promise<T> {
    await Promise.allSettled(this.#running);
    this.#isLost = true;
    await this.#store.close();
    let result: T;
    try {
      result = await work();
    } catch (error) {
      // What failed first is what to report.
      await this.#openAgain().catch(() => undefined);
      throw error;
    }
    await this.#openAgain();
    return result;
  }

  async #openAgain(): Promise<void> {
    this.#store = await this.#reopen();
    this.#isLost = false;
  }

  /** Runs an operation that reads. */
  async run<T>(options: OperationOptions, work: Work<T>): Promise<T> {
    return await this.#track(options, (context) => withView(context, options.signal, work));
  }

  /**
   * Runs an operation on rows of the catalog alone. What such an operation has not to know, where
   * packs are and which slots are condemned, takes long to learn of thousands of snapshots.
   */
  async runOnRows<T>(
    options: OperationOptions,
    work: (context: StoreContext) => Promise<T>,
  ): Promise<T> {
    return await this.#track(options, work);
  }

  /** The same, of one that writes. @throws StoreError READ_ONLY. */
  async writeRows<T>(
    options: OperationOptions,
    work: (context: StoreContext) => Promise<T>,
  ): Promise<T> {
    writableStaging(this.context);
    return await this.#track(options, work);
  }

  /** Lets `close` wait for an operation. */
  async #track<T>(
    options: OperationOptions,
    work: (context: StoreContext) => Promise<T>,
  ): Promise<T> {
    const { context } = this;
    const running = attempt(options, context, work);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Runs a short operation that reads and does not wait. */
  runNow<T>(work: (context: StoreContext) => T): T {
    const { context } = this;
    const operation = context.activity?.beginNow();
    try {
      refreshView(context);
      return work(context);
    } catch (error) {
      throw explainDamage(context, error);
    } finally {
      operation?.end();
    }
  }

  /** Runs an operation that writes. @throws StoreError READ_ONLY. */
  async write<T>(options: OperationOptions, work: Work<T>): Promise<T> {
    writableStaging(this.context);
    return await this.run(options, work);
  }

  /** Waits for what runs, then closes the store; once, however often it is called. */
  async close(): Promise<void> {
    this.#closing ??= (async () => {
      await Promise.allSettled([...this.#running, this.#alone]);
      const { directory } = this.#store.context.layout;
      if (this.#isLost) return;
      try {
        await this.#store.close();
      } catch (error) {
        throw storageError('close the store', directory, error);
      }
    })();
    await this.#closing;
  }
}

/** Runs an operation while other processes see that it runs, on what the catalog says now. */
async function withView<T>(
  context: StoreContext,
  signal: AbortSignal | undefined,
  work: Work<T>,
): Promise<T> {
  const operation = await context.activity?.begin(signal);
  try {
    refreshView(context);
    return await work(context, operation);
  } finally {
    operation?.end();
  }
}

/** Gives failures their codes, and records what was found damaged. */
async function attempt<T>(
  { signal, onDamage }: OperationOptions,
  context: StoreContext,
  work: (context: StoreContext) => Promise<T>,
): Promise<T> {
  try {
    signal?.throwIfAborted();
    return await work(context);
  } catch (error) {
    if (signal?.aborted === true && !(error instanceof StoreError)) {
      throw new StoreError('ABORTED', 'the operation was stopped', { cause: error });
    }
    if (systemCode(error) === undefined) throw explainDamage(context, error);
    throw storageError('use the store', context.layout.directory, error);
  } finally {
    await recordLostFrames(context, onDamage);
  }
}
