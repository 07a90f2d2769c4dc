/**
 * Time and randomness: the only file of the library that asks for them. Both only make names;
 * nothing that keeps data safe depends on the clock.
 */
import { randomBytes } from 'node:crypto';
import { setImmediate as afterEvents } from 'node:timers/promises';
import { idToText, makeId } from '../bytes/id.ts';

/** Milliseconds since 1970. */
export function now(): number {
  return Date.now();
}

/** Milliseconds of a clock that only goes forward, for waiting and pacing. */
export function monotonicMs(): number {
  return performance.now();
}

/** A new snapshot id. */
export function newSnapshotId(): Uint8Array {
  return makeId(now(), randomBytes(10));
}

/** A new identity of a segment or a store. */
export function newIdentity(): Uint8Array {
  return randomBytes(16);
}

/** A new name for a lease or a temporary file. */
export function newName(): string {
  return idToText(newSnapshotId());
}

/** Gives the event loop a turn whenever work has held the thread for longer than this. */
const TURN_MS = 4;

/** Lets work on the calling thread breathe between its slices. */
export class Pacer {
  readonly #signal: AbortSignal | undefined;
  #turnStarted: number = monotonicMs();

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Call between slices; throws the signal's reason when it has fired. */
  async pause(): Promise<void> {
    this.#signal?.throwIfAborted();
    if (monotonicMs() - this.#turnStarted < TURN_MS) return;
    // Once lets events in, and goes on before timers: what comes next would hold them up as well.
    await afterEvents();
    await afterEvents();
    this.#turnStarted = monotonicMs();
    this.#signal?.throwIfAborted();
  }
}
