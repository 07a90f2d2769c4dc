/**
 * The unit of content: a page of 4096 bytes, whatever the page size of the dump. The last page of
 * a space may be shorter; its length is part of its identity.
 */

/** Bytes of a page. */
export const PAGE_BYTES = 4096;

/** Pages that hold `sizeBytes` bytes. */
export function pagesOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / PAGE_BYTES);
}
