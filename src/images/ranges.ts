/**
 * Columns of page ranges that grow: where a range of memory is found in a chain of directories.
 *
 * Addresses, lengths and offsets are in units of 4096 bytes; 33 bytes a range, in typed arrays,
 * because a chain may need a million of them.
 */

/** One range of pages that lie together in one pages file. */
export interface Range {
  /** Address / 4096. */
  readonly start: number;
  readonly length: number;
  readonly flags: number;
  /** Which directory of the chain has the pages, 0 for the first. */
  readonly level: number;
  /** Where they begin in its pages file. */
  readonly offset: number;
}

/** Ranges, as columns. */
export class Ranges {
  length = 0;
  starts: Float64Array = new Float64Array(16);
  lengths: Float64Array = new Float64Array(16);
  flags: Uint8Array = new Uint8Array(16);
  levels: Uint32Array = new Uint32Array(16);
  offsets: Float64Array = new Float64Array(16);

  /** Appends a range. */
  push(range: Range): void {
    if (this.length === this.starts.length) this.#grow();
    const i = this.length++;
    this.starts[i] = range.start;
    this.lengths[i] = range.length;
    this.flags[i] = range.flags;
    this.levels[i] = range.level;
    this.offsets[i] = range.offset;
  }

  #grow(): void {
    const capacity = this.length * 2;
    this.starts = grown(this.starts, new Float64Array(capacity));
    this.lengths = grown(this.lengths, new Float64Array(capacity));
    this.flags = grown(this.flags, new Uint8Array(capacity));
    this.levels = grown(this.levels, new Uint32Array(capacity));
    this.offsets = grown(this.offsets, new Float64Array(capacity));
  }

  /** The range at an index. */
  at(index: number): Range {
    return {
      start: this.starts[index] ?? 0,
      length: this.lengths[index] ?? 0,
      flags: this.flags[index] ?? 0,
      level: this.levels[index] ?? 0,
      offset: this.offsets[index] ?? 0,
    };
  }

  /** The same ranges in the order of their addresses. */
  sorted(): Ranges {
    const order = Uint32Array.from({ length: this.length }, (_, i) => i);
    order.sort((a, b) => (this.starts[a] ?? 0) - (this.starts[b] ?? 0));
    const result = new Ranges();
    for (const index of order) result.push(this.at(index));
    return result;
  }
}

function grown<T extends Float64Array | Uint32Array | Uint8Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
