/** Damage that a handle meets that is open for reading: whether it is damage, or out of date. */
import { renameSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { captureMemory, openSeries } from '../support/collected-stores.ts';
import { damageBlock, makeClosedStore } from '../support/damaged-store.ts';
import { randomPages } from '../support/made-memory.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

test('is told as it was met where there is no room to look at the catalog', async () => {
  const closed = await makeClosedStore(newPath);
  let isFull = false;
  const files: Files = {
    ...nodeFiles,
    makeTemporaryDirectory: (prefix) => {
      if (isFull) throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
      return nodeFiles.makeTemporaryDirectory(prefix);
    },
  };
  const reader = await openStore(closed.directory, { readOnly: true, files });
  for (const file of closed.packs) damageBlock(file, 0, 400);
  isFull = true;
  const restored = reader.snapshot(closed.ids[0] ?? '').restore(newPath());
  await expect(restored).rejects.toMatchObject({ code: 'CORRUPT' });
});

test('is known to be out of date where the log goes and comes again meanwhile', async () => {
  const { store, snapshots } = await openSeries(newPath, { count: 2, pages: 40 });
  const kept = await captureMemory(store, newPath, {
    spaces: new Map([['pagemap-1', randomPages(16, 40, 1)]]),
    files: new Map(),
  });
  let isAway = false;
  const files: Files = {
    ...nodeFiles,
    copyApart: (from, to) => {
      const isNow = isAway && from.endsWith('-wal');
      if (isNow) renameSync(from, `${from}.away`);
      try {
        nodeFiles.copyApart(from, to);
      } finally {
        if (isNow) renameSync(`${from}.away`, from);
        isAway &&= !isNow;
      }
    },
  };
  const reader = await openStore(store.directory, { readOnly: true, files });
  for (const snapshot of snapshots) await snapshot.remove();
  await store.collect({ wasteThreshold: 0 });
  isAway = true;
  const restored = reader.snapshot(kept.id).restore(newPath());
  await expect(restored).rejects.toMatchObject({ code: 'INCOMPLETE' });
  expect(isAway).toBe(false);
});
