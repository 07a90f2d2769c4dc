/**
 * SHA-256 (FIPS 180-4) by @noble/hashes, for runtimes without node:crypto: the same surface as
 * digest-node.ts, chosen by the package's `#digest` import, so that the codecs work in a browser.
 */
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import type { Hasher } from './digest-node.ts';
import { toHex } from './hex.ts';

export type { Hasher };

/** Bytes of a digest. */
export const DIGEST_BYTES = 32;

/** The SHA-256 of `bytes`. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return nobleSha256(bytes);
}

/** The SHA-256 of a text in UTF-8, in hex. */
export function sha256OfText(text: string): string {
  return toHex(nobleSha256(new TextEncoder().encode(text)));
}

/** Writes the SHA-256 of `bytes` into `target` at `offset`. */
export function sha256Into(bytes: Uint8Array, target: Uint8Array, offset: number): void {
  target.set(nobleSha256(bytes), offset);
}

/** Starts a digest of bytes that come piece by piece. */
export function startSha256(): Hasher {
  const hasher = nobleSha256.create();
  return {
    update: (bytes) => void hasher.update(bytes),
    digest: () => hasher.digest(),
  };
}
