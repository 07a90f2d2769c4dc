/** Numbers that follow from a seed: the same on every machine, and fast enough for gigabytes. */

/** 32 bits that look random and depend on nothing but the arguments (MurmurHash3's finalizer). */
export function mixed(seed: number, value: number): number {
  let h = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(value + 0x7f4a7c15, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The same as a fraction of 1. */
export function share(seed: number, value: number): number {
  return mixed(seed, value) / 2 ** 32;
}

/** A stream of random numbers (Marsaglia's xorshift, 32 bits): 1 ns each. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = mixed(seed, 1) || 1;
  }

  /** A whole number below 2 ** 32. */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    return this.next() % limit;
  }

  /** A positive number of this mean; small ones are the most frequent (exponential). */
  around(mean: number): number {
    return -Math.log((this.next() + 1) / 2 ** 32) * mean;
  }
}
