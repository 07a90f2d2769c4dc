/**
 * Recipes are differences to those of the snapshot before: never through more than 15 manifests,
 * and whatever is removed, all others come out.
 */
import { describe, expect, test } from 'vitest';
import { randomNumbers } from '../support/kills.ts';
import { type Memory, randomPages, withBytes, writeDump } from '../support/made-memory.ts';
import { depthsOf, packsOf } from '../support/store-contents.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const SNAPSHOTS = 40;

/** Small memory that changes a little, grows, shrinks and moves from moment to moment. */
function memoryAt(moment: number): Memory {
  const pages = randomPages(16, 12 + (moment % 5), 1);
  const page = pages.get(16) ?? Buffer.alloc(4096);
  pages.set(16, withBytes(page, 7, Uint8Array.of(moment, 1, 2)));
  const moved = randomPages(1000 + 3 * Math.floor(moment / 8), 6, 2);
  if (moment % 4 === 3) moved.set(5000, Buffer.alloc(4096));
  const spaces = new Map([
    ['pagemap-1', pages],
    ['pagemap-2', moved],
  ]);
  return { spaces, files: new Map([['log', Buffer.from(`line\n`.repeat(moment))]]) };
}

describe('of 40 snapshots', () => {
  test('any may be removed, and all others come out', async () => {
    const directory = newPath();
    let store = await openStore(directory);
    const dumps = Array.from({ length: SNAPSHOTS }, (_, i) => writeDump(newPath(), memoryAt(i)));
    const ids: string[] = [];
    for (const images of dumps) ids.push((await store.timeline('t').capture({ images })).id);
    const packs = await packsOf(directory);
    const depths = packs.map(({ manifest }) => manifest.base?.depth ?? 0);
    expect(depths.slice(0, 18)).toEqual([...Array(16).keys(), 0, 1]);
    expect(Math.max(...packs.flatMap(depthsOf))).toBeGreaterThan(10);

    const removed = new Set<number>();
    const expectOthers = async (): Promise<void> => {
      const list = store.timeline('t').list();
      expect(list.map(({ id }) => id)).toEqual(ids.filter((_, i) => !removed.has(i)));
      for (const snapshot of list) {
        await expectRestores(snapshot, dumps[ids.indexOf(snapshot.id)] ?? '');
      }
    };
    const remove = async (i: number): Promise<void> => {
      await store.snapshot(ids[i] ?? '').remove();
      removed.add(i);
    };
    // The first, one with a whole recipe, one in the middle of each chain.
    for (const i of [0, 16, 8, 17]) await remove(i);
    await expectOthers();
    await store.close();
    store = await openStore(directory);
    await expectOthers();
    const random = randomNumbers(40);
    for (let count = 0; removed.size < SNAPSHOTS - 1; count++) {
      await remove(nth(ids.length, removed, random));
      if (count % 6 === 0) await expectOthers();
    }
    await expectOthers();
    expect((await store.verify()).problems).toEqual([]);

    // What is left may be continued, and what was removed comes back.
    const images = writeDump(newPath(), memoryAt(3));
    await expectRestores(await store.timeline('t').capture({ images }), images);
    for (const [i, id] of ids.entries()) {
      const snapshot = store.snapshot(id);
      if (removed.has(i)) await snapshot.undelete();
      await expectRestores(snapshot, dumps[i] ?? '');
    }
  });
});

/** A number below `end` that is not in `without`. */
function nth(end: number, without: ReadonlySet<number>, random: () => number): number {
  const left = Array.from({ length: end }, (_, i) => i).filter((i) => !without.has(i));
  return left[Math.floor(random() * left.length)] ?? 0;
}
