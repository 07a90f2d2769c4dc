/**
 * Repairs of stores that were collected: moved segments, manifests that were written again, frames
 * with some of their slots, snapshots that are gone; and what a collection that was cut off leaves.
 */
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SnapshotStore } from '../../src/index.ts';
import {
  captureMemory,
  expectMemory,
  firstMemory,
  laterMemory,
} from '../support/collected-stores.ts';
import type { Memory } from '../support/made-memory.ts';
import { packFiles } from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

interface Collected {
  /** Before the collection, and after it. */
  readonly before: string;
  readonly after: string;
  /** Of what is left, by id. */
  readonly memories: ReadonlyMap<string, Memory>;
  readonly gone: readonly string[];
}

/** A store of which the first and each third snapshot was removed. */
async function makeCollected(): Promise<Collected> {
  const directory = newPath();
  const before = newPath();
  const memories = new Map<string, Memory>();
  const gone: string[] = [];
  await (async () => {
    await using store = await openStore(directory);
    let memory = firstMemory(200);
    for (let i = 0; i < 8; i++) {
      const { id } = await captureMemory(store, newPath, memory);
      memories.set(id, memory);
      memory = laterMemory(memory, i + 1);
    }
    for (const [i, snapshot] of store.timeline('t').list().entries()) {
      if (i % 3 !== 0) continue;
      await snapshot.remove();
      gone.push(snapshot.id);
      memories.delete(snapshot.id);
    }
  })();
  cpSync(directory, before, { recursive: true });
  await (async () => {
    await using store = await openStore(directory);
    const report = await store.collect({ wasteThreshold: 0 });
    expect(report.compactedPacks).toBeGreaterThan(0);
  })();
  return { before, after: directory, memories, gone };
}

const made = makeCollected();

async function copyOf(directory: string): Promise<string> {
  const copy = newPath();
  cpSync(directory, copy, { recursive: true });
  return Promise.resolve(copy);
}

async function expectAll(directory: string): Promise<void> {
  const { memories } = await made;
  await using store = await openStore(directory);
  const ids = store
    .timeline('t')
    .list()
    .map(({ id }) => id);
  expect(ids).toEqual([...memories.keys()]);
  for (const [id, memory] of memories) await expectMemory(store.snapshot(id), memory, newPath);
  for (let round = 0; round < 2; round++) {
    const { problems, unknownPacks } = await store.verify({ level: 'snapshots' });
    expect({ problems, unknownPacks }).toEqual({ problems: [], unknownPacks: [] });
    const report = await store.collect({ wasteThreshold: 0 });
    expect(report).toMatchObject({ complete: true, unknownPacks: [], damage: [] });
    if (round > 0) expect(report).toMatchObject({ deadBytes: 0, droppedPacks: 0, writtenBytes: 0 });
  }
  expect(packFiles(directory)).toHaveLength(store.statistics().packs);
  for (const [id, memory] of memories) await expectMemory(store.snapshot(id), memory, newPath);
}

describe('a store that was collected, and whose catalog', () => {
  test('is gone, comes back without what was collected', async () => {
    const { after, memories, gone } = await made;
    const directory = await copyOf(after);
    rmSync(join(directory, 'catalog.sqlite'));
    const report = await SnapshotStore.repair(directory, { level: 'packs' });
    expect(report.snapshots).toMatchObject({ whole: memories.size, lost: [], renumbered: [] });
    expect(report.snapshots.restored).not.toEqual(expect.arrayContaining([gone[0]]));
    await expectAll(directory);
  });

  test('is as it was before the collection, comes back with what is left', async () => {
    const { before, after } = await made;
    const directory = await copyOf(after);
    cpSync(join(before, 'catalog.sqlite'), join(directory, 'catalog.sqlite'));
    const report = await SnapshotStore.repair(directory);
    expect(report.snapshots).toMatchObject({ whole: 5, lost: [], restored: [] });
    await expectAll(directory);
  });

  test.each([false, true])(
    'does not know the packs that a collection published (catalog gone: %s) loses no space',
    async (isGone) => {
      const { before, after } = await made;
      const directory = await copyOf(before);
      for (const path of packFiles(after)) {
        const place = join(directory, path.slice(after.length));
        cpSync(path, place, { recursive: true });
      }
      if (isGone) rmSync(join(directory, 'catalog.sqlite'));
      const report = await SnapshotStore.repair(directory);
      expect(report.snapshots.lost).toEqual([]);
      await using store = await openStore(directory);
      // Marked as removed they may be, when the catalog says so: a collection takes them.
      await store.collect({ wasteThreshold: 0 });
      await store.close();
      await expectAll(directory);
    },
  );

  test('is gone, with packs there that were retired, loses no space', async () => {
    const { before, after } = await made;
    const directory = await copyOf(after);
    const [path = ''] = packFiles(before).filter((old) => {
      return !existsSync(join(directory, old.slice(before.length)));
    });
    cpSync(path, join(directory, path.slice(before.length)), { recursive: true });
    rmSync(join(directory, 'catalog.sqlite'));
    expect((await SnapshotStore.repair(directory)).snapshots.lost).toEqual([]);
    expect(readdirSync(join(directory, 'packs')).length).toBeGreaterThan(0);
    await expectAll(directory);
  });
});
