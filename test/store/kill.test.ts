/** kill -9 in the middle of captures, a few times; test/campaign has the long form. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { KillingField, randomNumbers } from '../support/kills.ts';
import { startChild } from '../support/children.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

test('kill -9 in the middle of captures loses nothing that was acknowledged', async () => {
  const field = new KillingField(newPath, 400);
  const random = randomNumbers(1);
  for (let round = 0; round < 8; round++) await field.round(random);
  await field.checkAll();
  expect(field.inTheMiddle).toBeGreaterThan(2);
});

test('a killed process leaves the staging of a living one alone', async () => {
  const directory = newPath();
  const task = { directory, timeline: 't', first: 1, work: newPath(), pages: 400 };
  const living = startChild({ ...task, count: 0, stay: true });
  await living.said('done');
  const own = readdirSync(join(directory, 'staging'));
  for (let round = 0; round < 2; round++) {
    const dying = startChild({ ...task, count: 1000, timeline: `t${round}` });
    await dying.said('begin', 2);
    await dying.kill();
    const next = startChild({ ...task, count: 0, timeline: 'n' });
    await next.ended();
    expect(readdirSync(join(directory, 'staging'))).toEqual(own);
  }
  living.process.stdin?.end();
  await living.ended();
});
