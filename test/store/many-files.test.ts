/** Many files, few of them changed: the rest is not opened, and hardly anything is stored. */
import { test } from 'vitest';
import { expectFewChangesCostLittle, expectGrownLogCostsItsGrowth } from '../support/many-files.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

test.each([0, 30])('ten of 5,000 files, in %i directories, cost little', async (directories) => {
  // Times of so few say nothing.
  await expectFewChangesCostLittle(newPath, { count: 5000, directories });
});

test('a log that grows by a MiB costs that MiB', async () => {
  await expectGrownLogCostsItsGrowth(newPath, 100);
});
