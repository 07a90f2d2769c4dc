/**
 * Partial restores: what is lost becomes zeros, and is named; all else is what was captured, in the
 * image directory and in the container's files, with worker threads and without.
 */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type RestoreReport, StoreError } from '../../src/index.ts';
import { damageBlock } from '../support/damaged-store.ts';
import { firstMemory } from '../support/collected-stores.ts';
import { randomPages, writeDump } from '../support/made-memory.ts';
import { packsOf, type StoredPack } from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { describeTree } from '../support/trees.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();
const PAGE_BYTES = 4096;
const FILES: readonly (readonly [string, number])[] = [
  ['data/large', 200],
  ['data/other', 150],
  ['small', 1],
];

interface Made {
  readonly directory: string;
  readonly id: string;
  readonly images: string;
  readonly files: string;
  readonly pack: StoredPack;
}

let made: Made;
beforeAll(async () => {
  const [directory, files] = [newPath(), newPath()];
  mkdirSync(join(files, 'data'), { recursive: true });
  for (const [i, [name, pages]] of FILES.entries()) {
    const bytes = Buffer.concat([...randomPages(0, pages, 50 + i).values()]);
    writeFileSync(join(files, name), bytes.subarray(0, bytes.length - 100));
  }
  symlinkSync('data/large', join(files, 'link'));
  const images = writeDump(newPath(), firstMemory(200));
  const store = await openUnmanaged(directory, { create: true });
  const { id } = await store.timeline('t').capture({ images, files });
  await store.close();
  const [pack] = (await packsOf(directory)) as [StoredPack];
  made = { directory, id, images, files, pack };
});

/** A copy of the store with damaged frames. */
function damaged(...numbers: readonly number[]): string {
  const directory = newPath();
  cpSync(made.directory, directory, { recursive: true });
  const path = join(directory, made.pack.path.slice(made.directory.length));
  for (const number of numbers) {
    const frame = made.pack.frames[number];
    damageBlock(path, frame?.offset ?? 0, frame?.blockBytes ?? 0);
  }
  return directory;
}

/** The bytes of a file that are not what they were: all zeros, in pages. */
function lostBytes(restored: string, original: string): number {
  const [actual, expected] = [readFileSync(restored), readFileSync(original)];
  expect(actual.length).toBe(expected.length);
  let lost = 0;
  for (let at = 0; at < expected.length; at += PAGE_BYTES) {
    const [page, wanted] = [actual, expected].map((bytes) => bytes.subarray(at, at + PAGE_BYTES));
    if (page === undefined || wanted === undefined || page.equals(wanted)) continue;
    expect(page.every((byte) => byte === 0)).toBe(true);
    lost += wanted.length;
  }
  return lost;
}

/** What the report says is missing, of the images and of the files. */
function missingOf({ missing }: RestoreReport): { images: number; files: number } {
  const sum = (runs: RestoreReport['missing']['runs']) =>
    runs.reduce((bytes, run) => bytes + run.bytes, 0);
  return {
    images: sum(missing.runs.filter(({ image }) => image !== '')),
    files: sum(missing.runs.filter(({ image }) => image === '')),
  };
}

describe.each([0, 2])('with %d workers, a partial restore', (workers) => {
  test.each([
    ['of images', [1], { images: true, files: false }],
    ['of files', [4], { images: false, files: true }],
    ['of both', [1, 2, 5, 7], { images: true, files: true }],
  ] as const)('%s has all but what it names, with files', async (_, frames, where) => {
    const store = await openStore(damaged(...frames), { workers });
    const snapshot = store.snapshot(made.id);
    const refused = { images: newPath(), files: newPath() };
    const failure: unknown = await snapshot
      .restore(refused.images, { files: refused.files })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StoreError);
    expect(failure).toMatchObject({ code: 'CORRUPT' });
    const [images, files] = [newPath(), newPath()];
    const report = await snapshot.restore(images, { files, partial: true });
    const missing = missingOf(report);
    expect({ images: missing.images > 0, files: missing.files > 0 }).toEqual(where);
    expect(missing.images + missing.files).toBe(report.missing.bytes);
    expect(lostBytes(join(images, 'pages-1.img'), join(made.images, 'pages-1.img'))).toBe(
      missing.images,
    );
    const lost = FILES.map(([name]) => lostBytes(join(files, name), join(made.files, name)));
    expect(lost.reduce((sum, bytes) => sum + bytes, 0)).toBe(missing.files);
    const shape = (tree: readonly string[]) => tree.map((line) => line.replace(/[0-9a-f]{64}/, ''));
    expect(shape(describeTree(files))).toEqual(shape(describeTree(made.files)));
  });

  test('of a snapshot that is whole says that nothing is missing', async () => {
    const store = await openStore(damaged(), { workers });
    const [images, files] = [newPath(), newPath()];
    const report = await store.snapshot(made.id).restore(images, { files, partial: true });
    expect(report.missing).toEqual({ bytes: 0, runs: [] });
    expect(describeTree(images)).toEqual(describeTree(made.images));
    expect(describeTree(files)).toEqual(describeTree(made.files));
  });

  test('without the tree of its files is refused, and leaves nothing', async () => {
    // After the images' 203 pages, in the fourth frame.
    const store = await openStore(damaged(3), { workers });
    const [images, files] = [newPath(), newPath()];
    const failure: unknown = await store
      .snapshot(made.id)
      .restore(images, { files, partial: true })
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'CORRUPT' });
    expect(() => readFileSync(join(images, 'inventory.img'))).toThrow(/ENOENT/);
  });
});
