/**
 * Builds a run from entries in any order, whatever their number: what does not fit into memory is
 * spilled as runs, which are merged in the end. Work that takes long yields between slices.
 *
 * Memory: 20 bytes an entry, for 512 Ki entries: 10 MB.
 */
import { DIGEST_BYTES } from '#digest';
import type { Files } from '../files/files.ts';
import { prefixAt, restAt } from './digest-prefix.ts';
import { type Entries, grownEntries, newEntries, SLICE_ENTRIES, sortEntries } from './entries.ts';
import { compareIdentities, MAX_RUN_SEGMENTS, type RunShape } from './format.ts';
import { joinIdentities, mergeRuns, type RunToMerge } from './merge.ts';
import { RunWriter } from './run-writer.ts';
import { MAX_MERGED_RUNS } from './tiers.ts';

/** Entries in memory before they are spilled. */
export const BUILD_ENTRIES: number = 512 * 1024;
const FIRST_CAPACITY = 1024;

/** How a builder works. */
export interface BuilderOptions {
  /** A new path for a file that is spilled; whoever gives it takes it away if all fails. */
  readonly newPath: () => string;
  /** Entries in memory; another number than {@link BUILD_ENTRIES} is for tests. */
  readonly capacity?: number;
}

/** A run in the making. */
export class RunBuilder {
  readonly #files: Files;
  readonly #newPath: () => string;
  readonly #capacity: number;
  #entries: Entries = newEntries(FIRST_CAPACITY);
  #count = 0;
  /** Identities by the numbers that entries have in memory. */
  readonly #identities: Uint8Array[] = [];
  readonly #abandoned = new Set<Uint8Array>();
  #spilled: RunToMerge[] = [];
  #total = 0;

  constructor(files: Files, { newPath, capacity = BUILD_ENTRIES }: BuilderOptions) {
    this.#files = files;
    this.#newPath = newPath;
    this.#capacity = capacity;
  }

  /** Entries added so far. */
  get entryCount(): number {
    return this.#total;
  }

  /** Segments begun so far; at most {@link MAX_RUN_SEGMENTS} may be. */
  get segmentCount(): number {
    return this.#identities.length;
  }

  /** Whether the run would cover nothing. */
  get isEmpty(): boolean {
    return this.#identities.length === this.#abandoned.size;
  }

  /** Begins a segment: what is added from now on is in it. */
  beginSegment(identity: Uint8Array): void {
    if (this.segmentCount === MAX_RUN_SEGMENTS) throw new RangeError('too many segments');
    this.#identities.push(identity);
  }

  /** Takes the segment that was begun last out of the run. */
  abandonSegment(): void {
    this.#abandoned.add(this.#identities.at(-1) as Uint8Array);
  }

  /** Whether no more entries fit: `spill` comes first. */
  get isFull(): boolean {
    return this.#count === this.#capacity;
  }

  /** Adds a page of the current segment; there must be room. */
  add(prefix: number, rest: number, slot: number): void {
    const i = this.#count;
    if (i === this.#entries.prefix.length) this.#grow();
    this.#entries.prefix[i] = prefix;
    this.#entries.rest[i] = rest;
    this.#entries.segment[i] = this.#identities.length - 1;
    this.#entries.slot[i] = slot;
    this.#count = i + 1;
    this.#total += 1;
  }

  /** Adds the pages in `slots`, of which as many as there is room for; returns how many. */
  addPages(digests: Uint8Array, slots: readonly number[], first: number): number {
    const room = this.#capacity - this.#count;
    const end = Math.min(slots.length, first + room);
    for (let i = first; i < end; i++) {
      const offset = i * DIGEST_BYTES;
      this.add(prefixAt(digests, offset), restAt(digests, offset), slots[i] as number);
    }
    return end;
  }

  #grow(): void {
    if (this.isFull) throw new RangeError('entries are to be spilled first');
    const capacity = Math.min(this.#capacity, this.#entries.prefix.length * 2);
    this.#entries = grownEntries(this.#entries, capacity);
  }

  /** Writes what is in memory to a file. */
  *spill(): Generator<void> {
    const path = this.#newPath();
    this.#spilled.push(yield* this.#write(path));
    if (this.#spilled.length === MAX_MERGED_RUNS) {
      const merged = this.#newPath();
      this.#spilled = [yield* this.#merge(merged, () => true)];
    }
  }

  /** Writes the run to `path`; the builder cannot be used afterwards. */
  *finish(path: string): Generator<void> {
    if (this.#spilled.length === 0 && this.#abandoned.size === 0) {
      yield* this.#write(path);
      return;
    }
    yield* this.spill();
    const abandoned = [...this.#abandoned];
    const isKept = (identity: Uint8Array) =>
      !abandoned.some((other) => compareIdentities(other, identity) === 0);
    yield* this.#merge(path, isKept);
  }

  /** Sorts and writes the entries in memory. */
  *#write(path: string): Generator<void, RunToMerge> {
    const count = this.#count;
    const table = this.#sortSegments();
    const order = yield* sortEntries(this.#entries, count);
    const writer = new RunWriter(this.#files, path, count);
    let shape: RunShape;
    try {
      const { prefix, rest, segment, slot } = this.#entries;
      for (let i = 0; i < count; i++) {
        const entry = order[i] as number;
        writer.add(
          prefix[entry] as number,
          rest[entry] as number,
          segment[entry] as number,
          slot[entry] as number,
        );
        if (i % SLICE_ENTRIES === SLICE_ENTRIES - 1) yield;
      }
      shape = writer.finish(table);
    } finally {
      writer.close();
    }
    this.#count = 0;
    return { path, shape, identities: table };
  }

  /** Gives entries the ordinals of a sorted table; returns the table. */
  #sortSegments(): Uint8Array {
    const order = this.#identities.map((identity, number) => ({ identity, number }));
    order.sort((a, b) => compareIdentities(a.identity, b.identity));
    const ordinals = new Uint16Array(order.length);
    order.forEach(({ number }, ordinal) => (ordinals[number] = ordinal));
    const { segment } = this.#entries;
    for (let i = 0; i < this.#count; i++) segment[i] = ordinals[segment[i] as number] as number;
    return joinIdentities(order.map(({ identity }) => identity));
  }

  *#merge(path: string, keep: (identity: Uint8Array) => boolean): Generator<void, RunToMerge> {
    const runs = this.#spilled;
    const merged = yield* mergeRuns(this.#files, runs, keep, path);
    for (const run of runs) this.#files.unlink(run.path);
    return merged;
  }
}
