/**
 * Memory for one leaf of a file while it is read: 512 pages, which of them are nothing but zeros,
 * and their digests. Each belongs to one reading at a time, for a reading may stop in the middle of
 * a leaf; those that are not in use are kept for the next one. 2 MiB each.
 */
import { DIGEST_BYTES, sha256, sha256Into } from '#digest';
import { PAGE_BYTES, pagesOf } from '../bytes/page.ts';
import { LEAF_PAGES, ZERO_PAGE_DIGEST } from '../manifest/leaves.ts';

/** Bytes that a leaf covers. */
export const LEAF_BYTES: number = LEAF_PAGES * PAGE_BYTES;

/** The pages of a leaf. */
export class LeafBuffer {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(LEAF_BYTES);
  /** Of each page, 1 where it is a zero page, which is not written. */
  readonly isZero: Uint8Array = new Uint8Array(LEAF_PAGES);
  readonly #views = Array.from({ length: LEAF_PAGES }, (_, i) =>
    this.bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES),
  );
  readonly #digests = Buffer.alloc(LEAF_PAGES * DIGEST_BYTES);

  /** The leaf of so many bytes. */
  digest(length: number): Uint8Array {
    const digests = this.#digests;
    const pages = pagesOf(length);
    const whole = Math.floor(length / PAGE_BYTES);
    for (let i = 0; i < whole; i++) {
      if (this.isZero[i] === 1) digests.set(ZERO_PAGE_DIGEST, i * DIGEST_BYTES);
      else sha256Into(this.#views[i] as Buffer, digests, i * DIGEST_BYTES);
    }
    if (pages > whole) {
      const rest = this.bytes.subarray(whole * PAGE_BYTES, length);
      sha256Into(rest, digests, whole * DIGEST_BYTES);
    }
    return sha256(digests.subarray(0, pages * DIGEST_BYTES));
  }
}

/** Of this thread. */
const free: LeafBuffer[] = [];
/** More are not kept: many restores may have run at once, once. */
const MAX_FREE = 2;

/** A buffer that nobody uses, until it is given back. */
export function takeLeafBuffer(): LeafBuffer {
  return free.pop() ?? new LeafBuffer();
}

/** Gives it back. */
export function giveLeafBuffer(buffer: LeafBuffer): void {
  if (free.length < MAX_FREE) free.push(buffer);
}
