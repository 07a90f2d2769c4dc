/**
 * Which page of a base file a page is compared with: the one at the same address for the pages of a
 * memory space, the one at the same place for any other file. Part of the format: "same as in the
 * base" means the page that is found here.
 */
import type { AddressMap } from './manifest.ts';

/** A file, as far as alignment goes. */
export interface AlignedFile {
  readonly pageCount: number;
  /** Of the pages of a memory space: where they lie. */
  readonly addresses: AddressMap | undefined;
}

/** Finds the pages of a base; cheap when each is asked for after its predecessors. */
export class Alignment {
  /** Pages from the one that was asked for last on to which the same distance applies. */
  pagesLeft = 0;
  readonly #file: AlignedFile;
  readonly #base: AlignedFile;
  readonly #fileRuns: RunCursor | undefined;
  readonly #baseRuns: RunCursor | undefined;

  constructor(file: AlignedFile, base: AlignedFile) {
    this.#file = file;
    this.#base = base;
    if (file.addresses === undefined || base.addresses === undefined) return;
    this.#fileRuns = new RunCursor(file.addresses);
    this.#baseRuns = new RunCursor(base.addresses);
  }

  /** The base's page for a page of the file, or -1 when there is none. */
  find(page: number): number {
    if (page >= this.#file.pageCount)
      throw new RangeError(`page ${page} of ${this.#file.pageCount}`);
    const [fileRuns, baseRuns] = [this.#fileRuns, this.#baseRuns];
    if (fileRuns === undefined || baseRuns === undefined) {
      const isInBoth = page < this.#base.pageCount;
      const end = isInBoth
        ? Math.min(this.#file.pageCount, this.#base.pageCount)
        : this.#file.pageCount;
      this.pagesLeft = end - page;
      return isInBoth ? page : -1;
    }
    fileRuns.seekPage(page);
    const address = fileRuns.start + page - fileRuns.firstPage;
    this.pagesLeft = fileRuns.start + fileRuns.length - address;
    baseRuns.seekAddress(address);
    if (address < baseRuns.start) {
      this.pagesLeft = Math.min(this.pagesLeft, baseRuns.start - address);
      return -1;
    }
    this.pagesLeft = Math.min(this.pagesLeft, baseRuns.start + baseRuns.length - address);
    return baseRuns.firstPage + address - baseRuns.start;
  }
}

/** A place among the runs of a memory space; it only moves as far as it must. */
class RunCursor {
  /** Of the run: its first address / 4096, or infinity behind the last. */
  start = 0;
  length = 0;
  /** Number of its first page in the file. */
  firstPage = 0;
  readonly #map: AddressMap;
  #run = 0;

  constructor(map: AddressMap) {
    this.#map = map;
    this.#load();
  }

  #load(): void {
    this.start = this.#map.runStart[this.#run] ?? Infinity;
    this.length = this.#map.runLength[this.#run] ?? 0;
  }

  #forward(): void {
    this.firstPage += this.length;
    this.#run += 1;
    this.#load();
  }

  #rewind(): void {
    this.#run = 0;
    this.firstPage = 0;
    this.#load();
  }

  seekPage(page: number): void {
    if (page < this.firstPage) this.#rewind();
    while (page >= this.firstPage + this.length && this.start !== Infinity) this.#forward();
  }

  /** Moves to the first run that ends after `address`. */
  seekAddress(address: number): void {
    const before = this.#run === 0 ? -1 : this.#endOf(this.#run - 1);
    if (address < before) this.#rewind();
    while (address >= this.start + this.length) this.#forward();
  }

  #endOf(run: number): number {
    return (this.#map.runStart[run] as number) + (this.#map.runLength[run] as number);
  }
}
