/** How many pages bytes take. */
import { expect, it } from 'vitest';
import { PAGE_BYTES, pagesOf } from '../../src/bytes/page.ts';

it.each([
  [0, 0],
  [1, 1],
  [PAGE_BYTES, 1],
  [PAGE_BYTES + 1, 2],
  [Number.MAX_SAFE_INTEGER, 2 ** 41],
])('%d bytes take %d pages', (bytes, pages) => expect(pagesOf(bytes)).toBe(pages));
