/**
 * How long a collection may take. It is looked at between steps of work, none of which is large;
 * the first step is done however little time there is: so whoever calls again and again, and goes
 * on where the last call has stopped, gets to the end.
 */
import { monotonicMs } from './clock.ts';
import type { Patience } from './retired.ts';

/** How long other operations are waited for at most. */
const PATIENCE_MS = 5000;

/** The time is over: what was found so far is remembered, and nothing is left half done. */
export class TimeIsOver extends Error {
  constructor() {
    super('the time of the collection is over');
  }
}

/** The time of one collection. */
export class TimeLimit {
  readonly #endMs: number;
  readonly #nowMs: () => number;
  #hasWorked = false;

  /** @param nowMs the clock; another one than the system's is for tests. */
  constructor(maxMilliseconds: number, nowMs: () => number = monotonicMs) {
    this.#nowMs = nowMs;
    this.#endMs = nowMs() + maxMilliseconds;
  }

  /** Whether there is a limit at all. */
  get isLimited(): boolean {
    return this.#endMs !== Infinity;
  }

  /** Whether nothing more is to be begun. */
  get isOver(): boolean {
    return this.#hasWorked && this.#nowMs() >= this.#endMs;
  }

  /** Call before each step. @throws TimeIsOver. */
  check(): void {
    if (this.isOver) throw new TimeIsOver();
  }

  /** Call after each step that the next collection will not have to do again. */
  worked(): void {
    this.#hasWorked = true;
  }

  /** How long to wait for others: half of what is left at most, the rest is for work. */
  patience(signal: AbortSignal | undefined): Patience {
    const nowMs = this.#nowMs();
    const halfMs = Math.max(0, this.#endMs - nowMs) / 2;
    return { deadlineMs: nowMs + Math.min(halfMs, PATIENCE_MS), signal };
  }
}
