/** One changed page in a large dump: what it costs must not depend on what has not changed. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { makeLargeDump, MEBIBYTE_PAGES } from './large-dumps.ts';
import { keptBytes, packsOf, pageBytesOf } from './store-contents.ts';
import { expectRestores, openStore } from './stores.ts';

/** Captures a dump of so many MiB, changes seven bytes of it, and captures it again. */
export async function expectOneChangedPageCostsLittle(
  nextPath: () => string,
  mebibytes: number,
): Promise<void> {
  const images = makeLargeDump(nextPath(), mebibytes * MEBIBYTE_PAGES);
  const store = await openStore(nextPath(), { workers: 2 });
  await store.timeline('t').capture({ images });
  const before = keptBytes(store.directory);
  const file = openSync(join(images, 'pages-1.img'), 'r+');
  writeSync(file, Buffer.from('changed'), 0, 7, 77 * 1024 * 1024 + 5);
  closeSync(file);
  const snapshot = await store.timeline('t').capture({ images });
  expect(snapshot.sizes.new.pages).toBe(1);
  const packs = await packsOf(store.directory);
  expect(pageBytesOf(packs[1])).toBeLessThan(4096);
  expect(keptBytes(store.directory) - before).toBeLessThan(65_536);
  await expectRestores(snapshot, images);
  rmSync(images, { recursive: true });
}
