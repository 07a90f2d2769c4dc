/**
 * What is in packs/: packs under their names, packs under others, and whatever somebody has put
 * there. Only a regular file can be a pack; everything else is passed over, and stays.
 */
import { join } from 'node:path';
import { systemCode } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { exists, isMissing } from '../files/transfer.ts';
import type { StoreLayout } from './layout.ts';

/** What stands where a directory was expected: a file, or a link to nothing or to itself. */
const NO_DIRECTORY: readonly unknown[] = ['ENOTDIR', 'ENOENT', 'ELOOP'];

/** The paths in packs/ and its directories, listed as they are asked for. */
export function* pathsInPacks(files: Files, layout: StoreLayout): Generator<string> {
  if (!exists(files, layout.packs)) return;
  for (const name of files.list(layout.packs)) {
    const parent = join(layout.packs, name.toString());
    try {
      for (const inside of files.list(parent)) yield join(parent, inside.toString());
    } catch (error) {
      if (!NO_DIRECTORY.includes(systemCode(error))) throw error;
      yield parent;
    }
  }
}

/** Whether a path can be that of a pack. */
export function isRegularFile(files: Files, path: string): boolean {
  try {
    return files.lstat(path).kind === 'file';
  } catch (error) {
    // Taken away since it was listed.
    if (isMissing(error)) return false;
    throw error;
  }
}
