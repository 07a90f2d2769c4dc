/** Collections beside packs that the catalog does not know, and that cannot be read just now. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { SnapshotStore } from '../../src/index.ts';
import {
  captureMemory,
  expectMemory,
  firstMemory,
  laterMemory,
} from '../support/collected-stores.ts';
import { expectFailure } from '../support/failures.ts';
import { packFiles } from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

test('an unknown pack on a medium that fails just now stops the collection', async () => {
  const [directory, old] = [newPath(), newPath()];
  const later = laterMemory(firstMemory(200), 1);
  const first = await (async () => {
    await using store = await openUnmanaged(directory, { create: true });
    return await captureMemory(store, newPath, firstMemory(200));
  })();
  const catalog = join(directory, 'catalog.sqlite');
  cpSync(catalog, old);
  const [known] = packFiles(directory);
  const { id } = await (async () => {
    await using store = await openUnmanaged(directory);
    return await captureMemory(store, newPath, later);
  })();
  for (const suffix of ['-wal', '-shm']) rmSync(`${catalog}${suffix}`, { force: true });
  cpSync(old, catalog);
  const unknown = new Set(packFiles(directory).filter((path) => path !== known));
  expect(unknown.size).toBe(1);
  const files: Files = {
    ...nodeFiles,
    open: (path, how) => {
      if (!unknown.has(String(path))) return nodeFiles.open(path, how);
      throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO', errno: -5, syscall: 'open' });
    },
  };
  await (async () => {
    await using store = await openUnmanaged(directory, { files, anyFileSystem: true });
    await store.snapshot(first.id).remove();
    await expectFailure(() => store.collect({ wasteThreshold: 0 }), { code: 'STORAGE' });
  })();
  await (async () => {
    await using store = await openUnmanaged(directory);
    await store.collect({ wasteThreshold: 0 });
  })();
  await SnapshotStore.repair(directory);
  await expectMemory((await openStore(directory)).snapshot(id), later, newPath);
});
