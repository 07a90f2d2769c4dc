/**
 * Long random histories against a plain model (see test/support/histories.ts), with and without
 * worker threads: CRIU_TIMELINE_CASES of them, 200 unless it says otherwise. The seed is printed.
 */
import fc from 'fast-check';
import { test } from 'vitest';
import { History, step } from '../support/histories.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const cases = Number(process.env['CRIU_TIMELINE_CASES'] ?? 200);

test(`any long history leaves every snapshot as it was captured, ${cases} times`, async () => {
  const seed = Date.now() >>> 0;
  process.stderr.write(`histories: seed ${seed}\n`);
  // Most without workers, which take long to start from TypeScript.
  const workers = [0, 0, 0, 0, 1, 2];
  const history = fc.array(step(workers), { minLength: 10, maxLength: 50, size: 'max' });
  const property = fc.asyncProperty(history, async (steps) => {
    await History.play(newPath, steps);
  });
  await fc.assert(property, { numRuns: cases, seed });
});
