/** Large made dumps, made fast: every page is another one, none is zero, and all compress well. */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { encodePagemap } from '../../src/criu/index.ts';
import { madeInventory, madePagemap } from './image-directories.ts';

/** Pages of a MiB. */
export const MEBIBYTE_PAGES = 256;
const SLICE_PAGES = 16 * MEBIBYTE_PAGES;

/** Makes a dump of one process with so many pages; returns its path. */
export function makeLargeDump(path: string, pages: number): string {
  mkdirSync(path, { recursive: true });
  const inventory = madeInventory({ img_version: 2, fdinfo_per_id: true });
  writeFileSync(join(path, 'inventory.img'), inventory);
  const pagemap = madePagemap(1, [{ start: 4096, count: pages }]);
  writeFileSync(join(path, 'pagemap-1.img'), encodePagemap(pagemap));
  const file = openSync(join(path, 'pages-1.img'), 'w');
  const words = new Uint32Array(SLICE_PAGES * 1024);
  const bytes = new Uint8Array(words.buffer);
  for (let done = 0; done < pages;) {
    const count = Math.min(SLICE_PAGES, pages - done);
    // Another multiplier for each: such pages differ in too much to be deltas of each other.
    for (let i = 0; i < count; i++)
      words.fill((done + i + 1) * 2_654_435, i * 1024, i * 1024 + 1024);
    writeSync(file, bytes, 0, count * 4096);
    done += count;
  }
  closeSync(file);
  return path;
}
