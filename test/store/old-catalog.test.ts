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
import { packFiles } from '../support/store-contents.ts';
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

test('captures that got the same numbers all come back, with numbers of their own', async () => {
  const directory = newPath();
  const memories: Memory[] = [firstMemory(120)];
  for (let i = 1; i < 8; i++) memories.push(laterMemory(memories[i - 1] as Memory, i));
  const older = newPath();
  const captured: { id: string; sequence: number; digest: string; memory: Memory }[] = [];
  const captureAll = async (part: readonly Memory[]): Promise<void> => {
    await using store = await openStore(directory);
    for (const memory of part) {
      const { id, sequence, digest } = await captureMemory(store, newPath, memory);
      captured.push({ id, sequence, digest, memory });
    }
  };
  await captureAll(memories.slice(0, 2));
  cpSync(join(directory, 'catalog.sqlite'), older);
  await captureAll(memories.slice(2, 5));
  putBack(directory, older);
  await captureAll(memories.slice(5, 7));
  expect(captured.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 3, 4]);
  const dry = await SnapshotStore.repair(directory, { dryRun: true });
  const report = await SnapshotStore.repair(directory);
  expect({ ...report, dryRun: true }).toEqual(dry);
  expect(report.snapshots).toMatchObject({ whole: 7, lost: [] });
  expect(report.snapshots.renumbered).toEqual(
    [5, 6].map((i, n) => {
      const { id, sequence: formerSequence } = captured[i] as { id: string; sequence: number };
      return { id, timeline: 't', formerSequence, sequence: 6 + n };
    }),
  );
  await using store = await openStore(directory);
  const listed = store.timeline('t').list();
  expect(listed.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  // In the order of their captures; what they hold, and so their digests, is what it was.
  expect(listed.map(({ id, digest }) => ({ id, digest }))).toEqual(
    captured.map(({ id, digest }) => ({ id, digest })),
  );
  const next = await captureMemory(store, newPath, memories[7] as Memory);
  expect(next.sequence).toBe(8);
  for (const { id, memory } of captured) await expectMemory(store.snapshot(id), memory, newPath);
  const { problems, unknownPacks } = await store.verify({ level: 'snapshots' });
  expect({ problems, unknownPacks }).toEqual({ problems: [], unknownPacks: [] });
  await expectNothingLeft(store);
  await store.close();
  const again = await SnapshotStore.repair(directory, { level: 'packs' });
  expect(again).toMatchObject({ catalog: 'kept', changes: [], snapshots: { renumbered: [] } });
});

test('a repair that was cut off before its catalog came gives the same numbers', async () => {
  const directory = newPath();
  const [first, second] = [firstMemory(60), firstMemory(60, 2)];
  const older = newPath();
  await (async () => {
    await using store = await openStore(directory);
    await captureMemory(store, newPath, first);
  })();
  cpSync(join(directory, 'catalog.sqlite'), older);
  for (const memory of [second, first]) {
    await using store = await openStore(directory);
    await captureMemory(store, newPath, memory);
    await store.close();
    if (memory === second) putBack(directory, older);
  }
  const copy = newPath();
  cpSync(directory, copy, { recursive: true });
  const report = await SnapshotStore.repair(directory);
  expect(report.snapshots.renumbered).toHaveLength(1);
  // As it is when all packs are in their places, and the catalog is not.
  cpSync(join(directory, 'packs'), join(copy, 'packs'), { recursive: true, force: false });
  const again = await SnapshotStore.repair(copy);
  expect(again.snapshots).toMatchObject({ renumbered: [], lost: [], whole: 3 });
  await using store = await openStore(copy);
  expect(
    store
      .timeline('t')
      .list()
      .map(({ sequence }) => sequence),
  ).toEqual([1, 2, 3]);
  const { problems } = await store.verify({ level: 'snapshots' });
  expect(problems).toEqual([]);
  await expectNothingLeft(store);
});

/** Fails unless a collection leaves the packs that the catalog has, and no others. */
async function expectNothingLeft(store: SnapshotStore): Promise<void> {
  const report = await store.collect({ wasteThreshold: 0 });
  expect(report).toMatchObject({ complete: true, unknownPacks: [], damage: [] });
  expect(packFiles(store.directory)).toHaveLength(store.statistics().packs);
  expect((await store.verify({ level: 'snapshots' })).problems).toEqual([]);
}

function putBack(directory: string, catalog: string): void {
  for (const end of ['', '-wal', '-shm'])
    rmSync(join(directory, `catalog.sqlite${end}`), { force: true });
  cpSync(catalog, join(directory, 'catalog.sqlite'));
}
