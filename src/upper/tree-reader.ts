/**
 * Reads the contents of a tree as the one space that they are stored as: page after page, whatever
 * files they are in. The part of a file's last page that is behind its end reads as zeros, as it
 * does where the file is mapped into memory.
 *
 * Files are opened through directory handles, one at a time; each must be the one that was walked,
 * unchanged when it is opened and when it is closed.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import { StoreError, storageError, systemCode } from '../errors.ts';
import { DirectoryHandles } from '../files/directory-handles.ts';
import type { Files } from '../files/files.ts';
import { readUpTo } from '../files/transfer.ts';
import type { TreeContents } from '../tree/contents.ts';
import { pathOf, pieceAt } from '../tree/contents-of.ts';

const NUMBERS_OF_FACTS = 3;
/** What opening a path fails with that was taken away, or replaced, meanwhile. */
const GONE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL']);
/** What syncing a file fails with where there is nothing to sync to. */
const CANNOT_SYNC: ReadonlySet<string | undefined> = new Set([
  'EINVAL',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EROFS',
]);

/** Reads any part of the space `files` that is in a tree's contents. */
export class TreeReader {
  readonly #files: Files;
  readonly #contents: TreeContents;
  #root = -1;
  #handles: DirectoryHandles | undefined;
  /** The file that is open, and its descriptor. */
  #file = -1;
  #fd = -1;

  constructor(files: Files, contents: TreeContents) {
    this.#files = files;
    this.#contents = contents;
  }

  /**
   * Fills `target` with the bytes from `position` on, which begin a page.
   *
   * @throws {StoreError} INCOMPLETE when a file has changed, STORAGE when it cannot be read.
   * @throws {RangeError} for pages that are in no content.
   */
  read(target: Uint8Array, position: number): void {
    const { page, pages, file, offsetBytes } = this.#contents;
    let piece = pieceAt(this.#contents, position / PAGE_BYTES);
    for (let done = 0; done < target.length; piece++) {
      const start = (page[piece] ?? Infinity) * PAGE_BYTES;
      const inPiece = position + done - start;
      if (!(inPiece >= 0)) throw new RangeError(`page ${position / PAGE_BYTES} is in no content`);
      const length = Math.min(
        target.length - done,
        (pages[piece] as number) * PAGE_BYTES - inPiece,
      );
      const from = (offsetBytes[piece] as number) + inPiece;
      this.#readFile(file[piece] as number, target.subarray(done, done + length), from);
      done += length;
    }
  }

  #readFile(file: number, target: Uint8Array, position: number): void {
    if (file !== this.#file) this.#open(file);
    if (this.#fd < 0) {
      target.fill(0);
      return;
    }
    const left = (this.#contents.fileBytes[file] as number) - position;
    const wanted = target.subarray(0, Math.max(0, Math.min(target.length, left)));
    const from = (this.#contents.fileOffset[file] as number) + position;
    const count = this.#attempt('read', file, () => readUpTo(this.#files, this.#fd, wanted, from));
    if (count < wanted.length && !this.#contents.acceptChanges) throw this.#changed(file);
    target.fill(0, count);
  }

  #open(file: number): void {
    this.#closeFile();
    const path = this.#pathTo(file);
    try {
      if (path !== undefined) this.#fd = this.#files.openRegular(path);
    } catch (cause) {
      if (!GONE.has(systemCode(cause))) throw storageError('open', this.#shown(file), cause);
      this.#changes(file, cause);
    }
    this.#file = file;
    if (this.#fd < 0) return;
    if (this.#contents.syncFiles) this.#sync();
    this.#confirm();
  }

  /** What is in the page cache only moves no time stamp when it changes again. */
  #sync(): void {
    try {
      this.#files.dataSync(this.#fd);
    } catch (cause) {
      // On a file system that cannot sync, nothing is ever written back: see the manual.
      if (CANNOT_SYNC.has(systemCode(cause))) return;
      throw storageError('sync', this.#shown(this.#file), cause);
    }
  }

  /** @returns undefined for what has vanished, where that is accepted: it reads as zeros. */
  #pathTo(file: number): Buffer | undefined {
    const path = pathOf(this.#contents, file);
    const { root } = this.#contents;
    if (root === undefined) return Buffer.from(path);
    try {
      if (this.#handles === undefined) {
        this.#root = this.#files.open(root, 'directory');
        this.#handles = new DirectoryHandles(this.#files, this.#root);
      }
      return this.#handles.inside(path);
    } catch (cause) {
      if (!GONE.has(systemCode(cause))) throw storageError('open', this.#shown(file), cause);
      this.#changes(file, cause);
      return undefined;
    }
  }

  /** Throws, unless the file has only vanished, and that is accepted. */
  #changes(file: number, cause: unknown): void {
    const isAccepted = this.#contents.acceptChanges && systemCode(cause) === 'ENOENT';
    if (!isAccepted) throw this.#changed(file, cause);
  }

  /** Throws unless the open file is what was walked. */
  #confirm(): void {
    const { facts, acceptChanges } = this.#contents;
    const at = this.#file * NUMBERS_OF_FACTS;
    const [inode, modifiedNs, changedNs] = facts.subarray(at, at + NUMBERS_OF_FACTS);
    if (inode === 0n || acceptChanges) return;
    const now = this.#attempt('look at', this.#file, () => this.#files.stat(this.#fd));
    const isSame =
      now.kind === 'file' &&
      BigInt.asIntN(64, now.inode) === inode &&
      now.modifiedNs === modifiedNs &&
      now.changedNs === changedNs;
    if (!isSame) throw this.#changed(this.#file);
  }

  #closeFile(): void {
    const fd = this.#fd;
    if (fd < 0) {
      this.#file = -1;
      return;
    }
    try {
      this.#confirm();
    } finally {
      this.#fd = -1;
      this.#file = -1;
      this.#files.close(fd);
    }
  }

  /** Closes what is open. @throws {StoreError} INCOMPLETE when a file has changed. */
  close(): void {
    try {
      this.#closeFile();
    } finally {
      this.#handles?.close();
      this.#handles = undefined;
      if (this.#root >= 0) this.#files.close(this.#root);
      this.#root = -1;
    }
  }

  #shown(file: number): string {
    const { root } = this.#contents;
    const path = Buffer.from(pathOf(this.#contents, file)).toString();
    return root === undefined ? path : `${root}/${path}`;
  }

  #changed(file: number, cause?: unknown): StoreError {
    const place = { file: this.#shown(file), cause };
    return new StoreError('INCOMPLETE', 'the file changed while it was read', place);
  }

  #attempt<T>(action: string, file: number, work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw storageError(action, this.#shown(file), cause);
    }
  }
}
