/**
 * Where each page of a file is, with nothing left to look up: runs of zero pages and of consecutive
 * slots, in columns. What a recipe becomes once the bases that it differs from are filled in.
 *
 * 16 bytes a run, whatever the number of pages.
 */

/** Marks a run of zero pages. */
export const ZERO_SEGMENT = 0;

/** In the place of the number of a segment that no pack holds: its pages are lost. */
export const LOST_SEGMENT = 0xffffffff;

/** The runs of one file. */
export interface PageRuns {
  readonly length: number;
  /** Page after the last one of each run. */
  readonly end: Float64Array;
  /** Number of the segment, as the catalog counts; ZERO_SEGMENT for zero pages. */
  readonly segment: Uint32Array;
  /** First slot of each run. */
  readonly slot: Uint32Array;
}

/** Builds the runs of a file, front to back; runs that continue each other become one. */
export class PageRunsBuilder {
  #end = new Float64Array(64);
  #segment = new Uint32Array(64);
  #slot = new Uint32Array(64);
  #length = 0;
  #pages = 0;

  /** Pages so far. */
  get pages(): number {
    return this.#pages;
  }

  /** Appends `pages` consecutive slots, or zero pages. */
  add(segment: number, slot: number, pages: number): void {
    const last = this.#length - 1;
    this.#pages += pages;
    if (last >= 0 && this.#continues(last, segment, slot, pages)) {
      this.#end[last] = this.#pages;
      return;
    }
    if (this.#length === this.#end.length) this.#grow();
    this.#end[this.#length] = this.#pages;
    this.#segment[this.#length] = segment;
    this.#slot[this.#length] = slot;
    this.#length += 1;
  }

  #continues(last: number, segment: number, slot: number, pages: number): boolean {
    if (this.#segment[last] !== segment) return false;
    if (segment === ZERO_SEGMENT) return true;
    const start = last === 0 ? 0 : (this.#end[last - 1] as number);
    return slot === (this.#slot[last] as number) + this.#pages - pages - start;
  }

  #grow(): void {
    const capacity = this.#length * 2;
    const [end, segment, slot] = [this.#end, this.#segment, this.#slot];
    this.#end = new Float64Array(capacity);
    this.#segment = new Uint32Array(capacity);
    this.#slot = new Uint32Array(capacity);
    this.#end.set(end);
    this.#segment.set(segment);
    this.#slot.set(slot);
  }

  /** The runs; the builder starts again, empty. */
  finish(): PageRuns {
    const length = this.#length;
    const runs = {
      length,
      end: this.#end.slice(0, length),
      segment: this.#segment.slice(0, length),
      slot: this.#slot.slice(0, length),
    };
    this.#length = 0;
    this.#pages = 0;
    return runs;
  }
}

/** Finds pages in runs; cheap when each is asked for after its predecessors. */
export class PageRunsCursor {
  /** Of the page that was found last. */
  segment: number = ZERO_SEGMENT;
  slot = 0;
  /** Pages from the one that was found last to the end of its run. */
  pagesLeft = 0;
  readonly #runs: PageRuns;
  #run = 0;

  constructor(runs: PageRuns) {
    this.#runs = runs;
  }

  /** Finds a page; false beyond the last. */
  seek(page: number): boolean {
    const { end, segment, slot, length } = this.#runs;
    if (page < this.#startOf(this.#run)) this.#run = 0;
    // A step or two in most cases; a jump is searched for.
    for (let step = 0; step < 4 && this.#run < length; step++) {
      if (page < (end[this.#run] as number)) break;
      this.#run += 1;
    }
    if (this.#run < length && page >= (end[this.#run] as number)) this.#run = this.#search(page);
    if (this.#run >= length) {
      this.#run = Math.max(0, length - 1);
      return false;
    }
    this.segment = segment[this.#run] as number;
    this.pagesLeft = (end[this.#run] as number) - page;
    const isZero = this.segment === ZERO_SEGMENT;
    this.slot = isZero ? 0 : (slot[this.#run] as number) + page - this.#startOf(this.#run);
    return true;
  }

  #startOf(run: number): number {
    return run === 0 ? 0 : (this.#runs.end[run - 1] as number);
  }

  #search(page: number): number {
    const { end, length } = this.#runs;
    let low = this.#run;
    let high = length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((end[middle] as number) <= page) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
