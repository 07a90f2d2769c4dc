/**
 * Copies files that belong together while somebody may be writing to them: the copy counts only
 * when none of them changed meanwhile, else it is made again. Used for the catalog and its -wal.
 */
import { storageError, StoreError } from '../errors.ts';
import type { FileFacts, Files } from './files.ts';
import { exists, isMissing } from './transfer.ts';

/** One file to copy. */
export interface FileToCopy {
  readonly from: string;
  readonly to: string;
  /** Whether the file may be missing. */
  readonly optional: boolean;
}

const MAX_ATTEMPTS = 100;

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
  try {
    files.copyApart(file.from, file.to);
  } catch (error) {
    // Gone since the look at it: the look that follows sees it, and all is copied again.
    if (exists(files, file.from)) throw storageError('copy', file.from, error);
  }
}
