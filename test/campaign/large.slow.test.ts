/** One changed page of a GiB: what it costs does not depend on what has not changed. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeLargeDump, MEBIBYTE_PAGES } from '../support/large-dumps.ts';
import { keptBytes, packsOf, pageBytesOf } from '../support/store-contents.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const MEBIBYTES = 1024;

test('one changed page of a GiB costs less than 4 KiB of pages, and 64 KiB in all', async () => {
  const images = makeLargeDump(newPath(), MEBIBYTES * MEBIBYTE_PAGES);
  const store = await openStore(newPath(), { workers: 2 });
  await store.timeline('t').capture({ images });
  const before = keptBytes(store.directory);
  const file = openSync(join(images, 'pages-1.img'), 'r+');
  writeSync(file, Buffer.from('changed'), 0, 7, 777 * 1024 * 1024 + 5);
  closeSync(file);
  const snapshot = await store.timeline('t').capture({ images });
  expect(snapshot.sizes.new.pages).toBe(1);
  const packs = await packsOf(store.directory);
  expect(pageBytesOf(packs[1])).toBeLessThan(4096);
  expect(keptBytes(store.directory) - before).toBeLessThan(65_536);
  await expectRestores(snapshot, images);
  rmSync(images, { recursive: true });
});
