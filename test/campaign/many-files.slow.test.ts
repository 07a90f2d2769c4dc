/**
 * A hundred thousand files, ten of them changed, and a log of a GiB that grew by a MiB. Where
 * CRIU_TIMELINE_CASES bounds the campaigns, 20,000 files.
 */
import { test } from 'vitest';
import { expectFewChangesCostLittle, expectGrownLogCostsItsGrowth } from '../support/many-files.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const count = process.env['CRIU_TIMELINE_CASES'] === undefined ? 100_000 : 20_000;

test.each([0, 300])(
  `ten of ${count} files, in %i directories, are all that is read and stored the second time`,
  async (directories) => {
    await expectFewChangesCostLittle(newPath, { count, directories });
  },
);

test('a log of a GiB that grows by a MiB costs that MiB', async () => {
  await expectGrownLogCostsItsGrowth(newPath, 1024);
});
