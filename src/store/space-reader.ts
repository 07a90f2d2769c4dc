/**
 * Reads a stored file front to back, one leaf (512 pages, 2 MiB) at a time, and checks each leaf
 * before it is handed on: what restore writes, and verify counts, is what was captured.
 */
import { DIGEST_BYTES, sha256, sha256Into } from '#digest';
import { sameBytes } from '../bytes/hex.ts';
import { PAGE_BYTES, pagesOf } from '../bytes/page.ts';
import { StoreError } from '../errors.ts';
import { LEAF_PAGES, ZERO_PAGE_DIGEST } from '../manifest/leaves.ts';
import type { Content } from '../manifest/manifest.ts';
import { RecipeCursor } from '../manifest/recipe.ts';
import type { PageReader } from './page-reader.ts';

/** Bytes that a leaf covers. */
export const LEAF_BYTES: number = LEAF_PAGES * PAGE_BYTES;

/** What a stored file belongs to, for errors. */
export interface SpacePlace {
  /** Id of the snapshot. */
  readonly snapshot: string;
  /** Name of the image. */
  readonly image: string;
  /** Segments that the manifest refers to. */
  readonly segmentCount: number;
}

/** A part of a file that has been read and checked. */
export interface CheckedSlice {
  /** Valid until the next slice. */
  readonly bytes: Uint8Array;
  readonly offset: number;
  /** For each page of the slice: 1 when it is a zero page of the recipe, a hole to be. */
  readonly zero: Uint8Array;
}

/** Buffers for reading files, one after the other. */
export class SpaceReader {
  readonly #pages: PageReader;
  readonly #bytes: Buffer = Buffer.allocUnsafeSlow(LEAF_BYTES);
  readonly #views: readonly Buffer[];
  readonly #digests: Buffer = Buffer.alloc(LEAF_PAGES * DIGEST_BYTES);
  readonly #zero = new Uint8Array(LEAF_PAGES);

  constructor(pages: PageReader) {
    this.#pages = pages;
    const viewOf = (_: unknown, i: number) =>
      this.#bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
    this.#views = Array.from({ length: LEAF_PAGES }, viewOf);
  }

  /**
   * The slices of a file, in order.
   *
   * @throws StoreError CORRUPT when pages cannot be read or do not match their leaf.
   */
  *slices(content: Content, place: SpacePlace): Generator<CheckedSlice> {
    const { sizeBytes, recipe, leaves } = content;
    const pageCount = pagesOf(sizeBytes);
    const cursor = new RecipeCursor(recipe, pageCount, place.segmentCount, place.image);
    let used = 0;
    for (let leaf = 0; leaf * LEAF_PAGES < pageCount; leaf++) {
      const pages = Math.min(LEAF_PAGES, pageCount - leaf * LEAF_PAGES);
      used = this.#fill(cursor, used, pages);
      const offset = leaf * LEAF_BYTES;
      const length = Math.min(LEAF_BYTES, sizeBytes - offset);
      const expected = leaves.subarray(leaf * DIGEST_BYTES, (leaf + 1) * DIGEST_BYTES);
      if (!sameBytes(this.#leafOf(length), expected)) {
        const { image: file, snapshot } = place;
        throw new StoreError('CORRUPT', 'stored pages are not those captured', {
          file,
          offset,
          snapshot,
        });
      }
      const zero = this.#zero.subarray(0, pages);
      yield { bytes: this.#bytes.subarray(0, length), offset, zero };
    }
    if (used !== cursor.pages || cursor.next()) throw tooLong(place);
  }

  /** Fills the buffer with the next pages; `used` of the cursor's run are consumed already. */
  #fill(cursor: RecipeCursor, used: number, pages: number): number {
    let done = 0;
    while (done < pages) {
      if (used === cursor.pages) {
        cursor.next();
        used = 0;
      }
      const count = Math.min(cursor.pages - used, pages - done);
      const isZero = cursor.segment < 0;
      this.#zero.fill(isZero ? 1 : 0, done, done + count);
      if (isZero) this.#bytes.fill(0, done * PAGE_BYTES, (done + count) * PAGE_BYTES);
      else {
        const offset = done * PAGE_BYTES;
        this.#pages.copy(cursor.segment, cursor.slot + used, count, this.#bytes, offset);
      }
      done += count;
      used += count;
    }
    return used;
  }

  #leafOf(length: number): Uint8Array {
    const pages = pagesOf(length);
    const whole = Math.floor(length / PAGE_BYTES);
    for (let i = 0; i < whole; i++) {
      if (this.#zero[i] === 1) this.#digests.set(ZERO_PAGE_DIGEST, i * DIGEST_BYTES);
      else sha256Into(this.#views[i] as Buffer, this.#digests, i * DIGEST_BYTES);
    }
    if (pages > whole) {
      const last = this.#bytes.subarray(whole * PAGE_BYTES, length);
      sha256Into(last, this.#digests, whole * DIGEST_BYTES);
    }
    return sha256(this.#digests.subarray(0, pages * DIGEST_BYTES));
  }
}

function tooLong({ image: file, snapshot }: SpacePlace): StoreError {
  return new StoreError('CORRUPT', 'recipe is longer than its file', { file, snapshot });
}
