/**
 * Damage below what an open store remembers in memory: whether a capture notices it by itself or
 * meets it on the way, its snapshot stands on nothing that is lost.
 */
import { utimesSync } from 'node:fs';
import { expect, test } from 'vitest';
import { damageBlock } from '../support/damaged-store.ts';
import { type Memory, randomPages, withBytes, writeDump } from '../support/made-memory.ts';
import { packsOf } from '../support/store-contents.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** Every page changes each time in two bytes. */
function memoryAt(moment: number): Memory {
  const pages = randomPages(16, 200, 1);
  for (const [address, page] of pages) {
    pages.set(address, withBytes(page, 100, Uint8Array.of(moment, address & 255)));
  }
  return { spaces: new Map([['pagemap-1', pages]]), files: new Map() };
}

test.each([
  { workers: 0, warmBytes: 0, before: 1 },
  { workers: 0, warmBytes: 0, before: 3 },
  { workers: 0, warmBytes: 2 ** 20, before: 1 },
  { workers: 0, warmBytes: 2 ** 24, before: 2 },
  { workers: 0, warmBytes: 2 ** 24, before: 4 },
  { workers: 2, warmBytes: 2 ** 24, before: 2 },
])(
  'nothing new stands on damage that nobody knew of: %o',
  async ({ workers, warmBytes, before }) => {
    const directory = newPath();
    const store = await openStore(directory, { workers, warmBytes });
    const timeline = store.timeline('t');
    const dumps = Array.from({ length: before + 2 }, (_, i) => writeDump(newPath(), memoryAt(i)));
    for (const images of dumps.slice(0, before)) await timeline.capture({ images });
    const pack = (await packsOf(directory)).find(({ frames }) => frames.length > 3);
    // Not the first one, in which there are small files that do not change.
    const frame = pack!.frames.filter(({ isDelta }) => !isDelta)[1]!;
    damageBlock(pack!.path, frame.offset, frame.blockBytes);
    const found: unknown[] = [];
    const onDamage = (part: unknown) => found.push(part);
    const next = await timeline.capture({ images: dumps[before]! }, { onDamage });
    expect(found).not.toEqual([]);
    const after = await timeline.capture({ images: dumps[before + 1]! });
    const again = await openStore(directory, { workers: 0, readOnly: true });
    await expectRestores(again.snapshot(next.id), dumps[before]!);
    await expectRestores(again.snapshot(after.id), dumps[before + 1]!);
  },
);

test('a pack that was only touched costs time, and nothing else', async () => {
  const directory = newPath();
  const store = await openStore(directory, { workers: 0 });
  const dumps = [0, 1, 2].map((i) => writeDump(newPath(), memoryAt(i)));
  for (const images of dumps.slice(0, 2)) await store.timeline('t').capture({ images });
  for (const { path } of await packsOf(directory)) utimesSync(path, 1, 1);
  const found: unknown[] = [];
  const source = { images: dumps[2]! };
  const last = await store.timeline('t').capture(source, { onDamage: (part) => found.push(part) });
  expect(found).toEqual([]);
  expect(last.sizes.new.pages).toBeGreaterThan(0);
  await expectRestores(store.snapshot(last.id), dumps[2]!);
});
