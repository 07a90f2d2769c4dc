/** Packs that the catalog has let go of: however many there are, the next collection goes on. */
import { hash } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { captureMemory, firstMemory } from '../support/collected-stores.ts';
import { openStore } from '../support/stores.ts';
import { memoryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = memoryPaths();

// More than a call takes arguments: a ticker of a second makes as many packs in a day and a half.
const COUNT = 130_000;

test('more packs than a call takes arguments are let go of like few', async () => {
  const directory = newPath();
  await (async () => {
    await using store = await openUnmanaged(directory, { create: true });
    await captureMemory(store, newPath, firstMemory(4));
  })();
  const catalog = new Database(join(directory, 'catalog.sqlite'));
  const put = catalog.prepare('INSERT INTO retired VALUES (?, 0, 1000)');
  const putAll = () => {
    for (let i = 0; i < COUNT; i++) put.run(hash('sha256', String(i)));
  };
  catalog.transaction(putAll)();
  catalog.close();
  const store = await openStore(directory);
  expect(await store.collect()).toMatchObject({ complete: true, waitingPacks: 0 });
}, 60_000);
