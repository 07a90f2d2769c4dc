/**
 * kill -9 in the middle of captures, 200 times unless CRIU_TIMELINE_CASES says otherwise. The
 * moments differ from run to run; the seed is printed.
 */
import { expect, test } from 'vitest';
import { KillingField, randomNumbers } from '../support/kills.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const kills = Number(process.env['CRIU_TIMELINE_CASES'] ?? 200);
/** Each store grows with every capture, so that checking it takes longer and longer. */
const KILLS_A_STORE = 50;

test(`kill -9 in the middle of captures loses nothing, ${kills} times`, async () => {
  const seed = Date.now() >>> 0;
  process.stderr.write(`kill -9: seed ${seed}\n`);
  const random = randomNumbers(seed);
  let [inTheMiddle, unacknowledged] = [0, 0];
  for (let left = kills; left > 0; left -= KILLS_A_STORE) {
    const field = new KillingField(newPath, random() < 0.5 ? 400 : 3000);
    const rounds = Math.min(left, KILLS_A_STORE);
    for (let round = 0; round < rounds; round++) await field.round(random);
    await field.checkAll();
    expect(field.kills).toBe(rounds);
    inTheMiddle += field.inTheMiddle;
    unacknowledged += field.unacknowledged;
  }
  process.stderr.write(
    `kill -9: ${kills} kills, ${inTheMiddle} in the middle of a capture,` +
      ` ${unacknowledged} between commit and acknowledgement\n`,
  );
  if (kills >= 20) expect(inTheMiddle).toBeGreaterThan(kills / 4);
});
