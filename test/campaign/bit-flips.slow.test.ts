/**
 * Random damage of all files of a store, 10,000 times unless CRIU_TIMELINE_CASES says otherwise;
 * most of it is a flipped bit. The seed is printed, and what came of it.
 */
import { expect, test } from 'vitest';
import { type DamageKind, FlippedStore, type Outcome } from '../support/bit-flips.ts';
import { randomNumbers } from '../support/kills.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const cases = Number(process.env['CRIU_TIMELINE_CASES'] ?? 10_000);
/** Seven flips for each other kind. */
const MIX: readonly DamageKind[] = [
  ...Array.from({ length: 7 }, () => 'flip' as const),
  'zero',
  'truncate',
  'swap',
];

test(`random damage gives no wrong byte, ${cases} times`, async () => {
  const seed = Date.now() >>> 0;
  process.stderr.write(`bit flips: seed ${seed}\n`);
  const random = randomNumbers(seed);
  const store = await FlippedStore.make(newPath);
  const kinds = [...new Set(store.regions.map(({ kind }) => kind))];
  const outcomes: Record<Outcome, number> = { harmless: 0, lost: 0, refused: 0 };
  for (let i = 0; i < cases; i++) {
    const kind = kinds[Math.floor(random() * kinds.length)];
    const regions = store.regions.filter((region) => region.kind === kind);
    const region = regions[Math.floor(random() * regions.length)];
    const damage = MIX[Math.floor(random() * MIX.length)];
    if (region === undefined || damage === undefined) throw new Error('no region');
    outcomes[await store.damage(region, damage, random)] += 1;
  }
  const { harmless, lost, refused } = outcomes;
  process.stderr.write(
    `bit flips: ${harmless} harmless, ${lost} with snapshots lost, ${refused} not opened\n`,
  );
  if (cases >= 50) expect(lost).toBeGreaterThan(cases / 10);
});
