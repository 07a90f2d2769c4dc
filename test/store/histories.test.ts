/**
 * Random histories against a plain model: whatever is captured, removed, brought back, reopened
 * with other settings, and whatever happens to what is only derived, every live snapshot comes out
 * byte for byte. Longer ones are in test/campaign/histories.slow.test.ts.
 */
import fc from 'fast-check';
import { test } from 'vitest';
import { History, step } from '../support/histories.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { TEST_WORKERS } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

test('any history leaves every snapshot as it was captured', async () => {
  const history = fc.array(step([TEST_WORKERS]), { minLength: 4, maxLength: 12, size: 'max' });
  const property = fc.asyncProperty(history, async (steps) => {
    await History.play(newPath, steps);
  });
  await fc.assert(property, { numRuns: 10 });
}, 120_000);
