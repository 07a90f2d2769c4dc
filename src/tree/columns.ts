/** Columns of numbers that grow by doubling: what a tree of a million files is counted in. */

/** Numbers, appended one by one. */
export class NumberColumn {
  #values = new Float64Array(256);
  #length = 0;

  /** How many there are. */
  get length(): number {
    return this.#length;
  }

  /** Appends one. */
  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Float64Array(this.#length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length++] = value;
  }

  /** What was appended; valid until the next one. */
  values(): Float64Array {
    return this.#values.subarray(0, this.#length);
  }
}

/** 64-bit numbers, appended one by one. */
export class BigColumn {
  #values = new BigInt64Array(256);
  #length = 0;

  /** Appends one. */
  push(value: bigint): void {
    if (this.#length === this.#values.length) {
      const grown = new BigInt64Array(this.#length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length++] = value;
  }

  /** What was appended; valid until the next one. */
  values(): BigInt64Array {
    return this.#values.subarray(0, this.#length);
  }
}

/** A copy in memory that all threads share. */
export function shareNumbers(values: Float64Array): Float64Array {
  const shared = new Float64Array(new SharedArrayBuffer(values.byteLength));
  shared.set(values);
  return shared;
}

/** A copy in memory that all threads share. */
export function shareBigs(values: BigInt64Array): BigInt64Array {
  const shared = new BigInt64Array(new SharedArrayBuffer(values.byteLength));
  shared.set(values);
  return shared;
}
