/**
 * The blocks of digests of a pack, and whether they are what was written. Digests are read straight
 * from the pack, without their checksum: a damaged one is only not found. Who takes over what they
 * say looks here first.
 */
import { isDamage } from '../errors.ts';
import type { BlockPlace } from './footer.ts';
import type { FrameTable } from './frame-table.ts';

/** The blocks of digests of one pack. */
export class DigestBlocks {
  readonly #places: readonly BlockPlace[];
  readonly #read: (place: BlockPlace) => unknown;
  /** Blocks that somebody had doubts about. */
  readonly #right = new Map<BlockPlace, boolean>();

  /** @param read a block, against its checksum. */
  constructor(places: readonly BlockPlace[], read: (place: BlockPlace) => unknown) {
    this.#places = places;
    this.#read = read;
  }

  /** Checks every block against its checksum. @throws StoreError CORRUPT. */
  check(): void {
    for (const _ of this.steps());
  }

  /** The same, block by block. */
  *steps(): Generator<undefined> {
    for (const place of this.#places) {
      this.#read(place);
      yield;
    }
  }

  /** Whether the digests of the frame at `index` are what was written. */
  areRight(table: FrameTable, index: number): boolean {
    const { digestsOffset: at } = table.entryAt(index);
    const place = this.#places.find(({ offset, blockBytes }) => {
      return offset < at && at < offset + blockBytes;
    });
    if (place === undefined) return false;
    let isRight = this.#right.get(place);
    if (isRight === undefined) this.#right.set(place, (isRight = this.#isRight(place)));
    return isRight;
  }

  #isRight(place: BlockPlace): boolean {
    try {
      this.#read(place);
      return true;
    } catch (error) {
      if (!isDamage(error)) throw error;
      return false;
    }
  }
}
