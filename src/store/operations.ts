/**
 * The frame around every operation of an open store: refuses work when the store is closed or only
 * for reading, gives aborts and unknown failures their codes, and lets `close` wait for what runs.
 */
import { StoreError, storageError, systemCode } from '../errors.ts';
import type { RunningOperation } from './activity.ts';
import { writableStaging, type OperationOptions, type StoreContext } from './context.ts';
import { recordLostFrames } from './lost-frames.ts';
import type { OpenedStore } from './open-store.ts';
import { refreshView } from './view.ts';

/** What an operation does; it is told which one it is. */
export type Work<T> = (
  context: StoreContext,
  operation: RunningOperation | undefined,
) => Promise<T>;

/** Runs operations on an open store. */
export class Operations {
  readonly #store: OpenedStore;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(store: OpenedStore) {
    this.#store = store;
  }

  /** The parts of the store. @throws StoreError CLOSED. */
  get context(): StoreContext {
    if (this.#closing === undefined) return this.#store.context;
    const { directory: file } = this.#store.context.layout;
    throw new StoreError('CLOSED', 'the store has been closed', { file });
  }

  /** Runs an operation that reads. */
  async run<T>(options: OperationOptions, work: Work<T>): Promise<T> {
    const { context } = this;
    const running = this.#attempt(options, context, work);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Runs an operation that writes. @throws StoreError READ_ONLY. */
  async write<T>(options: OperationOptions, work: Work<T>): Promise<T> {
    writableStaging(this.context);
    return await this.run(options, work);
  }

  async #attempt<T>(
    { signal, onDamage }: OperationOptions,
    context: StoreContext,
    work: Work<T>,
  ): Promise<T> {
    let operation: RunningOperation | undefined;
    try {
      signal?.throwIfAborted();
      operation = context.activity?.begin();
      refreshView(context);
      return await work(context, operation);
    } catch (error) {
      if (signal?.aborted === true && !(error instanceof StoreError)) {
        throw new StoreError('ABORTED', 'the operation was stopped', { cause: error });
      }
      if (systemCode(error) === undefined) throw error;
      throw storageError('use the store', context.layout.directory, error);
    } finally {
      operation?.end();
      await recordLostFrames(context, onDamage);
    }
  }

  /** Waits for what runs, then closes the store; once, however often it is called. */
  async close(): Promise<void> {
    this.#closing ??= (async () => {
      await Promise.allSettled(this.#running);
      const { directory } = this.#store.context.layout;
      try {
        await this.#store.close();
      } catch (error) {
        throw storageError('close the store', directory, error);
      }
    })();
    await this.#closing;
  }
}
