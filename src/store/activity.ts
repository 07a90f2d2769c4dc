/**
 * The operations that run on one handle, as other processes see them: while any of them runs, the
 * handle holds the lock of a second file beside its lease, and its lease's row says in which
 * generation the oldest of them began. An idle handle is in nobody's way.
 *
 * The lock is taken before the generation is read: whoever raises the generation and then finds
 * the lock free, or a row that is as new, knows that no older work is going on there.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Catalog } from '../catalog/catalog.ts';
import { LeaseFile } from '../catalog/lease.ts';
import { StoreError } from '../errors.ts';

/** An operation that runs. */
export interface RunningOperation {
  /** Of the store, when the operation began. */
  readonly generation: number;
  /** Says that it has ended. */
  end(): void;
}

/** Whoever looks whether the lock is free holds it for some 0.2 ms, if it is not held up itself. */
const MAX_TRIES = 10_000;
const MAX_TRIES_NOW = 1000;
const RETRY_MS = 1;

/** What runs on a handle. */
export class Activity {
  readonly #catalog: Catalog;
  readonly #lease: string;
  readonly #lock: LeaseFile;
  readonly #running = new Set<RunningOperation>();
  /** What the lease's row says. */
  #registered: number;
  #writing: Promise<void> = Promise.resolve();

  /**
   * @param path of the lock's file, which exists.
   * @param lease name of the lease, which is registered in the catalog's generation.
   */
  constructor(catalog: Catalog, path: string, lease: string) {
    this.#catalog = catalog;
    this.#lease = lease;
    this.#lock = new LeaseFile(path);
    this.#registered = catalog.leaseGeneration(lease) ?? 0;
  }

  /** Begins an operation. @throws StoreError LOCKED, CORRUPT, STORAGE. */
  async begin(signal: AbortSignal | undefined): Promise<RunningOperation> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const operation = this.#tryToBegin();
      if (operation !== undefined) return operation;
      await delay(RETRY_MS, undefined, signal === undefined ? {} : { signal });
    }
    throw this.#locked();
  }

  /** The same for whoever cannot wait, and stops the thread instead. */
  beginNow(): RunningOperation {
    for (let tries = 0; tries < MAX_TRIES_NOW; tries++) {
      const operation = this.#tryToBegin();
      if (operation !== undefined) return operation;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
    throw this.#locked();
  }

  /** Undefined while a collection looks whether this handle is at work. */
  #tryToBegin(): RunningOperation | undefined {
    if (this.#running.size === 0 && !this.#lock.take()) return undefined;
    try {
      const operation: RunningOperation = {
        generation: this.#catalog.generation,
        end: () => this.#end(operation),
      };
      this.#running.add(operation);
      this.#register();
      return operation;
    } catch (error) {
      if (this.#running.size === 0) this.#lock.giveBack();
      throw error;
    }
  }

  #locked(): StoreError {
    const { path: file } = this.#lock;
    return new StoreError('LOCKED', 'somebody else holds the lock of this handle', { file });
  }

  #end(operation: RunningOperation): void {
    if (!this.#running.delete(operation)) return;
    if (this.#running.size === 0) this.#lock.giveBack();
    else this.#register();
  }

  /** The generation of the oldest operation but one; undefined when there is none. */
  oldestBut(operation: RunningOperation): number | undefined {
    const others = [...this.#running].filter((other) => other !== operation);
    return others.length === 0 ? undefined : oldestOf(others);
  }

  /** Brings the lease's row up to date: nothing is wrong while it is too old, only slower. */
  #register(): void {
    const oldest = oldestOf(this.#running);
    if (oldest <= this.#registered) return;
    this.#registered = oldest;
    const write = () => this.#catalog.putLease(this.#lease, process.pid, oldest);
    this.#writing = this.#writing.then(write).catch(() => {
      // On a full disk, say: others wait for the end of what runs here instead.
      this.#registered = 0;
    });
  }

  /** Waits for what is being written, and closes the file. */
  async close(): Promise<void> {
    await this.#writing;
    this.#lock.close();
  }
}

function oldestOf(operations: Iterable<RunningOperation>): number {
  return Math.min(...Array.from(operations, ({ generation }) => generation));
}
