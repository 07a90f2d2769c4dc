/**
 * The digests that tie a file together: leaves over 512 pages each, and a root over the leaves
 * (FORMAT.md, section 4). A hash tree of two levels (Merkle, 1987): a restore can check 2 MiB at a
 * time, for 0.06 bytes a page.
 */
import { DIGEST_BYTES, sha256, startSha256 } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';

/** Pages that one leaf covers. */
export const LEAF_PAGES = 512;

/** Leaves of a space. */
export function leafCount(pageCount: number): number {
  return Math.ceil(pageCount / LEAF_PAGES);
}

/** The digest of a full page of zeros. */
export const ZERO_PAGE_DIGEST: Uint8Array = sha256(new Uint8Array(PAGE_BYTES));

/** Builds the leaves of a space from the digests of its pages. */
export class LeafBuilder {
  readonly #digests = new Uint8Array(LEAF_PAGES * DIGEST_BYTES);
  #pages = 0;
  #leaves = new Uint8Array(DIGEST_BYTES * 4);
  #count = 0;

  /** Appends the digests of consecutive pages, of which `digests` begins with the first. */
  addAll(digests: Uint8Array, pages: number): void {
    for (let first = 0; first < pages;) {
      const count = Math.min(pages - first, LEAF_PAGES - this.#pages);
      const end = (first + count) * DIGEST_BYTES;
      this.#digests.set(digests.subarray(first * DIGEST_BYTES, end), this.#pages * DIGEST_BYTES);
      this.#pages += count;
      first += count;
      if (this.#pages === LEAF_PAGES) this.#endLeaf();
    }
  }

  #endLeaf(): void {
    const end = (this.#count + 1) * DIGEST_BYTES;
    if (end > this.#leaves.length) {
      const grown = new Uint8Array(this.#leaves.length * 2);
      grown.set(this.#leaves);
      this.#leaves = grown;
    }
    const covered = this.#digests.subarray(0, this.#pages * DIGEST_BYTES);
    this.#leaves.set(sha256(covered), this.#count * DIGEST_BYTES);
    this.#count += 1;
    this.#pages = 0;
  }

  /** How many leaves are complete. */
  get complete(): number {
    return this.#count;
  }

  /** Ends the space and returns its leaves, 32 bytes each; the builder starts again, empty. */
  finish(): Uint8Array {
    if (this.#pages > 0) this.#endLeaf();
    const leaves = this.#leaves.slice(0, this.#count * DIGEST_BYTES);
    this.#count = 0;
    return leaves;
  }
}

/** The root of a space. */
export function rootOf(sizeBytes: number, leaves: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(sizeBytes), true);
  const hasher = startSha256();
  hasher.update(length);
  hasher.update(leaves);
  return hasher.digest();
}
