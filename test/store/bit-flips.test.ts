/** Every region of every kind of file, damaged in every way; test/campaign has thousands more. */
import { expect, test } from 'vitest';
import { DAMAGES, FlippedStore, type Outcome } from '../support/bit-flips.ts';
import { randomNumbers } from '../support/kills.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

test('any region of any file that is damaged in any way gives no wrong byte', async () => {
  const store = await FlippedStore.make(newPath);
  const random = randomNumbers(7);
  const kinds = [...new Set(store.regions.map(({ kind }) => kind))].sort();
  expect(kinds).toEqual([
    'catalog',
    'delta frame',
    'digests',
    'facts',
    'footer',
    'format',
    'frame',
    'frameTable',
    'head',
    'header',
    'manifest',
    'pack',
    'run',
    'trailer',
  ]);
  const outcomes: Record<Outcome, number> = { harmless: 0, lost: 0, refused: 0 };
  for (const kind of kinds) {
    const regions = store.regions.filter((region) => region.kind === kind);
    for (const damage of DAMAGES) {
      const region = regions[Math.floor(random() * regions.length)];
      if (region !== undefined) outcomes[await store.damage(region, damage, random)] += 1;
    }
  }
  expect(outcomes.lost).toBeGreaterThan(15);
  expect(outcomes.refused).toBeGreaterThan(2);
});
