/**
 * Reads a flat pages file whose pages are in many files, of which a few are open at a time.
 */
import type { Files } from '../files/files.ts';
import { checkRange, closeConfirmed, type ContentReader } from './content-reader.ts';
import { type ListedItem, openListed, readExactly, shownPath } from './listing.ts';
import type { Pieces } from './pieces.ts';

/** Files of a chain that one reader keeps open. */
export const OPEN_FILES_MAX = 8;

/** Reads a pages file that is put together from those of a chain. */
export class PieceReader implements ContentReader {
  readonly #files: Files;
  readonly #pieces: Pieces;
  readonly #items: readonly (ListedItem | undefined)[];
  readonly #sizeBytes: number;
  /** Descriptors by source, the one used last at the end. */
  readonly #open = new Map<number, number>();
  #cursor = 0;
  #closed = false;

  constructor(files: Files, pieces: Pieces, items: readonly (ListedItem | undefined)[]) {
    this.#files = files;
    this.#pieces = pieces;
    this.#items = items;
    this.#sizeBytes = pieces.ends.at(-1) ?? 0;
  }

  read(target: Uint8Array, position: number): void {
    checkRange(target, position, this.#sizeBytes);
    if (this.#closed) throw new TypeError('this reader is closed');
    const { ends, sources, offsets } = this.#pieces;
    let done = 0;
    let piece = this.#seek(position);
    while (done < target.length) {
      const pieceStart = piece === 0 ? 0 : (ends[piece - 1] ?? 0);
      const inPiece = position + done - pieceStart;
      const length = Math.min(target.length - done, (ends[piece] ?? 0) - position - done);
      const part = target.subarray(done, done + length);
      this.#readSource(sources[piece] ?? 0, part, (offsets[piece] ?? 0) + inPiece);
      done += length;
      this.#cursor = piece++;
    }
  }

  close(): void {
    this.#closed = true;
    let failure: unknown;
    while (this.#open.size > 0) {
      try {
        this.#closeOldest();
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure as Error;
  }

  /** The piece that holds a position: the one used last, the next one, or found by halving. */
  #seek(position: number): number {
    const { ends } = this.#pieces;
    for (let piece = this.#cursor; piece < this.#cursor + 2; piece++) {
      const start = piece === 0 ? 0 : (ends[piece - 1] ?? Infinity);
      if (start <= position && position < (ends[piece] ?? 0)) return piece;
    }
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((ends[middle] ?? Infinity) <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #readSource(source: number, target: Uint8Array, position: number): void {
    const item = this.#itemOf(source);
    const fd = this.#descriptor(source, item);
    readExactly(this.#files, { fd, file: shownPath(item), target, position });
  }

  #itemOf(source: number): ListedItem {
    const item = this.#items[source];
    if (item === undefined) throw new RangeError('these pages are inherited: in no file of a dump');
    return item;
  }

  #descriptor(source: number, item: ListedItem): number {
    let fd = this.#open.get(source);
    if (fd === undefined) {
      if (this.#open.size >= OPEN_FILES_MAX) this.#closeOldest();
      fd = openListed(this.#files, item);
    } else {
      this.#open.delete(source);
    }
    this.#open.set(source, fd);
    return fd;
  }

  #closeOldest(): void {
    for (const [source, fd] of this.#open) {
      this.#open.delete(source);
      closeConfirmed(this.#files, fd, this.#itemOf(source));
      return;
    }
  }
}
