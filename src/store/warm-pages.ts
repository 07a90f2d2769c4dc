/**
 * The pages of one snapshot that changed when it was captured, or not long before, just as they
 * are: what changes all the time is the base of the next difference, and is found here without
 * decoding a chain and digesting its end. With it the tenth capture of a Python process takes half
 * the time.
 *
 * Only ever a shortcut: the next capture of another base, after a failure, or with known damage
 * finds nothing here. A cell belongs to one page of the base, which at most one page of the new
 * snapshot is compared with; that page may take its place.
 */
import { NO_CELL, newCellMemory, PageCells } from '../slices/page-cells.ts';

/** Which page of a snapshot lies in which cell. Pages are counted as in heads. */
export class WarmPages {
  readonly memory: SharedArrayBuffer;
  readonly #cells: number;
  /** Of the snapshot that has been captured last, if all went well. */
  #snapshot: string | undefined;
  #cellOf = new Int32Array(0);
  /** Of the snapshot that is being captured. */
  #next = new Int32Array(0);
  #nextPages = 0;
  readonly #free: Int32Array;
  #freeCount = 0;

  /** @param bytes of pages, at most. */
  constructor(bytes: number) {
    this.memory = newCellMemory(bytes);
    this.#cells = new PageCells(this.memory).count;
    this.#free = new Int32Array(this.#cells);
  }

  /** Whether it holds pages of this snapshot. */
  has(snapshot: string | undefined): boolean {
    return snapshot !== undefined && this.#snapshot === snapshot;
  }

  /** Begins a capture that is compared with a snapshot; undefined finds nothing. */
  begin(base: string | undefined): void {
    if (!this.has(base)) this.#cellOf = new Int32Array(0);
    this.#snapshot = undefined;
    this.#nextPages = 0;
    const isTaken = new Uint8Array(this.#cells);
    for (const cell of this.#cellOf) if (cell !== NO_CELL) isTaken[cell] = 1;
    this.#freeCount = 0;
    for (let cell = this.#cells - 1; cell >= 0; cell--) if (isTaken[cell] === 0) this.give(cell);
  }

  /** Writes the cells of consecutive pages of the base to `target`. */
  cellsOf(page: number, pages: number, target: Int32Array, offset: number): void {
    const known = this.#cellOf.subarray(page, page + pages);
    target.set(known, offset);
    target.fill(NO_CELL, offset + known.length, offset + pages);
  }

  /** A cell for a new page: that of its base, or one that nobody has. */
  take(ofBase: number): number {
    if (ofBase !== NO_CELL || this.#freeCount === 0) return ofBase;
    return this.#free[--this.#freeCount] as number;
  }

  /** Nobody needs what is in a cell any more. */
  give(cell: number): void {
    if (cell !== NO_CELL) this.#free[this.#freeCount++] = cell;
  }

  /** Says in which cell the next page of the new snapshot is. */
  add(cell: number): void {
    if (this.#nextPages === this.#next.length) {
      const larger = new Int32Array(Math.max(4096, this.#next.length * 2));
      larger.set(this.#next);
      this.#next = larger;
    }
    this.#next[this.#nextPages++] = cell;
  }

  /** The capture has become a snapshot: what lies in the cells is its. */
  end(snapshot: string): void {
    const known = this.#next.subarray(0, this.#nextPages);
    this.#next = this.#cellOf;
    this.#cellOf = known;
    this.#snapshot = snapshot;
  }
}
