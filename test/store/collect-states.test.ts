/**
 * Damaged states: what a lost catalog would take along is told again by the next collection,
 * whatever became of the pack that told it.
 */
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DescriptorPool } from '../../src/files/descriptor-pool.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { SnapshotStore } from '../../src/index.ts';
import { openPack } from '../../src/pack/pack-set.ts';
import { captureMemory, expectMemory, openSeries } from '../support/collected-stores.ts';
import { damageBlock } from '../support/damaged-store.ts';
import { type Memory, writeDump } from '../support/made-memory.ts';
import { zstd } from '../support/made-packs.ts';
import { packFiles } from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** A pack with states. */
interface StatesPlace {
  readonly path: string;
  readonly generation: number;
  readonly offset: number;
  readonly blockBytes: number;
}

/** The states in the packs of a store, the newest first. */
function statesIn(directory: string): StatesPlace[] {
  const descriptors = new DescriptorPool(nodeFiles, 2);
  try {
    const places = packFiles(directory).flatMap((path): StatesPlace[] => {
      const reader = openPack(nodeFiles, descriptors, zstd, path);
      const place = reader.footer.entries.find(({ type }) => type === 'states');
      const generation = reader.readStates()?.generation;
      if (place === undefined || generation === undefined) return [];
      return [{ path, generation, offset: place.offset, blockBytes: place.blockBytes }];
    });
    return places.sort((a, b) => b.generation - a.generation);
  } finally {
    descriptors.close();
  }
}

/** A closed store with something to say of its snapshots, which is told in its packs. */
async function makeTold(
  wasteThreshold: number,
): Promise<{ directory: string; memories: readonly Memory[] }> {
  const { store, snapshots, memories } = await openSeries(newPath, { count: 4, pages: 100 });
  await snapshots[0]?.pin();
  await store.collect();
  // So that the pack with the manifest of what is removed stays.
  const images = writeDump(newPath(), memories[3] as Memory);
  await store.timeline('u').capture({ images });
  await snapshots[1]?.note('before the upgrade');
  await snapshots[3]?.remove();
  await store.collect({ wasteThreshold });
  await store.close();
  return { directory: store.directory, memories };
}

/** Without its catalog, the store is as it was. */
async function expectTold(directory: string, memories: readonly Memory[]): Promise<void> {
  rmSync(join(directory, 'catalog.sqlite'));
  await SnapshotStore.repair(directory);
  await using store = await openStore(directory);
  const list = store.timeline('t').list();
  expect(list.map((each) => [each.sequence, each.isPinned, each.noteText])).toEqual([
    [1, true, ''],
    [2, false, 'before the upgrade'],
    [3, false, ''],
  ]);
  for (const i of [0, 1, 2]) await expectMemory(store.snapshot(`t@${i + 1}`), memories[i], newPath);
  await expectMemory(store.snapshot('u'), memories[3], newPath);
  await captureMemory(store, newPath, memories[3] as Memory);
  expect(store.snapshot('t').sequence).toBe(5);
}

describe('states that are', () => {
  test.each<[string, number, (place: StatesPlace) => void]>([
    ['damaged', 1, ({ path, offset, blockBytes }) => damageBlock(path, offset, blockBytes)],
    ['in a damaged pack', 1, ({ path }) => damageBlock(path, statSync(path).size - 40, 40)],
    ['gone', 1, ({ path }) => rmSync(path)],
    // With no waste they are in a pack with pages.
    [
      'damaged beside pages',
      0,
      ({ path, offset, blockBytes }) => damageBlock(path, offset, blockBytes),
    ],
  ])('%s are found, and told again by the next collection', async (_, wasteThreshold, damage) => {
    const { directory, memories } = await makeTold(wasteThreshold);
    const [newest] = statesIn(directory) as [StatesPlace];
    damage(newest);
    await (async () => {
      await using store = await openStore(directory);
      const { problems } = await store.verify({ level: 'quick' });
      expect(problems.map(({ file }) => file)).toContain(newest.path);
      await store.collect();
      expect((await store.verify()).problems).toEqual([]);
      expect(await store.collect()).toMatchObject({ damage: [], writtenBytes: 0, complete: true });
    })();
    const [told] = statesIn(directory) as [StatesPlace];
    expect(told.generation).toBeGreaterThan(newest.generation);
    await expectTold(directory, memories);
  });
});
