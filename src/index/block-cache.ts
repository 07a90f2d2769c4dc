/**
 * Blocks of runs in memory: one slab of a fixed size, in which the block that came first makes
 * room for the next. Blocks go by keys that are never used again.
 */
import { BLOCK_BYTES } from './format.ts';

const MIN_PLACES = 16;

/** Keeps the blocks that were read last. */
export class BlockCache {
  /** The slab. */
  readonly bytes: Uint8Array;
  /** The slab, for reading numbers. */
  readonly view: DataView;
  /** Key to place, and back. */
  readonly #placeOf = new Map<number, number>();
  readonly #keyAt: Float64Array;
  #nextPlace = 0;

  /** @param cacheBytes memory; at least 64 KiB are used. */
  constructor(cacheBytes: number) {
    const places = Math.max(MIN_PLACES, Math.floor(cacheBytes / BLOCK_BYTES));
    this.bytes = new Uint8Array(places * BLOCK_BYTES);
    this.view = new DataView(this.bytes.buffer);
    this.#keyAt = new Float64Array(places).fill(-1);
  }

  /** Where the block with this key starts in the slab, or -1 when it is not there. */
  find(key: number): number {
    const place = this.#placeOf.get(key);
    return place === undefined ? -1 : place * BLOCK_BYTES;
  }

  /** Gives room for a block, which nobody finds before it is kept; returns where it starts. */
  makeRoom(): number {
    const place = this.#nextPlace;
    this.#nextPlace = (place + 1) % this.#keyAt.length;
    this.#placeOf.delete(this.#keyAt[place] as number);
    this.#keyAt[place] = -1;
    return place * BLOCK_BYTES;
  }

  /** Says that the block with this key is complete at `base`. */
  keep(key: number, base: number): void {
    const place = base / BLOCK_BYTES;
    this.#placeOf.set(key, place);
    this.#keyAt[place] = key;
  }
}
