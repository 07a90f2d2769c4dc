/**
 * Pages that change a little, again and again: chains of deltas stay as short as they are meant to
 * be, every moment comes out, and small changes cost little.
 */
import { describe, expect, test } from 'vitest';
import { type Memory, randomPages, withBytes, writeDump } from '../support/made-memory.ts';
import { expectOneChangedPageCostsLittle } from '../support/one-changed-page.ts';
import { depthsOf, packsOf, pageBytesOf } from '../support/store-contents.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

const CAPTURES = 40;

/** One process of incompressible pages, of which the first `changing` differ in a few bytes. */
function memoryAt(moment: number, changing: number): Memory {
  const pages = randomPages(16, 40, 1);
  for (let i = 0; i < changing; i++) {
    const bytes = Uint8Array.of(moment, moment + 1, moment + 2, i);
    pages.set(16 + i, withBytes(pages.get(16 + i) ?? Buffer.alloc(4096), 100 * i + 8, bytes));
  }
  return { spaces: new Map([['pagemap-7', pages]]), files: new Map() };
}

describe.each([0, 1, 3, 16])('with at most %i deltas', (maxDeltaDepth) => {
  test('no chain is longer, chains start again, and every moment comes out', async () => {
    const store = await openStore(newPath(), { maxDeltaDepth });
    const dumps = Array.from({ length: CAPTURES }, (_, moment) =>
      writeDump(newPath(), memoryAt(moment, 12)),
    );
    for (const images of dumps) await store.timeline('t').capture({ images });
    for (const [i, images] of dumps.entries()) {
      await expectRestores(store.snapshot(`t@${i + 1}`), images);
    }
    const packs = await packsOf(store.directory);
    const depths = packs.map((pack) => Math.max(0, ...depthsOf(pack)));
    expect(Math.max(...depths)).toBe(maxDeltaDepth);
    const deltas = packs.slice(1).map((pack) => depthsOf(pack).length);
    expect(new Set(deltas)).toEqual(new Set([maxDeltaDepth === 0 ? 0 : 12]));
    // They grow by one until they start again, never from anything but a full page.
    for (const [i, depth] of depths.entries()) {
      const before = depths[i - 1] ?? 0;
      expect([before + 1, Math.min(1, maxDeltaDepth), 0]).toContain(depth);
    }
    if (maxDeltaDepth > 0) {
      expect(depths.slice(1).filter((depth) => depth === 1).length).toBeGreaterThan(1);
    }
  });
});

describe('a page that changes in a few bytes', () => {
  test('costs a few bytes in each of 40 captures', async () => {
    const store = await openStore(newPath());
    for (let moment = 0; moment < CAPTURES; moment++) {
      await store.timeline('t').capture({ images: writeDump(newPath(), memoryAt(moment, 1)) });
    }
    const packs = await packsOf(store.directory);
    for (const pack of packs.slice(1)) {
      expect(pack.manifest.newPages).toBe(1);
      expect(pageBytesOf(pack)).toBeLessThan(100);
      expect(pack.sizeBytes).toBeLessThan(1500);
    }
  });

  test('is kept in full when deltas would be no smaller', async () => {
    const store = await openStore(newPath());
    const first = memoryAt(0, 0);
    await store.timeline('t').capture({ images: writeDump(newPath(), first) });
    const other = { ...first, spaces: new Map([['pagemap-7', randomPages(16, 40, 2)]]) };
    const images = writeDump(newPath(), other);
    const snapshot = await store.timeline('t').capture({ images });
    expect(snapshot.sizes.new.pages).toBe(40);
    const packs = await packsOf(store.directory);
    expect(depthsOf(packs[1])).toEqual([]);
    await expectRestores(snapshot, images);
  });

  test('with another setting, goes on with the chains that are there', async () => {
    const directory = newPath();
    const settings = [16, 16, 16, 2, 2, 0, 16, 1, 16];
    const dumps = settings.map((_, moment) => writeDump(newPath(), memoryAt(moment, 3)));
    for (const [i, maxDeltaDepth] of settings.entries()) {
      const store = await openStore(directory, { maxDeltaDepth });
      await store.timeline('t').capture({ images: dumps[i] ?? '' });
      await store.close();
    }
    const packs = await packsOf(directory);
    const depths = packs.map((pack) => Math.max(0, ...depthsOf(pack)));
    expect(depths).toEqual([0, 1, 2, 1, 2, 0, 1, 1, 2]);
    const store = await openStore(directory);
    for (const [i, images] of dumps.entries()) {
      await expectRestores(store.snapshot(`t@${i + 1}`), images);
    }
  });
});

describe('one changed page', () => {
  const mebibytes = 128;

  test(`of ${mebibytes} MiB costs less than 4 KiB of pages, and 64 KiB in all`, async () => {
    await expectOneChangedPageCostsLittle(newPath, mebibytes);
  });
});
