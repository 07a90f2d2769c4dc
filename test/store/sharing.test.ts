/**
 * What is the same is kept once: between containers, between the processes of one, and across new
 * process ids.
 */
import { describe, expect, test } from 'vitest';
import {
  type MadePages,
  type Memory,
  randomPages,
  withBytes,
  writeDump,
} from '../support/made-memory.ts';
import { depthsOf, packsOf } from '../support/store-contents.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

function memoryOf(spaces: Readonly<Record<string, MadePages>>): Memory {
  return { spaces: new Map(Object.entries(spaces)), files: new Map() };
}

/** Pages with a few bytes of each of the first `count` changed. */
function touched(pages: MadePages, count: number, value: number): Map<number, Buffer> {
  const addresses = [...pages.keys()].slice(0, count);
  const changed = addresses.map((address): [number, Buffer] => [
    address,
    withBytes(pages.get(address) ?? Buffer.alloc(4096), 40, Uint8Array.of(value, value + 1)),
  ]);
  return new Map([...pages, ...changed]);
}

const program = randomPages(1000, 300, 1);

describe('two containers with the same program', () => {
  test('share its pages, wherever each has them, and only keep their own', async () => {
    const store = await openStore(newPath());
    const moved = new Map([...program].map(([address, page]) => [address + 77_000, page]));
    const dumps = [
      writeDump(newPath(), memoryOf({ 'pagemap-1': program, 'pagemap-2': randomPages(9, 40, 2) })),
      writeDump(newPath(), memoryOf({ 'pagemap-5': moved, 'pagemap-6': randomPages(9, 50, 3) })),
    ];
    const first = await store.timeline('a').capture({ images: dumps[0] ?? '' });
    const second = await store.timeline('b').capture({ images: dumps[1] ?? '' });
    expect(first.sizes.new.pages).toBeGreaterThan(340);
    // Its own 50, and the small images.
    expect(second.sizes.new.pages).toBeLessThan(60);
    await expectRestores(first, dumps[0] ?? '');
    await expectRestores(second, dumps[1] ?? '');
  });
});

describe('two forked children', () => {
  test('share their pages within one snapshot', async () => {
    const store = await openStore(newPath());
    const spaces = { 'pagemap-1': program, 'pagemap-2': program, 'pagemap-3': program };
    const images = writeDump(newPath(), memoryOf(spaces));
    const snapshot = await store.timeline('t').capture({ images });
    expect(snapshot.sizes.new.pages).toBeLessThan(310);
    await expectRestores(snapshot, images);
  });

  test('share them also where they are deltas', async () => {
    const store = await openStore(newPath());
    const before = { 'pagemap-1': program, 'pagemap-2': program };
    await store.timeline('t').capture({ images: writeDump(newPath(), memoryOf(before)) });
    const now = touched(program, 200, 7);
    const images = writeDump(newPath(), memoryOf({ 'pagemap-1': now, 'pagemap-2': now }));
    const snapshot = await store.timeline('t').capture({ images });
    expect(snapshot.sizes.new.pages).toBe(200);
    const packs = await packsOf(store.directory);
    expect(depthsOf(packs[1])).toEqual(Array(200).fill(1));
    await expectRestores(snapshot, images);
  });

  test('go their own ways from the pages that they had in common', async () => {
    const store = await openStore(newPath());
    const dumps = [0, 1, 2].map((moment) =>
      writeDump(
        newPath(),
        memoryOf({
          'pagemap-1': moment === 0 ? program : touched(program, 100, 2 * moment),
          'pagemap-2': moment === 0 ? program : touched(program, 100, 2 * moment + 50),
        }),
      ),
    );
    for (const images of dumps) await store.timeline('t').capture({ images });
    const packs = await packsOf(store.directory);
    expect(packs.slice(1).map((pack) => depthsOf(pack).length)).toEqual([200, 200]);
    for (const [i, images] of dumps.entries()) {
      await expectRestores(store.snapshot(`t@${i + 1}`), images);
    }
  });
});

describe('processes that came back under other ids', () => {
  test('go on from their memory: sameness and deltas too', async () => {
    const store = await openStore(newPath());
    const other = randomPages(500_000, 200, 4);
    // The last ids are in another order: only where the pages lie tells who is who.
    const dumps = [
      memoryOf({ 'pagemap-10': program, 'pagemap-11': other }),
      memoryOf({ 'pagemap-20': touched(program, 30, 1), 'pagemap-21': touched(other, 20, 1) }),
      memoryOf({ 'pagemap-31': touched(program, 30, 3), 'pagemap-30': touched(other, 20, 3) }),
    ].map((memory) => writeDump(newPath(), memory));
    for (const images of dumps) await store.timeline('t').capture({ images });
    const packs = await packsOf(store.directory);
    for (const [i, pack] of packs.slice(1).entries()) {
      expect(depthsOf(pack).filter((depth) => depth === i + 1)).toHaveLength(50);
      // The pagemaps have other names, and the inventory is the same.
      expect(pack.manifest.newPages).toBeLessThan(54);
      expect(pack.manifest.base?.depth).toBe(i + 1);
    }
    for (const [i, images] of dumps.entries()) {
      await expectRestores(store.snapshot(`t@${i + 1}`), images);
    }
  });

  test('that have changed places are whole, whatever it costs', async () => {
    const store = await openStore(newPath());
    const other = randomPages(500_000, 200, 4);
    const spaces = { 'pagemap-10': program, 'pagemap-11': other };
    await store.timeline('t').capture({ images: writeDump(newPath(), memoryOf(spaces)) });
    const swapped = { 'pagemap-10': other, 'pagemap-11': program };
    const images = writeDump(newPath(), memoryOf(swapped));
    const snapshot = await store.timeline('t').capture({ images });
    // All of it is in the index.
    expect(snapshot.sizes.new.pages).toBeLessThan(4);
    await expectRestores(snapshot, images);
  });
});
