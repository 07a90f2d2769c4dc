/** Stores with a history in them, for tests of collections: made memories that change a little. */
import { rmSync } from 'node:fs';
import type { OpenOptions, Snapshot, SnapshotStore } from '../../src/index.ts';
import { type Memory, randomPages, withBytes, writeDump } from './made-memory.ts';
import { packFiles } from './store-contents.ts';
import { openStore } from './stores.ts';
import { expectSameTree, treeBytes } from './trees.ts';

/** A store of one timeline, `t`, and the memories that were captured into it. */
export interface SeriesStore {
  readonly store: SnapshotStore;
  readonly snapshots: readonly Snapshot[];
  readonly memories: readonly Memory[];
}

/** A memory of so many random pages. */
export function firstMemory(pages: number, seed = 1): Memory {
  const spaces = new Map([['pagemap-1', randomPages(16, pages, seed)]]);
  return { spaces, files: new Map([['core-1.img', Buffer.from(`core ${seed}`)]]) };
}

/** The memory some time later: every fourth page has other bytes, every sixteenth is new. */
export function laterMemory(memory: Memory, moment: number): Memory {
  const pages = new Map(memory.spaces.get('pagemap-1'));
  const fresh = randomPages(0, pages.size, 1000 + moment);
  for (const [address, page] of pages) {
    const turn = address + moment;
    if (turn % 16 === 0) pages.set(address, fresh.get(address % pages.size) as Buffer);
    else if (turn % 4 === 0)
      pages.set(address, withBytes(page, (64 * moment) % 4096, Buffer.of(moment & 255)));
  }
  return { ...memory, spaces: new Map([['pagemap-1', pages]]) };
}

/** Captures a memory, by a dump that is removed again. */
export async function captureMemory(
  store: SnapshotStore,
  newPath: () => string,
  memory: Memory,
  parent?: string,
): Promise<Snapshot> {
  const images = writeDump(newPath(), memory);
  const snapshot = await store.timeline('t').capture({ images, parent });
  rmSync(images, { recursive: true });
  return snapshot;
}

/** Opens a new store with a series of captures. */
export async function openSeries(
  newPath: () => string,
  { count = 6, pages = 200, ...options }: OpenOptions & { count?: number; pages?: number } = {},
): Promise<SeriesStore> {
  const store = await openStore(newPath(), options);
  const memories = [firstMemory(pages)];
  for (let i = 1; i < count; i++) memories.push(laterMemory(memories[i - 1] as Memory, i));
  const snapshots: Snapshot[] = [];
  for (const memory of memories) snapshots.push(await captureMemory(store, newPath, memory));
  return { store, snapshots, memories };
}

/** Fails unless a snapshot comes out as this memory. */
export async function expectMemory(
  snapshot: Snapshot,
  memory: Memory | undefined,
  newPath: () => string,
): Promise<void> {
  if (memory === undefined) throw new Error('no such memory');
  const [target, expected] = [newPath(), newPath()];
  await snapshot.restore(target);
  writeDump(expected, memory);
  expectSameTree(target, expected);
  rmSync(target, { recursive: true });
  rmSync(expected, { recursive: true });
}

/** Bytes of all files below `packs/`. */
export function packBytes(directory: string): number {
  return packFiles(directory).reduce((sum, path) => sum + treeBytes(path), 0);
}
