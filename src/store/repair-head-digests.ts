/**
 * The digests of a snapshot's pages, as its head in `cache/` has them, for as long as it is there.
 * A head is not to be relied on: only digests that reproduce a leaf count.
 */
import { DIGEST_BYTES, sha256 } from '#digest';
import { sameBytes } from '../bytes/hex.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { systemCode } from '../errors.ts';
import { readUpTo } from '../files/transfer.ts';
import { HEAD_HEADER_BYTES } from '../manifest/head.ts';
import type { StoreContext } from './context.ts';
import { findHead } from './heads.ts';
import { pagesOfLeaf, type Leaf } from './stored-leaf.ts';

/** The digests in the head of a snapshot, if it has one. */
export class HeadDigests {
  readonly #context: StoreContext;
  readonly #path: string | undefined;
  #fd: number | undefined;

  constructor(context: StoreContext, row: SnapshotRow) {
    this.#context = context;
    this.#path = findHead(context, row.timelineName, row.id);
  }

  /** Those of a leaf's pages; undefined when the head does not have them right. */
  read(leaf: Leaf): Uint8Array | undefined {
    if (this.#path === undefined) return undefined;
    const digests = new Uint8Array(pagesOfLeaf(leaf) * DIGEST_BYTES);
    const position = HEAD_HEADER_BYTES + (leaf.file.headPage + leaf.first) * DIGEST_BYTES;
    try {
      this.#fd ??= this.#context.files.open(this.#path, 'read');
      const length = readUpTo(this.#context.files, this.#fd, digests, position);
      if (length < digests.length) return undefined;
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      return undefined;
    }
    return sameBytes(sha256(digests), leaf.digest) ? digests : undefined;
  }

  /** Closes the head's file. */
  close(): void {
    if (this.#fd !== undefined) this.#context.files.close(this.#fd);
  }
}
