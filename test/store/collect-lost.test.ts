/** Collections of stores in which pages are lost for good: what is left of them stays. */
import { truncateSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SnapshotStore } from '../../src/index.ts';
import {
  captureMemory,
  expectMemory,
  firstMemory,
  laterMemory,
} from '../support/collected-stores.ts';
import { type Memory, writeDump } from '../support/made-memory.ts';
import { packFiles } from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

test('snapshots of which pages are lost are no hindrance, and keep what is left', async () => {
  const directory = newPath();
  const first = firstMemory(300);
  const later = laterMemory(first, 1);
  await (async () => {
    await using store = await openStore(directory);
    await captureMemory(store, newPath, first);
    const [pack] = packFiles(directory);
    // Of another timeline: its recipes are whole, its pages the first one's, and some of its own.
    for (const memory of [later, laterMemory(later, 2)]) await captureOther(store, memory);
    await captureOther(store, laterMemory(laterMemory(later, 2), 3));
    truncateSync(pack as string, 100);
  })();
  const report = await SnapshotStore.repair(directory);
  expect(report.snapshots.lost.map(({ lost }) => lost)).toEqual([
    'whole',
    'partly',
    'partly',
    'partly',
  ]);

  await using store = await openStore(directory);
  const [one, two, three] = store.timeline('u').list();
  // The second differs from the first, which is removed, and cannot be written again.
  await one?.remove();
  await three?.remove();
  const missing = (await two?.restore(newPath(), { partial: true }))?.missing;
  expect(missing?.bytes).toBeGreaterThan(0);
  const collected = await store.collect({ wasteThreshold: 0 });
  expect(collected).toMatchObject({ complete: true, condemnedSnapshots: 1, damage: [] });
  expect((await two?.restore(newPath(), { partial: true }))?.missing).toEqual(missing);
  const whole: Memory = firstMemory(50, 9);
  await expectMemory(await captureMemory(store, newPath, whole), whole, newPath);

  await two?.remove();
  await store.collect({ wasteThreshold: 0 });
  expect(store.timeline('u').list({ removed: true })).toEqual([]);
  expect((await store.verify()).problems).toEqual([]);
});

async function captureOther(store: SnapshotStore, memory: Memory): Promise<void> {
  await store.timeline('u').capture({ images: writeDump(newPath(), memory) });
}
