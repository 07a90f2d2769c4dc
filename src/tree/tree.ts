/**
 * A stored tree: its blocks, as they lie in the space `tree`, read in the order of their paths.
 *
 * Every block begins at an address that is a multiple of 64 pages, and keeps it as long as its
 * first path stays and it fits: what changes in it is a few delta pages. The order of addresses is
 * not that of paths: the first path of each block is.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import { StoreError } from '../errors.ts';
import { BlockCursor, type BlockPlace } from './block.ts';
import type { TreeBody } from './body.ts';
import { comparePaths } from './entry.ts';

/** Pages between two addresses where blocks may begin. */
export const BLOCK_STRIDE = 64;

/** Where the pages of a space lie: runs of pages, ascending by address. */
export interface SpaceRuns {
  readonly runStart: Float64Array;
  readonly runLength: Float64Array;
}

/** Reads a tree, path by path. */
export class StoredTree {
  /** In the order of paths. */
  readonly blocks: readonly BlockPlace[];
  readonly #bytes: Uint8Array;
  readonly #file: string;

  /**
   * @param bytes the whole space.
   * @param file for errors.
   * @throws StoreError CORRUPT, here and while reading.
   */
  constructor(bytes: Uint8Array, runs: SpaceRuns, file: string) {
    this.#bytes = bytes;
    this.#file = file;
    this.blocks = findBlocks(bytes, runs, file);
  }

  /** A cursor before the first path. */
  cursor(): TreeCursor {
    return new TreeCursor(this.blocks, (block) => this.open(block));
  }

  /** A cursor before the first path of a block. */
  open({ offset }: BlockPlace): BlockCursor {
    return new BlockCursor(this.#bytes.subarray(offset), { file: this.#file, offset });
  }

  /** The pages of a block. */
  bytesOf({ offset, pages }: BlockPlace): Uint8Array {
    return this.#bytes.subarray(offset, offset + pages * PAGE_BYTES);
  }
}

/** Walks all records of a tree. */
export class TreeCursor {
  /** Number of the current record, from 0. */
  ordinal = -1;
  readonly #blocks: readonly BlockPlace[];
  readonly #open: (block: BlockPlace) => BlockCursor;
  #next = 0;
  #cursor: BlockCursor | undefined;
  #lastPath: Uint8Array | undefined;

  /** @internal */
  constructor(blocks: readonly BlockPlace[], open: (block: BlockPlace) => BlockCursor) {
    this.#blocks = blocks;
    this.#open = open;
  }

  /** Goes to the next record; false when there is none. */
  next(): boolean {
    while (this.#cursor?.next() !== true) {
      const block = this.#blocks[this.#next];
      if (block === undefined) return false;
      this.#next += 1;
      this.#lastPath = this.#cursor?.path;
      this.#cursor = this.#open(block);
    }
    if (this.#lastPath !== undefined && comparePaths(this.#lastPath, this.path) >= 0) {
      throw new StoreError('CORRUPT', 'blocks of a tree overlap');
    }
    this.#lastPath = undefined;
    this.ordinal += 1;
    return true;
  }

  /** Number of the current record's block in the order of paths. */
  get block(): number {
    return this.#next - 1;
  }

  /** The current record's number in its block, from 1, and how many the block has. */
  get doneInBlock(): number {
    return (this.#cursor as BlockCursor).done;
  }

  /** See above. */
  get countOfBlock(): number {
    return (this.#cursor as BlockCursor).count;
  }

  /** Whether the current path is that of a name in a directory: see {@link BlockCursor}. */
  isAt(directory: string, name: string): boolean {
    return (this.#cursor as BlockCursor).isAt(directory, name);
  }

  /** Path of the current record. */
  get path(): Uint8Array {
    return (this.#cursor as BlockCursor).path;
  }

  /** What it says. */
  get body(): TreeBody {
    return (this.#cursor as BlockCursor).body;
  }

  /** The same, as it is written. */
  get bodyBytes(): Uint8Array {
    return (this.#cursor as BlockCursor).bodyBytes;
  }
}

function findBlocks(bytes: Uint8Array, runs: SpaceRuns, file: string): BlockPlace[] {
  const places: BlockPlace[] = [];
  let offset = 0;
  for (let run = 0; run < runs.runStart.length; run++) {
    let address = runs.runStart[run] as number;
    const end = address + (runs.runLength[run] as number);
    while (address < end) {
      const place = { file, offset };
      const cursor = new BlockCursor(bytes.subarray(offset), place);
      if (address + cursor.pages > end || address % BLOCK_STRIDE !== 0) {
        throw new StoreError('CORRUPT', 'a block of a tree lies where none can', place);
      }
      cursor.next();
      places.push({ firstPath: cursor.path, address, pages: cursor.pages, offset });
      address += cursor.pages;
      offset += cursor.pages * PAGE_BYTES;
    }
  }
  if (offset !== bytes.length) {
    throw new StoreError('CORRUPT', 'a tree has more or fewer pages than addresses', { file });
  }
  return places.sort((a, b) => comparePaths(a.firstPath, b.firstPath));
}
