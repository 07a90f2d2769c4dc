/** Dumps that follow from a seed: whoever knows the seed can make the same bytes again. */
import { makeImageDirectory } from './image-directories.ts';

/** Makes a small image directory, of two spaces, that follows from the seed; returns its path. */
export function makeDump(path: string, seed: number, pages = 24): string {
  const changing = { start: 1_000_000, count: Math.ceil(pages / 4), seed: seed + 1 };
  return makeImageDirectory(path, {
    spaces: [
      { name: 'pagemap-7', pagesId: 1, runs: [{ start: 16, count: pages }, changing] },
      { name: 'pagemap-shmem-9', pagesId: 2, runs: [{ start: 0, count: 2, seed: seed % 3 }] },
    ],
  });
}
