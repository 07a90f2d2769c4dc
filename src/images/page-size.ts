/**
 * The page size of a dump, which no image records.
 *
 * It is the size of a pages file divided by the pages that its pagemap says are in it, must be one
 * that Linux has, and must come out the same for every pages file of every directory of a chain.
 */
import { PAGE_SIZES, type PageBytes } from '../criu/index.ts';
import { StoreError } from '../errors.ts';
import type { Level, LevelSpace } from './level.ts';
import { shownPath } from './listing.ts';

/** Pages are 4096 bytes where a dump holds none. */
export const PAGE_BYTES_DEFAULT = 4096;

/**
 * Finds the page size, and with it checks the size of every pages file.
 *
 * @param given the page size by the caller's knowledge, which must then fit all files.
 * @param otherwise the page size where no file tells.
 */
export function findPageBytes(
  levels: readonly Level[],
  given: PageBytes | undefined,
  otherwise: PageBytes = PAGE_BYTES_DEFAULT,
): PageBytes {
  const spaces = levels.flatMap((level) => [...level.spaces.values()]);
  const pageBytes = given ?? inferPageBytes(spaces) ?? otherwise;
  for (const space of spaces) checkSize(space, pageBytes);
  return pageBytes;
}

/** The size by the first pages file that gives a possible one. */
function inferPageBytes(spaces: readonly LevelSpace[]): PageBytes | undefined {
  for (const { pagesFile, presentPages } of spaces) {
    const sizeBytes = pagesFile?.facts.sizeBytes ?? 0;
    const pageBytes = PAGE_SIZES.find((size) => sizeBytes > 0 && size * presentPages === sizeBytes);
    if (pageBytes !== undefined) return pageBytes;
  }
  return undefined;
}

function checkSize(space: LevelSpace, pageBytes: PageBytes): void {
  const { name, pagesFile, presentPages } = space;
  if (pagesFile === undefined) return;
  const { sizeBytes } = pagesFile.facts;
  if (sizeBytes === presentPages * pageBytes) return;
  const message =
    `${sizeBytes} bytes long, but ${name}.img says ${presentPages} pages` +
    ` of ${pageBytes} bytes, ${presentPages * pageBytes} in all`;
  throw new StoreError('INVALID_IMAGE', message, { file: shownPath(pagesFile) });
}
