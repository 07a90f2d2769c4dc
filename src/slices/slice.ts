/**
 * A slice: up to 1024 consecutive pages of one file on their way into the store. Its memory is
 * shared, so that the thread that owns the capture and the workers hand it to and fro without
 * copying: pages, digests, what each page is compared with, and what was found out about it.
 *
 * Only one thread writes to a slice at a time, and while several read from it, none. 4.2 MiB each;
 * a capture has a fixed number of them.
 */
import { DIGEST_BYTES } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import { LEAF_PAGES } from '../manifest/leaves.ts';

/** Pages of a slice, at most. */
export const SLICE_PAGES: number = 2 * LEAF_PAGES;
/** Pages that hold the calling thread for a millisecond or two, whatever is done to them. */
export const PAGES_OF_STEP = 256;
/** Leaves of the base that the pages of a slice are compared with, at most. */
export const BASE_LEAVES = 6;
/** Pages of these leaves. */
const BASE_PAGES = BASE_LEAVES * LEAF_PAGES;

/** What a page of a slice is. */
export const PAGE = {
  /** Nothing but zeros. */
  zero: 0,
  /** The same as the page of the base that it is compared with. */
  same: 1,
  /** Anything else. */
  changed: 2,
  /** Not read: a dump, or the plan of the files, says that it is the same as the base's. */
  inherited: 3,
} as const;

/** How a new page is kept. */
export const KEPT = { full: 0, delta: 1 } as const;

/** How a slice is handed over: its memory, which is another object in each thread, and its name. */
export interface SliceHandle {
  readonly number: number;
  readonly buffer: SharedArrayBuffer;
}

/** The memory of a slice. */
export class Slice {
  readonly handle: SliceHandle;
  /** The pages, each filled up to 4096 bytes with zeros; a record of its difference later. */
  readonly pages: Buffer;
  /** All of them as words. */
  readonly pageWords: Int32Array;
  readonly #views: Buffer[] = [];
  /** The digest of each page. */
  readonly digests: Buffer;
  readonly digestWords: Int32Array;
  /** What each page is, see PAGE. */
  readonly kinds: Uint8Array;
  /** Which page of the base leaves each page is compared with; -1 for none. */
  readonly basePage: Int32Array;
  /**
   * Of each base leaf: where its first digest is in the head, counted in pages; the bytes that it
   * covers; and what its digests must reproduce.
   */
  readonly baseHeadPage: Float64Array;
  readonly baseLeafBytes: Uint32Array;
  readonly baseLeafDigests: Buffer;
  /** Where the pages of the base leaves are. */
  readonly baseSegment: Uint32Array;
  readonly baseSlot: Uint32Array;
  /** The cells where they lie as they are, see page-cells.ts; NO_CELL for most. */
  readonly baseCell: Int32Array;
  /** The digests of the pages of the base leaves, as far as `baseIsKnown`. */
  readonly baseDigests: Buffer;
  readonly baseDigestWords: Int32Array;
  /** Of each base leaf: 1 once its digests have reproduced it. */
  readonly baseIsKnown: Uint8Array;
  /** How deep each page's chain may be. */
  readonly depthLimit: Uint8Array;
  /** The pages that are new to the store, and how each of them is kept, see KEPT. */
  readonly newPages: Uint16Array;
  readonly kept: Uint8Array;
  /** The cell that gets each new page, for the next capture; NO_CELL for none. */
  readonly newCell: Int32Array;

  /** A slice that this or another thread has made. */
  constructor(handle: SliceHandle) {
    const { buffer } = handle;
    this.handle = handle;
    let offset = 0;
    const take = (bytes: number): number => (offset += bytes) - bytes;
    this.pages = Buffer.from(buffer, take(SLICE_PAGES * PAGE_BYTES), SLICE_PAGES * PAGE_BYTES);
    this.pageWords = new Int32Array(buffer, 0, (SLICE_PAGES * PAGE_BYTES) / 4);
    this.baseHeadPage = new Float64Array(buffer, take(BASE_LEAVES * 8), BASE_LEAVES);
    this.baseLeafBytes = new Uint32Array(buffer, take(BASE_LEAVES * 4), BASE_LEAVES);
    const leaves = take(BASE_LEAVES * DIGEST_BYTES);
    this.baseLeafDigests = Buffer.from(buffer, leaves, BASE_LEAVES * DIGEST_BYTES);
    const digests = take(SLICE_PAGES * DIGEST_BYTES);
    this.digests = Buffer.from(buffer, digests, SLICE_PAGES * DIGEST_BYTES);
    this.digestWords = new Int32Array(buffer, digests, SLICE_PAGES * 8);
    this.basePage = new Int32Array(buffer, take(SLICE_PAGES * 4), SLICE_PAGES);
    this.baseSegment = new Uint32Array(buffer, take(BASE_PAGES * 4), BASE_PAGES);
    this.baseSlot = new Uint32Array(buffer, take(BASE_PAGES * 4), BASE_PAGES);
    this.baseCell = new Int32Array(buffer, take(BASE_PAGES * 4), BASE_PAGES);
    this.newCell = new Int32Array(buffer, take(SLICE_PAGES * 4), SLICE_PAGES);
    const baseDigests = take(BASE_PAGES * DIGEST_BYTES);
    this.baseDigests = Buffer.from(buffer, baseDigests, BASE_PAGES * DIGEST_BYTES);
    this.baseDigestWords = new Int32Array(buffer, baseDigests, BASE_PAGES * 8);
    this.newPages = new Uint16Array(buffer, take(SLICE_PAGES * 2), SLICE_PAGES);
    this.kinds = new Uint8Array(buffer, take(SLICE_PAGES), SLICE_PAGES);
    this.depthLimit = new Uint8Array(buffer, take(SLICE_PAGES), SLICE_PAGES);
    this.kept = new Uint8Array(buffer, take(SLICE_PAGES), SLICE_PAGES);
    this.baseIsKnown = new Uint8Array(buffer, take(BASE_LEAVES), BASE_LEAVES);
  }

  /** One of the pages. */
  view(page: number): Buffer {
    // Made once, and not before: a thousand for each slice, most of them for nothing, take 1 ms.
    return (this.#views[page] ??= this.pages.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES));
  }
}

const SLICE_BYTES =
  SLICE_PAGES * (PAGE_BYTES + DIGEST_BYTES + 8 + 2 + 3) +
  BASE_PAGES * (12 + DIGEST_BYTES) +
  BASE_LEAVES * (8 + 4 + DIGEST_BYTES + 1);

/** The memory of a new slice. */
export function newSliceBuffer(): SharedArrayBuffer {
  return new SharedArrayBuffer(SLICE_BYTES);
}
