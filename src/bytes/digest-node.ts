/**
 * SHA-256 (FIPS 180-4) by node:crypto: 2.1 us a page, against 18 us of the portable one.
 * Chosen by the package's `#digest` import in Node.
 */
import { createHash, hash } from 'node:crypto';

/** Bytes of a digest. */
export const DIGEST_BYTES = 32;

/** A digest that is fed piece by piece. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** The digest of all that was fed; the hasher cannot be used afterwards. */
  digest(): Uint8Array;
}

/** The SHA-256 of `bytes`. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}

/** The SHA-256 of a text in UTF-8, in hex: a short one in 1 us, in 3 with bytes and a buffer. */
export function sha256OfText(text: string): string {
  return hash('sha256', text, 'hex');
}

/**
 * Writes the SHA-256 of `bytes` into `target` at `offset`. Through a string, because one-shot
 * `hash` returns strings faster than buffers: 2.18 against 2.53 us for a page.
 */
export function sha256Into(bytes: Uint8Array, target: Buffer, offset: number): void {
  target.write(hash('sha256', bytes, 'binary'), offset, DIGEST_BYTES, 'latin1');
}

/** Starts a digest of bytes that come piece by piece. */
export function startSha256(): Hasher {
  const hasher = createHash('sha256');
  return {
    update: (bytes) => void hasher.update(bytes),
    digest: () => hasher.digest(),
  };
}
