/** Stores for one test, closed when it is done, and snapshots that must be what went in. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { SnapshotStore, OpenOptions, Snapshot } from '../../src/index.ts';
import { expectSameTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

/** Opens a store, which is created if need be; it is closed when the test is done. */
export async function openStore(path: string, options: OpenOptions = {}): Promise<SnapshotStore> {
  const store = await openUnmanaged(path, { create: options.readOnly !== true, ...options });
  onTestFinished(() => store.close());
  return store;
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
