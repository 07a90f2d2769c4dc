/**
 * Memory for pages that the next capture will be compared with, shared by all threads: cells of
 * 4096 bytes, and how deep the chain of each page is that lies there. Which page of which snapshot
 * is in which cell is known to the owner of the capture alone (store/warm-pages.ts).
 *
 * What a thread puts here it has digested before: these bytes need no check. Whether the packs
 * still have the page, on which the next delta will stand, is another question.
 */
import { PAGE_BYTES } from '../bytes/page.ts';

/** In the place of the number of a cell. */
export const NO_CELL = -1;

/** Cells, as one thread sees them. */
export class PageCells {
  readonly count: number;
  /** The pages one after the other, as bytes and as words. */
  readonly bytes: Buffer;
  readonly words: Int32Array;
  /** Of each page: how many deltas it takes to read it from packs. */
  readonly depth: Uint8Array;

  /** Cells in memory that this or another thread has made. */
  constructor(buffer: SharedArrayBuffer) {
    this.count = Math.floor(buffer.byteLength / (PAGE_BYTES + 1));
    const pageBytes = this.count * PAGE_BYTES;
    // A Buffer as the pages of a slice are: code for one kind of array is faster than for two.
    this.bytes = Buffer.from(buffer, 0, pageBytes);
    this.words = new Int32Array(buffer, 0, pageBytes / 4);
    this.depth = new Uint8Array(buffer, pageBytes, this.count);
  }

  /** Puts a page of 4096 bytes into a cell. */
  put(cell: number, page: Uint8Array, depth: number): void {
    this.bytes.set(page, cell * PAGE_BYTES);
    this.depth[cell] = depth;
  }
}

/** No cells at all. */
export const NO_CELLS: SharedArrayBuffer = new SharedArrayBuffer(0);

/** Memory of at most `bytes` for cells; it is taken from the system only as it is used. */
export function newCellMemory(bytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(Math.floor(bytes / (PAGE_BYTES + 1)) * (PAGE_BYTES + 1));
}
