/**
 * Reads the content of the files of a flat directory, each with one kind of reader.
 *
 * A reader fills the caller's buffer exactly or throws. Every file is opened only if it is the one
 * that was listed, unchanged, and is compared again when it is closed; `close` tells whether all
 * that was read can be trusted. A chain's pages come from many files, of which a few are open.
 */
import { UNIT_BYTES } from '../criu/index.ts';
import type { Files } from '../files/files.ts';
import { confirmFile, type ListedItem, openListed, readExactly, shownPath } from './listing.ts';
import type { Ranges } from './ranges.ts';

/** Reads one file's content. */
export interface ContentReader {
  /**
   * Fills `target` with the bytes from `position` on.
   *
   * @throws {StoreError} INCOMPLETE when the file changed, STORAGE when it cannot be read.
   * @throws {RangeError} when the file has fewer bytes.
   */
  read(target: Uint8Array, position: number): void;
  /**
   * Closes what is open; further calls do nothing.
   *
   * @throws {StoreError} INCOMPLETE when a file that was read has changed.
   */
  close(): void;
}

/** Files of a chain that one reader keeps open. */
export const OPEN_FILES_MAX = 8;

/** Opens a file as it is. */
export function openFile(files: Files, item: ListedItem): ContentReader {
  const fd = openListed(files, item);
  const file = shownPath(item);
  let open = true;
  return {
    read(target, position) {
      checkRange(target, position, item.facts.sizeBytes);
      if (!open) throw new TypeError('this reader is closed');
      readExactly(files, { fd, file, target, position });
    },
    close() {
      if (!open) return;
      open = false;
      closeConfirmed(files, fd, item);
    },
  };
}

/** Opens content that is in memory. */
export function openBytes(bytes: Uint8Array): ContentReader {
  return {
    read(target, position) {
      checkRange(target, position, bytes.length);
      target.set(bytes.subarray(position, position + target.length));
    },
    close() {
      // Nothing is open.
    },
  };
}

/** Where each byte of a flat pages file is; piece i ends before byte `ends[i]` of it. */
export interface Pieces {
  readonly ends: Float64Array;
  /** Index of the pages file of each piece. */
  readonly sources: Uint32Array;
  /** Byte offset in that file of each piece. */
  readonly offsets: Float64Array;
}

/** The pieces of a flat space, those that lie together in one file as one. */
export function piecesOf(ranges: Ranges): Pieces {
  const ends = new Float64Array(ranges.length);
  const sources = new Uint32Array(ranges.length);
  const offsets = new Float64Array(ranges.length);
  let length = 0;
  let end = 0;
  let sourceEnd = -1;
  for (let i = 0; i < ranges.length; i++) {
    const range = ranges.at(i);
    const offset = range.offset * UNIT_BYTES;
    if (length === 0 || sources[length - 1] !== range.level || sourceEnd !== offset) {
      sources[length] = range.level;
      offsets[length] = offset;
      length++;
    }
    end += range.length * UNIT_BYTES;
    sourceEnd = offset + range.length * UNIT_BYTES;
    ends[length - 1] = end;
  }
  return {
    ends: ends.slice(0, length),
    sources: sources.slice(0, length),
    offsets: offsets.slice(0, length),
  };
}

/** Opens a pages file that is put together from those of a chain. */
export function openPieces(
  files: Files,
  pieces: Pieces,
  sources: readonly (ListedItem | undefined)[],
): ContentReader {
  return new PieceReader(files, pieces, sources);
}

class PieceReader implements ContentReader {
  readonly #files: Files;
  readonly #pieces: Pieces;
  readonly #sources: readonly (ListedItem | undefined)[];
  readonly #sizeBytes: number;
  /** Descriptors by source, the one used last at the end. */
  readonly #open = new Map<number, number>();
  #cursor = 0;
  #closed = false;

  constructor(files: Files, pieces: Pieces, sources: readonly (ListedItem | undefined)[]) {
    this.#files = files;
    this.#pieces = pieces;
    this.#sources = sources;
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
    while (this.#open.size > 0) this.#closeOldest();
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
    const item = this.#sources[source];
    if (item === undefined) throw new RangeError(`no pages file ${source}`);
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

function closeConfirmed(files: Files, fd: number, item: ListedItem): void {
  try {
    confirmFile(files, fd, item);
  } finally {
    files.close(fd);
  }
}

function checkRange(target: Uint8Array, position: number, sizeBytes: number): void {
  if (Number.isInteger(position) && position >= 0 && position + target.length <= sizeBytes) return;
  const range = `bytes ${position} to ${position + target.length}`;
  throw new RangeError(`${range} of a file of ${sizeBytes} bytes`);
}
