/**
 * Writes pages of the space `files` to the files that they belong to: the way back of a tree
 * reader. The files are there already, empty; what is behind the end of a file is not written, and
 * pages of zeros are: holes have no pages.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import { storageError } from '../errors.ts';
import { DirectoryHandles } from '../files/directory-handles.ts';
import type { Files } from '../files/files.ts';
import { writeAll } from '../files/transfer.ts';
import type { TreeContents } from '../tree/contents.ts';
import { pathOf, pieceAt } from '../tree/contents-of.ts';

/** Writes into the files below one directory. */
export class TreeWriter {
  readonly #files: Files;
  readonly #contents: TreeContents;
  #root = -1;
  #handles: DirectoryHandles | undefined;
  #file = -1;
  #fd = -1;

  constructor(files: Files, contents: TreeContents) {
    this.#files = files;
    this.#contents = contents;
  }

  /** Writes whole pages of the space from `position` on, as far as they are in the contents. */
  write(bytes: Uint8Array, position: number): void {
    const { page, pages, file, offsetBytes } = this.#contents;
    let piece = pieceAt(this.#contents, position / PAGE_BYTES);
    const end = position + bytes.length;
    for (; piece < page.length; piece++) {
      const start = (page[piece] as number) * PAGE_BYTES;
      if (start >= end) return;
      const from = Math.max(start, position);
      const to = Math.min(end, start + (pages[piece] as number) * PAGE_BYTES);
      const part = bytes.subarray(from - position, to - position);
      this.#writeFile(file[piece] as number, part, (offsetBytes[piece] as number) + from - start);
    }
  }

  #writeFile(file: number, bytes: Uint8Array, position: number): void {
    const left = (this.#contents.fileBytes[file] as number) - position;
    if (left <= 0) return;
    try {
      if (file !== this.#file) this.#open(file);
      writeAll(this.#files, this.#fd, bytes.subarray(0, left), position);
    } catch (cause) {
      throw storageError('write', this.#shown(file), cause);
    }
  }

  #open(file: number): void {
    this.#closeFile();
    if (this.#handles === undefined) {
      this.#root = this.#files.open(this.#contents.root as string, 'directory');
      this.#handles = new DirectoryHandles(this.#files, this.#root);
    }
    this.#fd = this.#files.open(this.#handles.inside(pathOf(this.#contents, file)), 'write');
    this.#file = file;
  }

  #closeFile(): void {
    if (this.#fd >= 0) this.#files.close(this.#fd);
    this.#fd = -1;
    this.#file = -1;
  }

  /** Closes what is open. */
  close(): void {
    this.#closeFile();
    this.#handles?.close();
    this.#handles = undefined;
    if (this.#root >= 0) this.#files.close(this.#root);
    this.#root = -1;
  }

  #shown(file: number): string {
    return `${this.#contents.root}/${Buffer.from(pathOf(this.#contents, file)).toString()}`;
  }
}
