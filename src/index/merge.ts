/**
 * Merges runs: one pass over all of them at once, front to back, in slices. In memory are 64 KiB
 * for each, whatever their size.
 *
 * The tables of runs are sorted by identity, so entries that are in order by ordinal stay so when
 * the ordinals change, and the same entry of two runs meets itself.
 */
import { isDamage, StoreError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { readUpTo } from '../files/transfer.ts';
import { SLICE_ENTRIES } from './entries.ts';
import {
  BLOCK_BYTES,
  blockCountOf,
  blocksOffset,
  bytesOfBlock,
  compareIdentities,
  entriesOfBlock,
  identityAt,
  IDENTITY_BYTES,
  isBlockIntact,
  type RunShape,
} from './format.ts';
import { RunWriter } from './run-writer.ts';

/** A run to merge: of an index, or one that was spilled while a run was built. */
export interface RunToMerge {
  readonly path: string;
  readonly shape: RunShape;
  readonly identities: Uint8Array;
}

const BUFFER_BLOCKS = 16;

/** The entry at the front of a run. */
class RunCursor {
  /** The six bytes of the digest as one number; infinite at the end. */
  key = 0;
  prefix = 0;
  rest = 0;
  /** The segment's ordinal in the result. */
  segment = 0;
  slot = 0;
  readonly #files: Files;
  readonly #fd: number;
  readonly #run: RunToMerge;
  /** Ordinals here to ordinals in the result; -1 for segments that are dropped. */
  readonly #ordinals: Int32Array;
  readonly #buffer: Uint8Array;
  readonly #view: DataView;
  #nextBlock = 0;
  /** Blocks in the buffer, and where the current one starts. */
  #firstBuffered = 0;
  #bufferedBlocks = 0;
  #base = 0;
  #used = 0;
  #entry = 0;

  constructor(files: Files, run: RunToMerge, ordinals: Int32Array) {
    this.#files = files;
    this.#run = run;
    this.#ordinals = ordinals;
    const blocks = Math.min(BUFFER_BLOCKS, blockCountOf(run.shape));
    this.#buffer = new Uint8Array(blocks * BLOCK_BYTES);
    this.#view = new DataView(this.#buffer.buffer);
    this.#fd = files.open(run.path, 'read');
  }

  /** Goes to the next entry of a segment that is kept. */
  advance(): void {
    for (;;) {
      if (this.#entry === this.#used && !this.#enterBlock()) {
        this.key = Infinity;
        return;
      }
      const i = this.#entry++;
      const used = this.#used;
      const ordinal = this.#view.getUint16(this.#base + used * 10 + i * 2, true);
      const segment = this.#ordinals[ordinal] ?? -1;
      if (segment < 0) continue;
      this.segment = segment;
      this.prefix = this.#view.getUint32(this.#base + i * 4, true);
      this.rest = this.#view.getUint16(this.#base + used * 8 + i * 2, true);
      this.slot = this.#view.getUint32(this.#base + (used + i) * 4, true);
      this.key = this.prefix * 0x10000 + this.rest;
      return;
    }
  }

  #enterBlock(): boolean {
    const { shape } = this.#run;
    const block = this.#nextBlock;
    const used = entriesOfBlock(shape, block);
    if (used <= 0) return false;
    if (block >= this.#firstBuffered + this.#bufferedBlocks) this.#fill(block);
    this.#base = (block - this.#firstBuffered) * BLOCK_BYTES;
    const bytes = this.#buffer.subarray(this.#base, this.#base + bytesOfBlock(used));
    if (!isBlockIntact(bytes)) {
      const offset = blocksOffset(shape) + block * BLOCK_BYTES;
      throw new StoreError('CORRUPT', 'damaged block of a run', { file: this.#run.path, offset });
    }
    this.#nextBlock = block + 1;
    this.#used = used;
    this.#entry = 0;
    return true;
  }

  #fill(block: number): void {
    // What cannot be read any more fails its checksum.
    this.#buffer.fill(0);
    const offset = blocksOffset(this.#run.shape) + block * BLOCK_BYTES;
    try {
      readUpTo(this.#files, this.#fd, this.#buffer, offset);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    this.#firstBuffered = block;
    this.#bufferedBlocks = this.#buffer.length / BLOCK_BYTES;
  }

  /** Whether this entry comes before another one. */
  isBefore(other: RunCursor): boolean {
    if (this.key !== other.key) return this.key < other.key;
    if (this.segment !== other.segment) return this.segment < other.segment;
    return this.slot < other.slot;
  }

  close(): void {
    this.#files.close(this.#fd);
  }
}

/**
 * Writes the entries of `runs` into a new run at `path`, in slices; those of segments that `keep`
 * refuses are dropped, and so are second copies.
 *
 * @throws StoreError CORRUPT with the path of a run that is damaged; a system error.
 */
export function* mergeRuns(
  files: Files,
  runs: readonly RunToMerge[],
  keep: (identity: Uint8Array) => boolean,
  path: string,
): Generator<void, RunToMerge> {
  const identities = unitedIdentities(runs, keep);
  const opened: { close(): void }[] = [];
  try {
    const cursors = runs.map((run) => {
      const cursor = new RunCursor(files, run, ordinalsIn(identities, run.identities));
      opened.push(cursor);
      return cursor;
    });
    const maximum = runs.reduce((sum, { shape }) => sum + shape.entryCount, 0);
    const writer = new RunWriter(files, path, maximum);
    opened.push(writer);
    yield* copyInOrder(cursors, writer);
    return { path, shape: writer.finish(identities), identities };
  } finally {
    for (const file of opened) file.close();
  }
}

function* copyInOrder(cursors: RunCursor[], writer: RunWriter): Generator<void> {
  for (const cursor of cursors) cursor.advance();
  let lastKey = -1;
  let lastSegment = -1;
  let lastSlot = -1;
  for (let copied = 1; ; copied++) {
    // There are at most 16: looking at all of them is faster than keeping a heap.
    let front = cursors[0] as RunCursor;
    for (let i = 1; i < cursors.length; i++) {
      const cursor = cursors[i] as RunCursor;
      if (cursor.key <= front.key && cursor.isBefore(front)) front = cursor;
    }
    const { key, segment, slot } = front;
    if (key === Infinity) return;
    if (key !== lastKey || segment !== lastSegment || slot !== lastSlot) {
      writer.add(front.prefix, front.rest, segment, slot);
      lastKey = key;
      lastSegment = segment;
      lastSlot = slot;
    }
    front.advance();
    if (copied % SLICE_ENTRIES === 0) yield;
  }
}

/** The identities of all tables that are kept, each once, ascending. */
function unitedIdentities(
  runs: readonly RunToMerge[],
  keep: (identity: Uint8Array) => boolean,
): Uint8Array {
  const all = runs.flatMap(({ identities, shape }) =>
    Array.from({ length: shape.segmentCount }, (_, ordinal) => identityAt(identities, ordinal)),
  );
  const kept = all.filter(keep).sort(compareIdentities);
  const united = kept.filter(
    (identity, i) => i === 0 || compareIdentities(kept[i - 1] as Uint8Array, identity) !== 0,
  );
  return joinIdentities(united);
}

/** A table of identities. */
export function joinIdentities(identities: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(identities.length * IDENTITY_BYTES);
  for (const [i, identity] of identities.entries()) joined.set(identity, i * IDENTITY_BYTES);
  return joined;
}

/** For each identity of `table` its ordinal in `united`, or -1; both are ascending. */
function ordinalsIn(united: Uint8Array, table: Uint8Array): Int32Array {
  const ordinals = new Int32Array(table.length / IDENTITY_BYTES).fill(-1);
  const count = united.length / IDENTITY_BYTES;
  let at = 0;
  for (let ordinal = 0; ordinal < ordinals.length; ordinal++) {
    const identity = identityAt(table, ordinal);
    while (at < count && compareIdentities(identityAt(united, at), identity) < 0) at += 1;
    if (at < count && compareIdentities(identityAt(united, at), identity) === 0) {
      ordinals[ordinal] = at;
    }
  }
  return ordinals;
}
