/**
 * Whole reads and writes over the door: short counts are continued, an early end is an error, and
 * what is read into memory at once has a stated maximum.
 */
import { dirname } from 'node:path';
import { storageError, StoreError, type StoreErrorCode } from '../errors.ts';
import type { FilePath, Files } from './files.ts';

/** Fills `target` from `position`; returns the bytes that came, fewer only at the file's end. */
export function readUpTo(files: Files, fd: number, target: Uint8Array, position: number): number {
  let done = 0;
  while (done < target.length) {
    const count = files.read(fd, target.subarray(done), position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Writes all of `source` at `position`. */
export function writeAll(files: Files, fd: number, source: Uint8Array, position: number): void {
  let done = 0;
  while (done < source.length) {
    const count = files.write(fd, source.subarray(done), position + done);
    // A file system that accepts nothing would keep us here forever.
    if (count === 0) throw new Error('write accepted no bytes');
    done += count;
  }
}

/** Reads a whole regular file of at most `maximumBytes`; anything else is an error with `code`. */
export function readWhole(
  files: Files,
  path: string,
  maximumBytes: number,
  code: StoreErrorCode,
): Uint8Array {
  const fd = files.open(path, 'read');
  try {
    const { kind, sizeBytes } = files.stat(fd);
    if (kind !== 'file')
      throw new StoreError(code, `not a regular file but a ${kind}`, { file: path });
    if (sizeBytes > maximumBytes) {
      const message = `${sizeBytes} bytes long, at most ${maximumBytes} are allowed`;
      throw new StoreError(code, message, { file: path });
    }
    const bytes = new Uint8Array(sizeBytes);
    if (readUpTo(files, fd, bytes, 0) !== sizeBytes) {
      throw new StoreError(code, 'the file shrank while it was read', { file: path });
    }
    return bytes;
  } finally {
    files.close(fd);
  }
}

/** Makes a directory's entries survive a power loss. */
export function syncDirectory(files: Files, path: FilePath): void {
  const fd = files.open(path, 'directory');
  try {
    files.sync(fd);
  } finally {
    files.close(fd);
  }
}

/**
 * Gives a file another name, which must be free, so that a power cut leaves it one of the two: a
 * rename that is not durable may have taken the old name away, and not given the new one yet.
 */
export function moveDurably(files: Files, from: string, to: string): void {
  files.link(from, to);
  syncDirectory(files, dirname(to));
  files.unlink(from);
  syncDirectory(files, dirname(from));
}

/** Whether something stands at `path`; only a clear "no such file" counts as no. */
export function exists(files: Files, path: string): boolean {
  try {
    files.lstat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw storageError('look at', path, error);
  }
}

/** Whether an error of the door says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
