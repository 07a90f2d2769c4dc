/**
 * A store of thousands of packs (3,000 at most, as many as CRIU_TIMELINE_CASES says): descriptors
 * stay few while it is captured into, verified, restored from and backed up.
 */
import { expect, test } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import type { Files } from '../../src/files/files.ts';
import { openDescriptors } from '../support/doors.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const packs = Math.min(3000, Math.max(200, Number(process.env['CRIU_TIMELINE_CASES'] ?? 3000)));
/** The pools of the store and of the thread that works for it, 128 packs each, and the index. */
const MOST = 400;

test(`a store of ${packs} packs is used with few descriptors`, async () => {
  let most = 0;
  let opened = 0;
  const before = openDescriptors();
  const files: Files = {
    ...nodeFiles,
    open: (...values) => {
      const fd = nodeFiles.open(...values);
      opened += 1;
      if (opened % 8 === 0) most = Math.max(most, openDescriptors() - before);
      return fd;
    },
  };
  const store = await openStore(newPath(), { files, maxDeltaDepth: 0 });
  const dumps = Array.from({ length: packs }, (_, seed) => () => makeDump(newPath(), seed, 4));
  for (const make of dumps) await store.timeline('t').capture({ images: make() });
  expect(store.statistics().packs).toBe(packs);
  expect(await store.verify()).toMatchObject({ packs, problems: [], unknownPacks: [] });
  for (const sequence of [1, packs >>> 1, packs]) {
    const images = dumps[sequence - 1]?.() ?? '';
    await expectRestores(store.snapshot(`t@${sequence}`), images);
  }
  const target = newPath();
  expect((await store.backup(target)).packs).toMatchObject({ copied: packs });
  process.stderr.write(`many packs: ${most} descriptors at most, ${opened} times opened\n`);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(MOST);
  await store.close();
  expect(openDescriptors()).toBeLessThanOrEqual(before);
});
