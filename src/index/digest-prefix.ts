/** What the index keeps of a digest: its first six bytes, as two numbers. */

/** The first four bytes of the digest at `offset`, as a big-endian number. */
export function prefixAt(digests: Uint8Array, offset: number): number {
  const high = ((digests[offset] as number) << 8) | (digests[offset + 1] as number);
  const low = ((digests[offset + 2] as number) << 8) | (digests[offset + 3] as number);
  return ((high << 16) | low) >>> 0;
}

/** The next two bytes. */
export function restAt(digests: Uint8Array, offset: number): number {
  return ((digests[offset + 4] as number) << 8) | (digests[offset + 5] as number);
}
