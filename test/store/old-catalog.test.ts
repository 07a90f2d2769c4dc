/** An older copy of the catalog in place of the newer one: a collection then loses nothing. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SnapshotStore } from '../../src/index.ts';
import {
  captureMemory,
  expectMemory,
  firstMemory,
  laterMemory,
} from '../support/collected-stores.ts';
import type { Memory } from '../support/made-memory.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

test('what packs need that the catalog does not know is not dropped', async () => {
  const directory = newPath();
  const memories: Memory[] = [firstMemory(300)];
  for (let i = 1; i < 6; i++) memories.push(laterMemory(memories[i - 1] as Memory, i));
  const older = newPath();
  await (async () => {
    await using store = await openStore(directory);
    for (const memory of memories.slice(0, 3)) await captureMemory(store, newPath, memory);
  })();
  // Closed: all of the -wal is in it.
  cpSync(join(directory, 'catalog.sqlite'), older);
  const ids: string[] = [];
  await (async () => {
    await using store = await openStore(directory);
    for (const memory of memories.slice(3)) {
      ids.push((await captureMemory(store, newPath, memory)).id);
    }
  })();
  putBack(directory, older);
  await (async () => {
    await using store = await openStore(directory);
    for (const snapshot of store.timeline('t').list()) await snapshot.remove();
    const report = await store.collect({ wasteThreshold: 0 });
    expect(report.unknownPacks).toHaveLength(3);
    // The newest of the three is what the unknown ones differ from.
    expect(store.timeline('t').list({ removed: true })).toHaveLength(1);
  })();
  const report = await SnapshotStore.repair(directory);
  expect(report.snapshots.lost).toEqual([]);
  await using store = await openStore(directory);
  for (const [i, id] of ids.entries()) {
    await expectMemory(store.snapshot(id), memories[3 + i], newPath);
  }
  expect((await store.verify()).problems).toEqual([]);
});

function putBack(directory: string, catalog: string): void {
  for (const end of ['', '-wal', '-shm'])
    rmSync(join(directory, `catalog.sqlite${end}`), { force: true });
  cpSync(catalog, join(directory, 'catalog.sqlite'));
}
