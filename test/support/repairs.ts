/** Stores to be damaged and repaired: several timelines, deltas, files, states; closed. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Snapshot, SnapshotStore } from '../../src/index.ts';
import type { PackWriter } from '../../src/pack/writer.ts';
import { makeDump } from './made-dumps.ts';
import { makeImageDirectory } from './image-directories.ts';
import { writePack } from './made-packs.ts';
import { describeTree } from './trees.ts';
import { openUnmanaged } from './unmanaged-stores.ts';

/** A closed store, and what was captured into it. */
export interface RichStore {
  readonly directory: string;
  /** In the order of the captures. */
  readonly ids: readonly string[];
  /** By id: the image directory, and the directory of files if there were any. */
  readonly sources: ReadonlyMap<string, { readonly images: string; readonly files?: string }>;
  /** Ids of the snapshots that were removed, pinned, and have a note. */
  readonly removed: string;
  readonly pinned: string;
  readonly noted: string;
}

/** Pages that stay nearly the same, so that most of them become deltas. */
function makeSeries(path: string, step: number): string {
  const edits = Array.from({ length: 12 }, (_, i) => ({
    start: i * 2 + 1,
    count: 1,
    seed: step + i,
  }));
  return makeImageDirectory(path, {
    spaces: [
      {
        name: 'pagemap-5',
        pagesId: 1,
        runs: edits.flatMap((edit) => [{ start: edit.start - 1, count: 1, seed: 3 }, edit]),
      },
    ],
  });
}

function makeFiles(path: string, step: number): string {
  mkdirSync(join(path, 'var', 'log'), { recursive: true });
  writeFileSync(join(path, 'var', 'log', 'app'), `line ${step}\n`.repeat(2000 + step * 10));
  writeFileSync(join(path, 'constant'), 'always the same\n'.repeat(1000));
  return path;
}

/** Makes the store. */
export async function makeRichStore(newPath: () => string): Promise<RichStore> {
  const directory = newPath();
  const store = await openUnmanaged(directory, { create: true });
  const sources = new Map<string, { images: string; files?: string }>();
  const ids: string[] = [];
  const capture = async (timeline: string, images: string, files?: string): Promise<Snapshot> => {
    const source = files === undefined ? { images } : { images, files };
    const snapshot = await store.timeline(timeline).capture(source);
    ids.push(snapshot.id);
    sources.set(snapshot.id, source);
    return snapshot;
  };
  const removed = await capture('dumps', makeDump(newPath(), 1));
  await capture('dumps', makeDump(newPath(), 2));
  const noted = await capture('dumps', makeDump(newPath(), 1));
  for (const step of [1, 2, 3, 4]) await capture('series', makeSeries(newPath(), step));
  const pinned = await capture('web/1', makeDump(newPath(), 5), makeFiles(newPath(), 1));
  await capture('web/1', makeDump(newPath(), 6), makeFiles(newPath(), 2));
  await removed.remove();
  await pinned.pin();
  await noted.note('before the upgrade');
  await store.close();
  return {
    directory,
    ids,
    sources,
    removed: removed.id,
    pinned: pinned.id,
    noted: noted.id,
  };
}

/** What of a store is expected to be whole. */
export interface Expected {
  /** Ids; all unless given. */
  readonly ids?: readonly string[];
  /** Whether removals, pins and notes are as they were. */
  readonly states?: boolean;
}

/** Restores snapshots of a store, and compares them with what was captured. */
export async function expectWhole(rich: RichStore, expected: Expected = {}): Promise<void> {
  const store = await openUnmanaged(rich.directory);
  try {
    for (const id of expected.ids ?? rich.ids) await expectSame(store, rich, id);
    if (expected.ids === undefined) {
      const { problems, unknownPacks } = await store.verify();
      expect({ problems, unknownPacks }).toEqual({ problems: [], unknownPacks: [] });
    }
    if (expected.states === true) {
      expect(store.snapshot(rich.removed).isRemoved).toBe(true);
      expect(store.snapshot(rich.pinned).isPinned).toBe(true);
      expect(store.snapshot(rich.noted).noteText).toBe('before the upgrade');
    }
    const images = makeDump(`${rich.directory}-next-${Math.random()}`, 77);
    const next = await store.timeline('series').capture({ images });
    expect(next.sequence).toBeGreaterThan(4);
    await expectImages(next, images, `${images}-restored`);
  } finally {
    await store.close();
  }
}

async function expectImages(snapshot: Snapshot, images: string, target: string): Promise<void> {
  await snapshot.restore(target);
  expect(describeTree(target)).toEqual(describeTree(images));
  rmSync(target, { recursive: true });
}

/** Restores one snapshot, and compares it with what was captured. */
export async function expectSame(store: SnapshotStore, rich: RichStore, id: string): Promise<void> {
  const source = rich.sources.get(id);
  if (source === undefined) throw new Error(`nothing was captured as ${id}`);
  const target = `${rich.directory}-restored`;
  const files = source.files === undefined ? undefined : `${target}-files`;
  await store.snapshot(id).restore(target, { files });
  expect(describeTree(target)).toEqual(describeTree(source.images));
  rmSync(target, { recursive: true });
  if (files === undefined || source.files === undefined) return;
  expect(describeTree(files)).toEqual(describeTree(source.files));
  rmSync(files, { recursive: true });
}

/** A copy of a closed store. */
export function copyStore(rich: RichStore, directory: string): RichStore {
  execFileSync('cp', ['-a', rich.directory, directory]);
  return { ...rich, directory };
}

/** Puts a pack into a store that its catalog does not know; returns its path. */
export function addPack(directory: string, write: (writer: PackWriter) => void): string {
  const { name, bytes } = writePack(write);
  const parent = join(directory, 'packs', name.slice(0, 2));
  mkdirSync(parent, { recursive: true });
  const path = join(parent, `${name}.pack`);
  writeFileSync(path, bytes, { mode: 0o400 });
  return path;
}
