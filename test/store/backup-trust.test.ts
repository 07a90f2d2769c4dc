/** What a backup believes of the former one, of records, and of the store, and what it looks at. */
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { SnapshotStore } from '../../src/index.ts';
import {
  dump,
  expectBackup,
  loseCatalog,
  repairedWithoutFrame,
  storeOf,
} from '../support/backups.ts';
import { damageBlock } from '../support/damaged-store.ts';
import { expectFailure } from '../support/failures.ts';
import { packFiles, packsOf, type StoredPack } from '../support/store-contents.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();
const REFUSED = { code: 'EXISTS', message: /what the store does not/ } as const;

/** Damages a frame of a store's only pack, and lets the store know. */
async function damageFrame(store: SnapshotStore): Promise<void> {
  const [path = ''] = packFiles(store.directory);
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(200) ^ 1, 200);
  chmodSync(path, 0o600);
  writeFileSync(path, bytes);
  await store.verify();
}

function change(directory: string, sql: string): void {
  const catalog = new Database(join(directory, 'catalog.sqlite'));
  catalog.prepare(sql).run();
  catalog.close();
}

/** A backup that is cut off behind its first pack. */
async function cutOff(store: SnapshotStore, target: string): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  const onProgress = ({ done }: { done: number }): void => {
    if (done === 1) controller.abort();
  };
  await expectFailure(() => store.backup(target, { onProgress, signal }), { code: 'ABORTED' });
}

/** Removes what has brought the pages of the first snapshot again. */
async function dropSecond(store: SnapshotStore): Promise<void> {
  await store.snapshot('t@2').remove();
  await store.collect({ wasteThreshold: 0 });
}

async function expectFirst(target: string): Promise<void> {
  await SnapshotStore.repair(target, { level: 'packs' });
  await using copy = await openUnmanaged(target);
  await expectRestores(copy.snapshot('t@1'), dump(1));
}

/** Nothing that is lost may be believed to be there by what is captured into the backup. */
async function expectCapturesWhole(target: string): Promise<void> {
  await using copy = await openUnmanaged(target);
  await expectRestores(await copy.timeline('new').capture({ images: dump(1) }), dump(1));
}

describe('damaged bytes are never called whole', () => {
  test('when the backup that brought them in the place of a lost pack was cut off', async () => {
    const store = await storeOf([1]);
    const target = newPath();
    await store.backup(target);
    rmSync(packFiles(target)[0] ?? '');
    await damageFrame(store);
    await cutOff(store, target);
    expect((await store.backup(target)).damagedPacks).toMatchObject([{ inBackup: 'damaged' }]);
    await expectCapturesWhole(target);
  });

  test('and what could heal them stays', async () => {
    const store = await storeOf([1]);
    const target = newPath();
    await store.backup(target);
    rmSync(packFiles(target)[0] ?? '');
    await damageFrame(store);
    await store.timeline('t').capture({ images: dump(1) });
    await cutOff(store, target);
    await store.backup(target);
    await dropSecond(store);
    await store.backup(target);
    await expectFirst(target);
  });

  test('after a repair of the backup, which reads their frames', async () => {
    const store = await storeOf([1]);
    await damageFrame(store);
    await store.timeline('t').capture({ images: dump(1) });
    const target = newPath();
    await store.backup(target);
    await SnapshotStore.repair(target);
    await dropSecond(store);
    await store.backup(target);
    await expectFirst(target);
  });
});

describe('what a repair has not found is lost in the backup as well', () => {
  test('though the catalog that knew of it was lost, the whole pack stays', async () => {
    const store = await storeOf([1]);
    const target = newPath();
    await store.backup(target);
    const directory = await repairedWithoutFrame(store);
    loseCatalog(directory);
    await SnapshotStore.repair(directory);
    await using repaired = await openUnmanaged(directory);
    expect((await repaired.backup(target)).packs.removed).toBe(0);
    await expectFirst(target);
  });

  test('also when the store learns of it after the first backup', async () => {
    const directory = await repairedWithoutFrame(await storeOf([1]));
    loseCatalog(directory);
    await SnapshotStore.repair(directory);
    await using repaired = await openUnmanaged(directory);
    const target = newPath();
    await repaired.backup(target);
    await repaired.verify();
    for (let i = 0; i < 3; i++) await repaired.backup(target);
    await expectCapturesWhole(target);
  });

  test('also when the backup has lost its catalog', async () => {
    const directory = await repairedWithoutFrame(await storeOf([1]));
    await using repaired = await openUnmanaged(directory);
    const target = newPath();
    await repaired.backup(target);
    loseCatalog(target);
    await SnapshotStore.repair(target);
    await repaired.backup(target);
    await expectCapturesWhole(target);
  });
});

describe('the former backup', () => {
  test('is mended where it was found damaged', async () => {
    const store = await storeOf([1]);
    const target = newPath();
    await store.backup(target);
    const [{ path, manifestOffset }] = (await packsOf(target)) as [StoredPack];
    damageBlock(path, manifestOffset, 60);
    {
      await using copy = await openUnmanaged(target);
      expect((await copy.verify()).damagedPacks).toHaveLength(1);
    }
    expect((await store.backup(target)).packs).toMatchObject({ copied: 1, kept: 0 });
    await expectBackup(target, [1]);
  });

  test('keeps a file that is longer than it must be where the store is damaged', async () => {
    const store = await storeOf([1]);
    const target = newPath();
    await store.backup(target);
    const [longer = ''] = packFiles(target);
    const whole = readFileSync(longer);
    chmodSync(longer, 0o600);
    writeFileSync(longer, Buffer.concat([whole, Buffer.alloc(10)]));
    await damageFrame(store);
    const { damagedPacks } = await store.backup(target);
    expect(damagedPacks).toMatchObject([{ inBackup: 'former' }]);
    expect(readFileSync(longer)).toHaveLength(whole.length + 10);
  });

  test('loses nothing when a row of its catalog is damaged', async () => {
    const store = await storeOf([1, 2]);
    const before = new Set(packFiles(store.directory));
    await store.timeline('t').capture({ images: dump(3) });
    const target = newPath();
    await store.backup(target);
    await store.close();
    for (const path of packFiles(store.directory)) if (!before.has(path)) rmSync(path);
    await SnapshotStore.repair(store.directory);
    change(target, "UPDATE snapshots SET checksum = x'0000000000000000' WHERE sequence = 3");
    const repaired = await openStore(store.directory);
    const { problems, packs } = await repaired.backup(target);
    expect(problems).toMatchObject([expect.stringMatching(/damaged row/)]);
    expect(packs.removed).toBe(0);
    await SnapshotStore.repair(target);
    await expectBackup(target, [1, 2, 3]);
  });

  test('is brought up to date by a store of which the row of a timeline is damaged', async () => {
    const store = await storeOf([1]);
    await store.timeline('other').capture({ images: dump(2) });
    const target = newPath();
    await store.backup(target);
    await store.timeline('t').capture({ images: dump(3) });
    change(
      store.directory,
      "UPDATE timelines SET checksum = x'0000000000000000' WHERE name = 'other'",
    );
    expect((await store.backup(target)).problems.length).toBeGreaterThan(0);
    await using copy = await openUnmanaged(target);
    await expectRestores(copy.snapshot('t@2'), dump(3));
  });

  test('without a catalog is to be repaired first', async () => {
    const store = await storeOf([1]);
    const target = newPath();
    await store.backup(target);
    rmSync(join(target, 'catalog.sqlite'));
    cpSync(join(store.directory, 'catalog.sqlite-wal'), join(target, 'catalog.sqlite-wal'));
    const error = { code: 'CORRUPT', message: /repair the target first/ } as const;
    await expectFailure(() => store.backup(target), error);
    await SnapshotStore.repair(target);
    await store.backup(target);
    await expectBackup(target, [1]);
  });
});

describe('a backup of a later state is not written over', () => {
  test('by the store that an older backup has become, whatever it removes', async () => {
    const store = await storeOf([1]);
    const [older, newer] = [newPath(), newPath()];
    await store.backup(older);
    await store.timeline('t').capture({ images: dump(2) });
    await store.backup(newer);
    await store.close();
    const rolled = await openStore(older);
    await rolled.timeline('t').capture({ images: dump(3) });
    await expectFailure(() => rolled.backup(newer), REFUSED);
    await rolled.timeline('t').capture({ images: dump(4) });
    await dropSecond(rolled);
    await expectFailure(() => rolled.backup(newer), REFUSED);
    await expectBackup(newer, [1, 2]);
    // Others are its own.
    const own = newPath();
    for (let i = 0; i < 2; i++) await rolled.backup(own);
    await expectBackup(own, [1, 4]);
  });

  test('by an older copy of the whole store', async () => {
    const store = await storeOf([1, 2]);
    const { directory } = store;
    await store.close();
    const [image, target] = [newPath(), newPath()];
    cpSync(directory, image, { recursive: true });
    {
      await using later = await openUnmanaged(directory);
      await later.snapshot('t@1').note('evidence');
      await later.backup(target);
    }
    rmSync(directory, { recursive: true });
    cpSync(image, directory, { recursive: true });
    const back = await openStore(directory);
    await back.snapshot('t@2').note('another');
    await expectFailure(() => back.backup(target), REFUSED);
  });

  test('and is brought up to date by whoever reads the store, and by it again', async () => {
    const store = await storeOf([1]);
    const [target, other] = [newPath(), newPath()];
    for (const path of [target, other, target]) await store.backup(path);
    await using reader = await openUnmanaged(store.directory, { readOnly: true });
    for (const path of [target, other]) await reader.backup(path);
    await cutOff(store, newPath());
    await store.backup(target);
    await expectBackup(target, [1]);
  });
});
