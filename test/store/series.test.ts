/**
 * Series of dumps: the large real ones where they are at hand (CRIU_TIMELINE_SERIES), and made
 * ones always. All come out as they went in, and what is there already costs next to nothing.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { SnapshotStore } from '../../src/index.ts';
import { series } from '../support/fixtures.ts';
import { makeDump } from '../support/made-dumps.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { expectSameTree, treeBytes } from '../support/trees.ts';

const newPath = temporaryPaths();

async function captureAll(store: SnapshotStore, dumps: readonly string[]): Promise<void> {
  for (const images of dumps) await store.timeline('series').capture({ images });
}

async function expectAllRestored(store: SnapshotStore, dumps: readonly string[]): Promise<void> {
  for (const [i, images] of dumps.entries()) {
    const target = newPath();
    await store.snapshot(`series@${i + 1}`).restore(target);
    expectSameTree(target, images);
    rmSync(target, { recursive: true });
  }
}

/** Bytes of a store after it was closed, whatever they are but cache. */
async function bytesWith(path: string, dumps: readonly string[]): Promise<number> {
  const store = await openStore(path);
  await captureAll(store, dumps);
  await store.close();
  return treeBytes(path) - treeBytes(join(path, 'cache'));
}

describe.each(['redis', 'python', 'node'])('the large series of %s', (name) => {
  const path = series(name);

  test.skipIf(path === undefined)('comes out byte-identical', async () => {
    const dumps = readdirSync(path ?? '').map((dump) => join(path ?? '', dump));
    expect(dumps.length).toBeGreaterThan(1);
    const store = await openStore(newPath());
    await captureAll(store, dumps);
    await expectAllRestored(store, dumps);
    await store.close();
    rmSync(store.directory, { recursive: true });
  });
});

describe('a dump that is captured twice', () => {
  const redis = series('redis');

  test.skipIf(redis === undefined)('adds less than 0.1 % of a redis dump', async () => {
    const images = join(redis ?? '', '001');
    const directory = newPath();
    const once = await bytesWith(directory, [images]);
    const twice = await bytesWith(directory, [images]);
    expect(once).toBeGreaterThan(1_000_000);
    expect(twice - once).toBeLessThan(treeBytes(images) / 1000);
    rmSync(directory, { recursive: true });
  });

  test('adds less than 0.1 % of a made dump, and no page', async () => {
    const images = makeDump(newPath(), 1, 6000);
    const directory = newPath();
    const once = await bytesWith(directory, [images]);
    const twice = await bytesWith(directory, [images]);
    expect(twice - once).toBeLessThan(treeBytes(images) / 1000);
    const store = await openStore(directory);
    expect(store.timeline('series').latest()?.sizes.new).toEqual({ bytes: 0, pages: 0 });
  });
});

describe('a made series', () => {
  test('comes out byte-identical, and stores only what changed', async () => {
    const dumps = Array.from({ length: 8 }, (_, seed) => makeDump(newPath(), seed, 2000));
    const store = await openStore(newPath());
    await captureAll(store, dumps);
    await expectAllRestored(store, dumps);
    const news = store.timeline('series').list();
    // A quarter of the first space changes from dump to dump, and the two pages of the other: only
    // the first content of these is in a full page, which is found when it comes again.
    expect(news.slice(1).map(({ sizes }) => sizes.new.pages)).toEqual([
      502, 502, 500, 502, 502, 500, 502,
    ]);
    for (const { sizes } of news.slice(1)) expect(sizes.stored.bytes).toBeLessThan(40_000);
  });

  test('shares its pages with other timelines', async () => {
    const images = makeDump(newPath(), 1, 500);
    const store = await openStore(newPath());
    const first = await store.timeline('a').capture({ images });
    const second = await store.timeline('b').capture({ images });
    expect(first.sizes.new.pages).toBeGreaterThan(500);
    expect(second.sizes.new.pages).toBe(0);
    await expectAllRestored(store, []);
    const target = newPath();
    await second.restore(target);
    expectSameTree(target, images);
  });
});
