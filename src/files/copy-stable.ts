/**
 * Copies files that belong together while somebody may be writing to them: the copy counts only
 * when none of them changed meanwhile, else it is made again. Used for the catalog and its -wal.
 */
import { StoreError } from '../errors.ts';
import { AppendFile } from './append-file.ts';
import type { FileFacts, Files } from './files.ts';
import { exists, isMissing, readUpTo } from './transfer.ts';

/** One file to copy. */
export interface FileToCopy {
  readonly from: string;
  readonly to: string;
  /** Whether the file may be missing. */
  readonly optional: boolean;
}

const MAX_ATTEMPTS = 100;
const SLICE_BYTES = 1024 * 1024;

/** @throws StoreError LOCKED when the files never hold still, CORRUPT when one is missing. */
export function copyStable(files: Files, list: readonly FileToCopy[]): void {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const before = list.map(({ from }) => factsOf(files, from));
    list.forEach((file, i) => copyOne(files, file, before[i]));
    const after = list.map(({ from }) => factsOf(files, from));
    if (before.every((facts, i) => isSame(facts, after[i]))) return;
  }
  throw new StoreError('LOCKED', 'the file keeps changing', { file: list[0]?.from });
}

function factsOf(files: Files, path: string): FileFacts | undefined {
  try {
    return files.lstat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isSame(a: FileFacts | undefined, b: FileFacts | undefined): boolean {
  return a?.inode === b?.inode && a?.sizeBytes === b?.sizeBytes && a?.modifiedNs === b?.modifiedNs;
}

function copyOne(files: Files, file: FileToCopy, facts: FileFacts | undefined): void {
  if (exists(files, file.to)) files.unlink(file.to);
  if (facts === undefined) {
    if (file.optional) return;
    throw new StoreError('CORRUPT', 'the file is missing', { file: file.from });
  }
  const fd = openIfThere(files, file.from);
  // Gone since the look at it: the look that follows sees it, and all is copied again.
  if (fd === undefined) return;
  try {
    const copy = new AppendFile(files, file.to);
    try {
      copyBytes(files, fd, copy);
    } finally {
      copy.close();
    }
  } finally {
    files.close(fd);
  }
}

function openIfThere(files: Files, path: string): number | undefined {
  try {
    return files.open(path, 'read');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function copyBytes(files: Files, fd: number, copy: AppendFile): void {
  const slice = new Uint8Array(SLICE_BYTES);
  for (let offset = 0; ;) {
    const count = readUpTo(files, fd, slice, offset);
    copy.write(slice.subarray(0, count));
    offset += count;
    if (count < SLICE_BYTES) break;
  }
  copy.flush();
}
