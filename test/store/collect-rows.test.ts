/** Collections of stores with damaged rows: what such a row is about is there, and stays. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import {
  captureMemory,
  expectMemory,
  firstMemory,
  laterMemory,
} from '../support/collected-stores.ts';
import { expectFailure } from '../support/failures.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

function change(directory: string, sql: string): void {
  const catalog = new Database(join(directory, 'catalog.sqlite'));
  catalog.exec(sql);
  catalog.close();
}

test.each([
  ['segments', 'pages = pages'],
  ['packs', 'size_bytes = size_bytes'],
])('a damaged row of %s stops a collection, which takes nothing away', async (table, column) => {
  const store = await openUnmanaged(newPath(), { create: true });
  const { directory } = store;
  const memories = [firstMemory(300)];
  for (const i of [1, 2]) memories.push(laterMemory(memories[i - 1] as (typeof memories)[0], i));
  const first = await captureMemory(store, newPath, firstMemory(300));
  for (const memory of memories.slice(1)) await captureMemory(store, newPath, memory);
  await first.remove();
  await store.snapshot('t@2').remove();
  // So that no manifest is where the pages are that the row is about.
  await store.collect({ wasteThreshold: 1, maxBytes: 0 });
  await store.close();
  change(directory, `UPDATE ${table} SET ${column} + 1 WHERE number = 2`);
  const damaged = await openUnmanaged(directory);
  await expectFailure(() => damaged.collect({ wasteThreshold: 0 }), { code: 'CORRUPT' });
  await damaged.close();
  change(directory, `UPDATE ${table} SET ${column} - 1 WHERE number = 2`);
  const mended = await openStore(directory);
  await expectMemory(mended.snapshot('t@3'), memories[2], newPath);
  expect((await mended.verify()).problems).toEqual([]);
});
