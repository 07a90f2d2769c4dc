/** Image directories of any size, of pages that are all different: nothing is kept in memory. */
import { writeImageDirectory } from '../generate/image-directory.ts';
import { fillPages } from '../generate/page-content.ts';

/** Writes a directory of unique pages that follow from the seed. */
export function writeUniquePages(path: string, pages: number, seed: number): void {
  writeImageDirectory(path, pages, (target, firstPage) => fillPages(target, firstPage, seed));
}

/**
 * The same as dump number `dump` of a series: of every `stretch` pages the first is another than
 * in the dump before. The changed pages have nothing in common with those they replace.
 */
export function writeChangedPages(
  path: string,
  pages: number,
  { seed, dump, stretch }: { seed: number; dump: number; stretch: number },
): void {
  writeImageDirectory(path, pages, (target, firstPage) => {
    fillPages(target, firstPage, seed);
    const step = 4096;
    for (let offset = 0; offset < target.length; offset += step) {
      const page = firstPage + offset / step;
      if (page % stretch !== 0) continue;
      fillPages(target.subarray(offset, offset + step), page, seed + dump * 7919);
    }
  });
}
