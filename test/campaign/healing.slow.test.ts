/**
 * Random histories of damage and repairs that heal (support/healing-histories.ts):
 * CRIU_TIMELINE_CASES of them, 60 unless it says otherwise. A failure tells the seed.
 */
import { test } from 'vitest';
import { HealingHistory } from '../support/healing-histories.ts';
import { memoryPaths } from '../support/temporary.ts';

const newPath = memoryPaths();
const cases = Number(process.env['CRIU_TIMELINE_CASES'] ?? 60);

test(`no history of damage and repairs loses what was there, ${cases} times`, async () => {
  const first = Number(process.env['CRIU_TIMELINE_SEED'] ?? Date.now() >>> 0);
  process.stderr.write(`healing: seed ${first}\n`);
  for (let i = 0; i < cases; i++) {
    const history = new HealingHistory(newPath, first + i);
    try {
      await history.play(10 + (i % 25));
    } catch (error) {
      throw new Error(`seed ${first + i}:\n${history.log.join('\n')}`, { cause: error });
    }
  }
});
