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
  /** Ends with the turn of the event loop that was given away last. */
  #lastTurn: Promise<void> = Promise.resolve();

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Call between slices; throws the signal's reason when it has fired. */
  async pause(): Promise<void> {
    this.#signal?.throwIfAborted();
    if (monotonicMs() - this.#turnStarted < TURN_MS) return;
    // A turn for each that waits: several that went on in one would hold the thread together.
    this.#lastTurn = afterTurn(this.#lastTurn);
    await this.#lastTurn;
    this.#turnStarted = monotonicMs();
    this.#signal?.throwIfAborted();
  }
}

async function afterTurn(before: Promise<void>): Promise<void> {
  await before;
  // Once lets events in, and goes on before timers: what comes next would hold them up as well.
  await afterEvents();
  await afterEvents();
}
