/** Leaves of stored files: where each begins, how many pages it has, and what its digest is. */
import { DIGEST_BYTES } from '#digest';
import { LEAF_PAGES } from '../manifest/leaves.ts';
import type { StoredFile } from './snapshot-pages.ts';

/** A leaf of a file, by its first page. */
export interface Leaf {
  readonly file: StoredFile;
  readonly first: number;
  readonly digest: Uint8Array;
}

/** The leaf of a file that begins with a page. */
export function leafAt(file: StoredFile, first: number): Leaf {
  return { file, first, digest: digestAt(file.content.leaves, first / LEAF_PAGES) };
}

/** How many pages a leaf has: the last one of a file may have fewer than the others. */
export function pagesOfLeaf({ file, first }: Leaf): number {
  return Math.min(LEAF_PAGES, file.pageCount - first);
}

/** One of a list of digests. */
export function digestAt(digests: Uint8Array, index: number): Uint8Array {
  return digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
}
