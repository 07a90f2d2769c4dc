/** What is in a directory of files. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes of all regular files below a directory, but those below its entries named in `without`. */
export function directoryBytes(directory: string, without: readonly string[] = []): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (without.includes(entry.name)) continue;
    if (entry.isDirectory()) bytes += directoryBytes(path);
    else if (entry.isFile()) bytes += statSync(path).size;
  }
  return bytes;
}

/** The same for a directory that may be absent. */
export function directoryBytesIfAny(directory: string): number {
  const isThere = statSync(directory, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return isThere ? directoryBytes(directory) : 0;
}

/** Reads everything once, so that all of it is in the page cache, as far as it fits. */
export function warmUp(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) readFileSync(join(entry.parentPath, entry.name));
  }
}
