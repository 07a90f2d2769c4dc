/** Backups of stores that were damaged: what the former backup has is never taken away. */
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { SnapshotStore } from '../../src/index.ts';
import { dump, repairedWithoutFrame, storeOf } from '../support/backups.ts';
import { expectFailure } from '../support/failures.ts';
import { packFiles } from '../support/store-contents.ts';
import { expectRestores } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

function damageFile(path: string): void {
  const bytes = readFileSync(path);
  for (let i = 100; i < bytes.length - 400; i += 50) bytes.writeUInt8(bytes.readUInt8(i) ^ 1, i);
  chmodSync(path, 0o600);
  writeFileSync(path, bytes);
}

/** What is left of the pack tells what its first frame held. */
function damageFrame(path: string): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(200) ^ 1, 200);
  chmodSync(path, 0o600);
  writeFileSync(path, bytes);
}

function damageRow(path: string): void {
  const catalog = new Database(join(path, '..', '..', '..', 'catalog.sqlite'));
  const name = basename(path, '.pack');
  catalog.prepare('UPDATE packs SET size_bytes = size_bytes + 1 WHERE name = ?').run(name);
  catalog.close();
}

test.each([
  ['missing', rmSync],
  ['damaged', damageFile],
  ['not in the catalog', damageRow],
] as const)('what moved into a pack that is %s stays in the backup', async (_, damage) => {
  const store = await storeOf([1, 2, 3]);
  const target = newPath();
  await store.backup(target);
  await store.snapshot('t@1').remove();
  await store.collect({ wasteThreshold: 0 });
  const [largest = ''] = packFiles(store.directory)
    .filter((path) => !existsSync(path.replace(store.directory, target)))
    .sort((a, b) => statSync(b).size - statSync(a).size);
  damage(largest);
  const { damagedPacks, problems, packs } = await store.backup(target);
  expect(damagedPacks.length + problems.length).toBeGreaterThan(0);
  expect(packs.removed).toBe(0);
  await store.close();
  await SnapshotStore.repair(target, { level: 'packs' });
  await using copy = await openUnmanaged(target);
  for (const seed of [2, 3]) await expectRestores(copy.snapshot(`t@${seed}`), dump(seed));
});

describe('what could heal a damaged pack stays in the backup', () => {
  test('however often a backup is made', async () => {
    const target = newPath();
    const store = await recaptured();
    await store.backup(target);
    await collectAgain(store);
    for (let i = 0; i < 3; i++) {
      const { damagedPacks, packs } = await store.backup(target);
      expect(damagedPacks).toMatchObject([{ inBackup: 'former' }]);
      expect(packs.removed).toBe(0);
    }
    await expectHealed(target);
  });

  test('when the backup that brought the damaged pack was cut off', async () => {
    const target = newPath();
    const store = await recaptured();
    const controller = new AbortController();
    const onProgress = (): void => controller.abort();
    await expectFailure(() => store.backup(target, { onProgress, signal: controller.signal }), {
      code: 'ABORTED',
    });
    // Nothing says yet that it is damaged.
    expect(packFiles(target)).toEqual([]);
    const { damagedPacks } = await store.backup(target);
    expect(damagedPacks).toMatchObject([{ inBackup: 'damaged' }]);
    expect(packFiles(target)).toHaveLength(2);
    await collectAgain(store);
    await store.backup(target);
    await expectHealed(target);
  });
});

describe('a pack that a repair has written without what it could not find', () => {
  test('does not take the place of the one in the backup', async () => {
    const store = await storeOf([1]);
    const target = newPath();
    await store.backup(target);
    const directory = await repairedWithoutFrame(store);
    await using repaired = await openUnmanaged(directory);
    expect(await repaired.backup(target)).toMatchObject({ packs: { removed: 0 } });
    await expectHealed(target);
  });

  test('is no base in the backup either for what is captured there', async () => {
    const target = newPath();
    const directory = await repairedWithoutFrame(await storeOf([1]));
    await using repaired = await openUnmanaged(directory);
    await repaired.backup(target);
    await using copy = await openUnmanaged(target);
    await expectRestores(await copy.timeline('new').capture({ images: dump(1) }), dump(1));
  });
});

/** A store with a damaged pack, whose pages it has captured again. */
async function recaptured(): Promise<SnapshotStore> {
  const store = await storeOf([1]);
  damageFrame(packFiles(store.directory)[0] ?? '');
  await store.verify();
  await store.timeline('t').capture({ images: dump(1) });
  return store;
}

/** From here on, only backups have what could heal it. */
async function collectAgain(store: SnapshotStore): Promise<void> {
  await store.snapshot('t@2').remove();
  await store.collect({ wasteThreshold: 0 });
}

async function expectHealed(target: string): Promise<void> {
  await SnapshotStore.repair(target, { level: 'packs' });
  await using copy = await openUnmanaged(target);
  await expectRestores(copy.snapshot('t@1'), dump(1));
}
