/** What a series of image directories is made of. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes of all regular files below a directory. */
export function directoryBytes(directory: string): number {
  let bytes = 0;
  for (const path of filesBelow(directory)) bytes += statSync(path).size;
  return bytes;
}

/** Reads everything once, so that the page cache is warm for every subject. */
export function warmUp(directory: string): void {
  for (const path of filesBelow(directory)) readFileSync(path);
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
