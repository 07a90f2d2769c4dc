/** How much a verification may read, and for how long; what was begun is read to its end. */
import { monotonicMs } from './clock.ts';

/** What is left of bytes and time. */
export class Budget {
  /** Bytes spent so far. */
  bytes = 0;
  readonly #maxBytes: number;
  readonly #endMs: number;

  constructor(maxBytes: number | undefined, maxMilliseconds: number | undefined) {
    this.#maxBytes = checked('maxBytes', maxBytes);
    this.#endMs = monotonicMs() + checked('maxMilliseconds', maxMilliseconds);
  }

  /** Whether there is any. */
  get isBounded(): boolean {
    return this.#maxBytes < Infinity || this.#endMs < Infinity;
  }

  /** Whether nothing more is to be begun. */
  get isSpent(): boolean {
    return this.bytes >= this.#maxBytes || monotonicMs() >= this.#endMs;
  }

  /** Counts what is going to be read. */
  spend(bytes: number): void {
    this.bytes += bytes;
  }
}

function checked(name: string, value: number | undefined): number {
  if (value === undefined) return Infinity;
  if (typeof value !== 'number') throw new TypeError(`${name} is not a number`);
  if (value > 0) return value;
  throw new RangeError(`${name} is ${value}, not above 0`);
}
