/**
 * Stores and dumps for one test: closed and gone when it is done. A made dump follows from its
 * seed, so that what was captured can be made again, byte for byte, by another process.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { SnapshotStore, type OpenOptions, type Snapshot } from '../../src/index.ts';
import { makeImageDirectory } from './image-directories.ts';
import { expectSameTree } from './trees.ts';

/** Opens a store, which is created if need be; it is closed when the test is done. */
export async function openStore(path: string, options: OpenOptions = {}): Promise<SnapshotStore> {
  const store = await SnapshotStore.open(path, { create: options.readOnly !== true, ...options });
  onTestFinished(() => store.close());
  return store;
}

/** Makes a small image directory, of two spaces, that follows from the seed; returns its path. */
export function makeDump(path: string, seed: number, pages = 24): string {
  const changing = { start: 1_000_000, count: Math.ceil(pages / 4), seed: seed + 1 };
  return makeImageDirectory(path, {
    spaces: [
      { name: 'pagemap-7', pagesId: 1, runs: [{ start: 16, count: pages }, changing] },
      { name: 'pagemap-shmem-9', pagesId: 2, runs: [{ start: 0, count: 2, seed: seed % 3 }] },
    ],
  });
}

/** Fails unless a snapshot comes out as `original`; the copy is made beside it and removed. */
export async function expectRestores(snapshot: Snapshot, original: string): Promise<void> {
  const target = join(original, '..', `restored-${snapshot.id}`);
  await snapshot.restore(target);
  try {
    expectSameTree(target, original);
  } finally {
    rmSync(target, { recursive: true });
  }
}
