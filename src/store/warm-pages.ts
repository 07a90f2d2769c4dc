/**
 * Pages of the newest snapshots that changed when those were captured, or not long before, just as
 * they are: what changes all the time is the base of the next difference, and is found here without
 * decoding a chain and digesting its end. With it the sixth capture of a Python process takes two
 * thirds of the time. One memory for the whole store; who needs more than there is gets none.
 *
 * Only ever a shortcut: the next capture of another base, after a failure, or with known damage
 * finds nothing here. A cell belongs to one page of one snapshot; in a capture that is compared
 * with it, at most one page is compared with that page, and may take its place.
 */
import { NO_CELL, newCellMemory, PageCells } from '../slices/page-cells.ts';

/** A snapshot that is no base, or a page that is the same, for so many captures loses its cells. */
const CAPTURES_TO_WAIT = 4;

/** The pages of a snapshot that lie in cells, ascending; pages are counted as in heads. */
interface WarmSnapshot {
  readonly pages: Uint32Array;
  readonly cells: Int32Array;
  /** The number of captures when it was last of use. */
  readonly usedAt: number;
}

const NOTHING: WarmSnapshot = {
  pages: new Uint32Array(0),
  cells: new Int32Array(0),
  usedAt: 0,
};

/** The cells of a store, and the snapshots whose pages lie there. */
export class WarmPages {
  readonly memory: SharedArrayBuffer;
  /** Of each cell: for how many captures its page has been the same, 255 at most. */
  readonly sameFor: Uint8Array;
  readonly #snapshots = new Map<string, WarmSnapshot>();
  readonly #free: Int32Array;
  #freeCount = 0;
  #captures = 0;
  /** Whether there were fewer cells than somebody wanted since the last capture began. */
  #isShort = false;

  /** @param bytes of pages, at most. */
  constructor(bytes: number) {
    this.memory = newCellMemory(bytes);
    const { count } = new PageCells(this.memory);
    this.sameFor = new Uint8Array(count);
    this.#free = new Int32Array(count);
    for (let cell = count - 1; cell >= 0; cell--) this.give(cell);
  }

  /** How many cells there are. */
  get cells(): number {
    return this.#free.length;
  }

  /** Begins a capture that is compared with a snapshot; undefined finds nothing. */
  begin(base: string | undefined): WarmCapture {
    this.#captures += 1;
    const known = base === undefined ? undefined : this.#snapshots.get(base);
    if (base !== undefined) this.#snapshots.delete(base);
    for (const [id, { cells, usedAt }] of this.#snapshots) {
      if (usedAt + CAPTURES_TO_WAIT >= this.#captures) continue;
      this.#snapshots.delete(id);
      for (const cell of cells) this.give(cell);
    }
    const isShort = this.#isShort;
    this.#isShort = false;
    return new WarmCapture(this, known ?? NOTHING, isShort);
  }

  /** A cell that nobody has, or NO_CELL. */
  take(): number {
    if (this.#freeCount > 0) return this.#free[--this.#freeCount] as number;
    this.#isShort = true;
    return NO_CELL;
  }

  /** Takes a cell back. */
  give(cell: number): void {
    this.#free[this.#freeCount++] = cell;
  }

  /** Remembers the pages of a new snapshot. */
  keep(snapshot: string, pages: Uint32Array, cells: Int32Array): void {
    this.#snapshots.set(snapshot, { pages, cells, usedAt: this.#captures });
  }
}

/** The cells of one capture: those of its base, which become those of the new snapshot. */
export class WarmCapture {
  readonly #warm: WarmPages;
  readonly #base: WarmSnapshot;
  readonly #isShort: boolean;
  /** 1 for each cell that this capture answers for. */
  readonly #isOwn: Uint8Array;
  /** The pages of the new snapshot that lie in cells. */
  readonly #pages: Uint32Array;
  readonly #cells: Int32Array;
  #count = 0;
  #nextPage = 0;

  /**
   * @internal Made by `begin`.
   * @param isShort whether pages that do not change any more give their cells back.
   */
  constructor(warm: WarmPages, base: WarmSnapshot, isShort: boolean) {
    this.#warm = warm;
    this.#base = base;
    this.#isShort = isShort;
    this.#isOwn = new Uint8Array(warm.cells);
    for (const cell of base.cells) this.#isOwn[cell] = 1;
    this.#pages = new Uint32Array(warm.cells);
    this.#cells = new Int32Array(warm.cells);
  }

  /** Writes the cells of consecutive pages of the base to `target`. */
  cellsOf(page: number, count: number, target: Int32Array, offset: number): void {
    target.fill(NO_CELL, offset, offset + count);
    const { pages, cells } = this.#base;
    for (let i = firstFrom(pages, page); i < pages.length; i++) {
      const distance = (pages[i] as number) - page;
      if (distance >= count) return;
      target[offset + distance] = cells[i] as number;
    }
  }

  /** A cell for a new page: that of its base, or one that nobody has, if there is one. */
  take(ofBase: number): number {
    const cell = ofBase === NO_CELL ? this.#warm.take() : ofBase;
    if (cell === NO_CELL) return cell;
    this.#isOwn[cell] = 1;
    this.#warm.sameFor[cell] = 0;
    return cell;
  }

  /** Nobody will be compared with what is in a cell of the base, if it has one. */
  give(cell: number): void {
    if (cell === NO_CELL) return;
    this.#isOwn[cell] = 0;
    this.#warm.give(cell);
  }

  /**
   * The next page of the new snapshot is the same as that of the base. Where cells are short, one
   * that has been the same for some time loses its own: they are for pages that change.
   */
  addSame(cell: number): void {
    if (cell === NO_CELL || !this.#isStill(cell)) {
      this.add(cell);
      return;
    }
    this.give(cell);
    this.add(NO_CELL);
  }

  #isStill(cell: number): boolean {
    const { sameFor } = this.#warm;
    const captures = Math.min(255, (sameFor[cell] as number) + 1);
    sameFor[cell] = captures;
    return this.#isShort && captures > CAPTURES_TO_WAIT;
  }

  /** Says in which cell the next page of the new snapshot lies. */
  add(cell: number): void {
    if (cell !== NO_CELL) {
      this.#pages[this.#count] = this.#nextPage;
      this.#cells[this.#count] = cell;
      this.#count += 1;
    }
    this.#nextPage += 1;
  }

  /** Says that so many next pages lie in none. */
  skip(pages: number): void {
    this.#nextPage += pages;
  }

  /** The capture has become a snapshot: what lies in the cells is its. */
  end(snapshot: string): void {
    const cells = this.#cells.slice(0, this.#count);
    for (const cell of cells) this.#isOwn[cell] = 0;
    this.abandon();
    this.#warm.keep(snapshot, this.#pages.slice(0, this.#count), cells);
  }

  /** Gives all cells back; calling it once more does nothing. */
  abandon(): void {
    for (let cell = 0; cell < this.#isOwn.length; cell++) {
      if (this.#isOwn[cell] === 1) this.give(cell);
    }
  }
}

/** The first index whose page is not below `page`. */
function firstFrom(pages: Uint32Array, page: number): number {
  let [low, high] = [0, pages.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pages[middle] as number) < page) low = middle + 1;
    else high = middle;
  }
  return low;
}
