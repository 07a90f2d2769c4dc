/**
 * Readers of one file's content, and what all of them have in common.
 *
 * A reader fills the caller's buffer exactly or throws. Every file is opened only if it is the one
 * that was listed, unchanged, and is compared again when it is closed; `close` tells whether all
 * that was read can be trusted.
 */
import type { Files } from '../files/files.ts';
import { confirmFile, type ListedItem, openListed, readExactly, shownPath } from './listing.ts';

/** Reads one file's content. */
export interface ContentReader {
  /**
   * Fills `target` with the bytes from `position` on.
   *
   * @throws {StoreError} INCOMPLETE when the file changed, STORAGE when it cannot be read.
   * @throws {RangeError} when the file has fewer bytes, or they are inherited from a snapshot.
   */
  read(target: Uint8Array, position: number): void;
  /**
   * Closes what is open; further calls do nothing.
   *
   * @throws {StoreError} INCOMPLETE when a file that was read has changed.
   */
  close(): void;
}

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

/** Closes a file, after comparing it with what was listed. */
export function closeConfirmed(files: Files, fd: number, item: ListedItem): void {
  try {
    confirmFile(files, fd, item);
  } finally {
    files.close(fd);
  }
}

/** Throws unless the bytes are in the file. */
export function checkRange(target: Uint8Array, position: number, sizeBytes: number): void {
  if (Number.isInteger(position) && position >= 0 && position + target.length <= sizeBytes) return;
  const range = `bytes ${position} to ${position + target.length}`;
  throw new RangeError(`${range} of a file of ${sizeBytes} bytes`);
}
