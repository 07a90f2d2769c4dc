/** What a former backup must be so that another takes its place, and what of it stays. */
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { SnapshotStore } from '../../src/index.ts';
import { dump, expectBackup, loseCatalog, storeOf } from '../support/backups.ts';
import { expectFailure } from '../support/failures.ts';
import { packFiles } from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();
const REFUSED = { code: 'EXISTS', message: /what the store does not/ } as const;

afterEach(() => void vi.useRealTimers());

function cutCatalog(directory: string): void {
  const file = join(directory, 'catalog.sqlite');
  writeFileSync(file, readFileSync(file).subarray(0, 5000));
}

function losePack(directory: string): void {
  rmSync(packFiles(directory)[0] ?? '');
}

/** Removes all packs but these. */
function dropPacks(directory: string, kept: ReadonlySet<string>): void {
  for (const path of packFiles(directory)) if (!kept.has(path)) rmSync(path);
}

/** Closes a store, and puts the catalog that it had before `change` in the place of its own. */
async function takeBack(
  store: SnapshotStore,
  change: (store: SnapshotStore) => Promise<unknown>,
): Promise<SnapshotStore> {
  const { directory } = store;
  await store.close();
  const [file, old] = [join(directory, 'catalog.sqlite'), newPath()];
  copyFileSync(file, old);
  const later = await openUnmanaged(directory);
  await change(later);
  await later.close();
  loseCatalog(directory);
  copyFileSync(old, file);
  return await openStore(directory);
}

describe('a former backup is brought up to date', () => {
  test.each([
    ['lost its catalog', loseCatalog],
    ['had half of a catalog', cutCatalog],
    ['lost a pack', losePack],
  ])('after it %s and was repaired, as often as that happens', async (_, damage) => {
    const store = await storeOf([1, 2]);
    const target = newPath();
    for (const seed of [3, 4]) {
      await store.backup(target);
      damage(target);
      await SnapshotStore.repair(target);
      await store.timeline('t').capture({ images: dump(seed) });
    }
    await store.backup(target);
    await expectBackup(target, [1, 2, 3, 4]);
  });

  test('after a repair of the store has given snapshots other sequences', async () => {
    const again = await takeBack(await storeOf([1]), (later) =>
      later.timeline('t').capture({ images: dump(2) }),
    );
    await again.timeline('t').capture({ images: dump(3) });
    const target = newPath();
    await again.backup(target);
    await again.close();
    const { changes } = await SnapshotStore.repair(again.directory);
    expect(changes.join()).toMatch(/becomes t@3/);
    const repaired = await openStore(again.directory);
    await repaired.backup(target);
    await expectBackup(target, [1, 2, 3]);
  });

  test('after repairs of the store by clocks that go back', async () => {
    let store = await storeOf([1]);
    const target = newPath();
    const start = Date.now();
    for (const [i, hours] of [0, -1, -100_000].entries()) {
      await store.close();
      loseCatalog(store.directory);
      vi.useFakeTimers({ toFake: ['Date'], now: start + hours * 3_600_000 });
      await SnapshotStore.repair(store.directory);
      vi.useRealTimers();
      store = await openStore(store.directory);
      await store.timeline('t').capture({ images: dump(2 + i) });
      await store.backup(target);
    }
    await expectBackup(target, [1, 2, 3, 4]);
  });
});

describe('a former backup is not written over', () => {
  test.each<[string, (store: SnapshotStore) => Promise<unknown>]>([
    ['pins', (store) => store.snapshot('t@1').pin()],
    ['notes', (store) => store.snapshot('t@1').note('evidence')],
    ['removals', (store) => store.snapshot('t@1').remove()],
    ['captures', (store) => store.timeline('u').capture({ images: dump(3) })],
    ['collections', (store) => store.collect({ wasteThreshold: 0 })],
  ])('by a reader from before its last %s', async (_, change) => {
    const store = await storeOf([1, 2]);
    await store.snapshot('t@2').remove();
    await using reader = await openUnmanaged(store.directory, { readOnly: true });
    await change(store);
    const target = newPath();
    await store.backup(target);
    await expectFailure(() => reader.backup(target), REFUSED);
  });

  test.each<[string, (store: SnapshotStore) => Promise<unknown>]>([
    ['pinned', (store) => store.snapshot('t@1').pin()],
    ['captured', (store) => store.timeline('t').capture({ images: dump(3) })],
    ['collected', (store) => store.collect({ wasteThreshold: 0 })],
  ])('by a store whose catalog is older than that which %s', async (_, change) => {
    const store = await storeOf([1, 2]);
    await store.snapshot('t@2').remove();
    const target = newPath();
    const older = await takeBack(store, async (later) => {
      await change(later);
      await later.backup(target);
    });
    await expectFailure(() => older.backup(target), REFUSED);
  });

  test('by a store that was repaired, and has others in the places of its snapshots', async () => {
    const store = await storeOf([1]);
    const before = new Set(packFiles(store.directory));
    const target = newPath();
    const older = await takeBack(store, async (later) => {
      await later.timeline('t').capture({ images: dump(2) });
      await later.backup(target);
      dropPacks(later.directory, before);
    });
    await older.timeline('t').capture({ images: dump(3) });
    await older.close();
    loseCatalog(older.directory);
    await SnapshotStore.repair(older.directory);
    const repaired = await openStore(older.directory);
    await expectFailure(() => repaired.backup(target), REFUSED);
    await expectBackup(target, [1, 2]);
  });
});

test('packs with snapshots that a repair of the store has lost stay in its backup', async () => {
  const store = await storeOf([1, 2]);
  const before = new Set(packFiles(store.directory));
  await store.timeline('t').capture({ images: dump(3) });
  const target = newPath();
  await store.backup(target);
  await store.close();
  dropPacks(store.directory, before);
  await SnapshotStore.repair(store.directory);
  const repaired = await openStore(store.directory);
  expect(repaired.timeline('t').list()).toHaveLength(2);
  for (let i = 0; i < 2; i++) {
    expect(await repaired.backup(target)).toMatchObject({ packs: { removed: 0 } });
  }
  await SnapshotStore.repair(target);
  await expectBackup(target, [1, 2, 3]);
});

test('packs that the store has, and its catalog no longer knows, stay in the backup', async () => {
  const store = await storeOf([1]);
  const target = newPath();
  const older = await takeBack(store, async (later) => {
    await later.timeline('t').capture({ images: dump(2) });
    // Whoever only reads the store leaves no token there: it is not known for a later backup.
    await using reader = await openUnmanaged(later.directory, { readOnly: true });
    await reader.backup(target);
  });
  // Another is given the same place, and goes.
  for (const seed of [3, 4]) await older.timeline('t').capture({ images: dump(seed) });
  await older.snapshot('t@2').remove();
  await older.collect({ wasteThreshold: 0 });
  expect(await older.backup(target)).toMatchObject({ packs: { removed: 0 } });
  await SnapshotStore.repair(target);
  await expectBackup(target, [1, 2, 4]);
});
