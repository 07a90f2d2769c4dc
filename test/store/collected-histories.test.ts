/**
 * Random histories with collections against a plain model: whatever is captured, removed, brought
 * back and collected, on several handles and at the same time, what is there comes out byte for
 * byte, and what is collected takes no space. Longer ones: test/campaign/collected.slow.test.ts.
 */
import fc from 'fast-check';
import { test } from 'vitest';
import { CollectedHistory } from '../support/collected-histories.ts';
import { collectedStep } from '../support/collected-steps.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { TEST_WORKERS } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

test('any history with collections keeps what is there, and no more', async () => {
  const steps = fc.array(collectedStep([TEST_WORKERS]), {
    minLength: 6,
    maxLength: 16,
    size: 'max',
  });
  const property = fc.asyncProperty(steps, async (history) => {
    await CollectedHistory.play(newPath, history);
  });
  await fc.assert(property, { numRuns: 10 });
}, 120_000);
