/** A hundred thousand files, ten of them changed, and a log of a GiB that grew by a MiB. */
import { test } from 'vitest';
import { expectFewChangesCostLittle, expectGrownLogCostsItsGrowth } from '../support/many-files.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

test.each([0, 300])(
  'ten of 100,000 files, in %i directories, are all that is read and stored the second time',
  async (directories) => {
    await expectFewChangesCostLittle(newPath, { count: 100_000, directories });
  },
);

test('a log of a GiB that grows by a MiB costs that MiB', async () => {
  await expectGrownLogCostsItsGrowth(newPath, 1024);
});
