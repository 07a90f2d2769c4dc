/** One changed page of a GiB: what it costs does not depend on what has not changed. */
import { test } from 'vitest';
import { expectOneChangedPageCostsLittle } from '../support/one-changed-page.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

test('one changed page of a GiB costs less than 4 KiB of pages, and 64 KiB in all', async () => {
  await expectOneChangedPageCostsLittle(newPath, 1024);
});
