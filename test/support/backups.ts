/** Stores to back up, and what a directory must be to be a backup of one. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { SnapshotStore } from '../../src/index.ts';
import { damageBlock } from './damaged-store.ts';
import { makeDump } from './made-dumps.ts';
import { packsOf, type StoredFrame, type StoredPack } from './store-contents.ts';
import { openStore } from './stores.ts';
import { temporaryPaths } from './temporary.ts';
import { expectSameTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

const newPath = temporaryPaths();
const dumps = new Map<number, string>();

/** The dump that follows from a seed, made once for each file of tests. */
export function dump(seed: number): string {
  let path = dumps.get(seed);
  if (path === undefined) dumps.set(seed, (path = makeDump(newPath(), seed)));
  return path;
}

/** A store with a snapshot for each seed, in the timeline `t`. */
export async function storeOf(
  seeds: readonly number[],
  files: Files = nodeFiles,
): Promise<SnapshotStore> {
  const store = await openStore(newPath(), { files, anyFileSystem: true });
  for (const seed of seeds) await store.timeline('t').capture({ images: dump(seed) });
  return store;
}

/** Fails unless a directory is a whole store with just these snapshots. */
export async function expectBackup(
  directory: string,
  seeds: readonly number[],
  isFinished: boolean = true,
): Promise<void> {
  await using store = await openUnmanaged(directory);
  const list = store.timeline('t').list();
  expect(list).toHaveLength(seeds.length);
  for (const [i, seed] of seeds.entries()) {
    const target = newPath();
    await list[i]?.restore(target);
    expectSameTree(target, dump(seed));
    rmSync(target, { recursive: true });
  }
  const { problems, unknownPacks, packs } = await store.verify();
  expect(problems).toEqual([]);
  // What was copied before it was cut off is not known yet.
  if (isFinished) expect(unknownPacks).toEqual([]);
  expect(packs).toBe(store.statistics().packs);
}

/** Takes the catalog of a closed store away. */
export function loseCatalog(directory: string): void {
  for (const end of ['', '-wal', '-shm']) {
    rmSync(join(directory, `catalog.sqlite${end}`), { force: true });
  }
}

/**
 * Closes a store of one pack, loses a frame for good, of which the cache alone tells which pages
 * those were, and repairs: the pack that is written has its own name without it.
 */
export async function repairedWithoutFrame(store: SnapshotStore): Promise<string> {
  const { directory } = store;
  await store.close();
  const [{ path, frames, digests }] = (await packsOf(directory)) as [StoredPack];
  for (const { offset, blockBytes } of [frames[0] as StoredFrame, ...digests]) {
    damageBlock(path, offset, blockBytes);
  }
  await SnapshotStore.repair(directory);
  return directory;
}
