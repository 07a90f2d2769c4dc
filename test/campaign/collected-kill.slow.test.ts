/**
 * kill -9 of processes that do anything with one store, collections included: ten minutes of it,
 * half a minute where CRIU_TIMELINE_CASES bounds it. The moments differ from run to run.
 */
import { expect, test } from 'vitest';
import { CollectingField } from '../support/collected-kills.ts';
import { randomNumbers } from '../support/kills.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const isBounded = process.env['CRIU_TIMELINE_CASES'] !== undefined;
const seconds = Number(process.env['CRIU_TIMELINE_SECONDS'] ?? (isBounded ? 30 : 600));
const PROCESSES = 5;

test(`kill -9 of ${PROCESSES} processes that capture and collect, for ${seconds} s`, async () => {
  const seed = Date.now() >>> 0;
  process.stderr.write(`kill -9 with collections: seed ${seed}\n`);
  const random = randomNumbers(seed);
  const field = new CollectingField(newPath, random, random() < 0.5 ? 24 : 400);
  await field.run(PROCESSES, seconds * 1000);
  await field.checkAll();
  process.stderr.write(`kill -9 with collections: ${JSON.stringify(field.counts)}\n`);
  expect(field.counts.kills).toBeGreaterThan(PROCESSES);
  expect(field.counts.collections).toBeGreaterThan(0);
});
