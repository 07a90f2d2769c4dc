/**
 * Puts the blocks of a tree together, of records that a base has and of others. A block of the base
 * all of whose records are kept, and which begins where one may begin, is taken as it is; only when
 * something else comes in between are its records copied one by one.
 */
import { BlockBuilder, type BlockPlace, type TreeBlock } from './block.ts';
import type { StoredTree, TreeCursor } from './tree.ts';

/** A block of the base whose records have been kept, from the first on. */
interface KeptBlock {
  /** Number of the block in the base. */
  readonly block: number;
  kept: number;
  readonly count: number;
  /** Of the last record; undefined as long as there are others behind it. */
  lastPath: Uint8Array | undefined;
}

/** Builds blocks, some of them those of a base. */
export class KeptBlocks {
  readonly #base: StoredTree | undefined;
  readonly #builder = new BlockBuilder();
  readonly #blocks: TreeBlock[] = [];
  #pending: KeptBlock | undefined;

  constructor(base: StoredTree | undefined) {
    this.#base = base;
  }

  /** Appends a record; see {@link BlockBuilder}. */
  add(path: Uint8Array, body: Uint8Array): void {
    this.#settle(false);
    this.#append(path, body);
  }

  /** Appends the base's record that the cursor is at. */
  keep(cursor: TreeCursor): void {
    const pending = this.#pending;
    const { block, doneInBlock } = cursor;
    if (pending !== undefined && pending.block === block && pending.kept + 1 === doneInBlock) {
      pending.kept = doneInBlock;
      if (doneInBlock === pending.count) pending.lastPath = cursor.path;
      return;
    }
    this.#settle(false);
    if (doneInBlock !== 1 || !this.#builder.isEmpty) {
      this.#append(cursor.path, cursor.bodyBytes);
      return;
    }
    const count = cursor.countOfBlock;
    const lastPath = count === 1 ? cursor.path : undefined;
    this.#pending = { block, kept: 1, count, lastPath };
  }

  /** All blocks, in the order of their paths. */
  finish(): readonly TreeBlock[] {
    this.#settle(true);
    const last = this.#builder.finish();
    if (last !== undefined) this.#blocks.push(last);
    return this.#blocks;
  }

  #append(path: Uint8Array, body: Uint8Array): void {
    const block = this.#builder.add(path, body);
    if (block !== undefined) this.#blocks.push(block);
  }

  /** Decides what becomes of the records that are kept so far. */
  #settle(isEnd: boolean): void {
    const pending = this.#pending;
    const base = this.#base;
    if (pending === undefined || base === undefined) return;
    this.#pending = undefined;
    const place = base.blocks[pending.block] as BlockPlace;
    // The last block of a tree ends with the tree, whatever its last path is.
    const mayEnd = isEnd || pending.block < base.blocks.length - 1;
    if (pending.lastPath !== undefined && mayEnd) {
      this.#blocks.push({ firstPath: place.firstPath, bytes: base.bytesOf(place), kept: place });
      this.#builder.continueAfter(pending.lastPath);
      return;
    }
    const cursor = base.open(place);
    for (let i = 0; i < pending.kept; i++) {
      cursor.next();
      this.#append(cursor.path, cursor.bodyBytes);
    }
  }
}
