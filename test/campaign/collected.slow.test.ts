/**
 * Long random histories with collections against a plain model (support/collected-histories.ts),
 * with and without worker threads: CRIU_TIMELINE_CASES of them, 150 unless it says otherwise. The
 * seed is printed; fast-check adds the path where one fails.
 */
import fc from 'fast-check';
import { test } from 'vitest';
import { CollectedHistory } from '../support/collected-histories.ts';
import { collectedStep } from '../support/collected-steps.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const cases = Number(process.env['CRIU_TIMELINE_CASES'] ?? 150);

test(`any long history with collections keeps what is there, ${cases} times`, async () => {
  const seed = Date.now() >>> 0;
  process.stderr.write(`collected histories: seed ${seed}\n`);
  // Most without workers, which take long to start from TypeScript.
  const workers = [0, 0, 0, 0, 0, 1, 2];
  const steps = fc.array(collectedStep(workers), { minLength: 15, maxLength: 50, size: 'max' });
  const property = fc.asyncProperty(steps, async (history) => {
    await CollectedHistory.play(newPath, history);
  });
  // Shrinking such a history takes hours: seed and path play it again, and shrink it where asked.
  await fc.assert(property, { numRuns: cases, seed, endOnFailure: true });
});
