/**
 * Heads are only a cache: whatever becomes of them, a capture gives the same snapshot and keeps the
 * same pages; it only takes longer.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { damageBlock, flipped } from '../support/damaged-store.ts';
import { recordingDoor } from '../support/doors.ts';
import { type Memory, randomPages, withBytes, writeDump } from '../support/made-memory.ts';
import { packsOf, type StoredPack } from '../support/store-contents.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const takenAt = new Date('2026-11-21T10:00:00Z');

/** Two processes, of more than a leaf and of less; some pages change from moment to moment. */
function memoryAt(moment: number): Memory {
  const large = randomPages(16, 700, 1);
  for (const address of [16, 500, 600, 715]) {
    const bytes = Uint8Array.of(moment, 5);
    large.set(address, withBytes(large.get(address) ?? Buffer.alloc(4096), 9, bytes));
  }
  large.set(300 + moment, Buffer.alloc(4096));
  const small = randomPages(16, 20, 2);
  small.set(20, randomPages(0, 1, 50 + moment).get(0) ?? Buffer.alloc(4096));
  const spaces = new Map([
    ['pagemap-1', large],
    ['pagemap-2', small],
  ]);
  return { spaces, files: new Map([['log', Buffer.from('x'.repeat(5000 + moment))]]) };
}

function headsOf(directory: string): string[] {
  const cache = join(directory, 'cache');
  return readdirSync(cache).map((name) => join(cache, name));
}

/** What must not depend on a head. Identities are random, so that packs differ in their bytes. */
function essence(pack: StoredPack | undefined): unknown {
  const { manifest, frames = [] } = pack ?? {};
  return {
    newPages: manifest?.newPages,
    frames: frames.map(({ isDelta, pages, depths }) => ({ isDelta, pages, depths })),
    entries: manifest?.entries,
    base: manifest?.base,
  };
}

type Harm = (paths: readonly string[]) => void;

const HARMS: readonly (readonly [string, Harm])[] = [
  ['is missing', (paths) => paths.forEach((path) => rmSync(path))],
  ['is empty', (paths) => paths.forEach((path) => writeFileSync(path, ''))],
  ['is cut off in the middle of a leaf', (paths) => each(paths, (head) => head.subarray(0, 9000))],
  ['is cut off in a digest', (paths) => each(paths, (head) => head.subarray(0, 32 + 32 * 600 + 5))],
  ['has a bit flipped in its first digest', (paths) => each(paths, (head) => flipped(head, 300))],
  ['has a bit flipped everywhere', (paths) => each(paths, (head) => head.map((byte) => byte ^ 4))],
  ['holds zeros', (paths) => each(paths, (head) => Buffer.alloc(head.length))],
  ['is that of another snapshot', exchange],
  ['is a directory', (paths) => paths.forEach((path) => execFileSync('sh', ['-c', MAKE, path]))],
];
const MAKE = 'rm "$0" && mkdir "$0"';

function each(paths: readonly string[], change: (head: Buffer) => Uint8Array): void {
  for (const path of paths) writeFileSync(path, change(readFileSync(path)));
}

function exchange(paths: readonly string[]): void {
  const contents = paths.map((path) => readFileSync(path));
  for (const [i, path] of paths.entries()) {
    writeFileSync(path, contents[(i + 1) % contents.length] ?? '');
  }
}

describe('a head that', () => {
  test.each(HARMS)('%s changes nothing about the next snapshot', async (_, harm) => {
    const directory = newPath();
    const before = await openStore(directory);
    for (const moment of [0, 1, 2]) {
      const images = writeDump(newPath(), memoryAt(moment));
      await before.timeline('t').capture({ images, takenAt });
    }
    await before.close();
    const images = writeDump(newPath(), memoryAt(3));
    const outcomes = [];
    for (const isHarmed of [false, true]) {
      const copy = newPath();
      execFileSync('cp', ['-a', directory, copy]);
      if (isHarmed) harm(headsOf(copy));
      const store = await openStore(copy);
      const snapshot = await store.timeline('t').capture({ images, takenAt });
      await expectRestores(snapshot, images);
      const packs = await packsOf(copy);
      const { digest, sizes } = snapshot;
      const kept = essence(packs.at(-1));
      outcomes.push({ digest, new: sizes.new, kept });
      expect(sizes.new.pages).toBeLessThan(12);
      expect((await store.verify()).problems).toEqual([]);
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
  });

  test('is there spares the next capture the pages of the base', async () => {
    const { files, calls } = recordingDoor();
    const store = await openStore(newPath(), { files });
    const images = writeDump(newPath(), memoryAt(1));
    const bytesRead = async (): Promise<number> => {
      calls.length = 0;
      await store.timeline('t').capture({ images });
      const counts = calls.map(({ name, result }) => (name === 'read' ? (result as number) : 0));
      return counts.reduce((sum, count) => sum + count, 0);
    };
    await bytesRead();
    const warm = await bytesRead();
    for (const path of headsOf(store.directory)) rmSync(path);
    const cold = await bytesRead();
    // Its 700 pages, which do not compress.
    expect(cold - warm).toBeGreaterThan(600 * 4096);
  });

  test('is gone since the timeline went on changes nothing about a branch', async () => {
    const store = await openStore(newPath());
    const dumps = Array.from({ length: 6 }, (_, i) => writeDump(newPath(), memoryAt(i)));
    for (const images of dumps) await store.timeline('t').capture({ images });
    expect(headsOf(store.directory)).toHaveLength(2);
    for (const [timeline, parent] of [
      ['t', 't@2'],
      ['branch', 't@2'],
      ['branch', 't@3'],
    ] as const) {
      const images = writeDump(newPath(), memoryAt(1));
      const snapshot = await store.timeline(timeline).capture({ images, parent });
      // From the second on, it is the parent's memory; from the third, what changed since.
      expect(snapshot.sizes.new.pages).toBeLessThan(parent === 't@2' ? 1 : 12);
      expect(snapshot.parentId).toBe(store.snapshot(parent).id);
      await expectRestores(snapshot, images);
    }
    for (const [i, images] of dumps.entries()) {
      await expectRestores(store.snapshot(`t@${i + 1}`), images);
    }
  });
});

describe('the heads of a store', () => {
  test('are those of the two newest captures of each timeline, of 64 bytes a page', async () => {
    const store = await openStore(newPath());
    const ids = new Map<string, string[]>();
    for (const moment of [0, 1, 2, 3]) {
      for (const timeline of ['a', 'b', 'a/b']) {
        const images = writeDump(newPath(), memoryAt(moment));
        const { id } = await store.timeline(timeline).capture({ images });
        ids.set(timeline, [...(ids.get(timeline) ?? []), id]);
      }
    }
    const heads = headsOf(store.directory);
    const newest = [...ids.values()].flatMap((all) => all.slice(-2));
    expect(heads.map((path) => path.slice(-31, -5)).sort()).toEqual(newest.sort());
    const bytes = heads.reduce((sum, path) => sum + statSync(path).size, 0);
    const pages = store.timelines().map((timeline) => timeline.latest()?.sizes.logical.pages ?? 0);
    const total = pages.reduce((sum, count) => sum + count, 0);
    // But for 32 bytes at the start of each.
    expect(bytes).toBeLessThanOrEqual(64 * total + 32 * heads.length);
    expect(bytes).toBeGreaterThan(60 * total);
    for (const path of heads) expect(statSync(path).mode & 0o7777).toBe(0o600);
  });
});

describe('the heads of a timeline', () => {
  const capture = async (directory: string, moments: readonly number[]): Promise<string[]> => {
    await using store = await openStore(directory);
    const ids: string[] = [];
    for (const moment of moments) {
      const images = writeDump(newPath(), memoryAt(moment));
      ids.push((await store.timeline('t').capture({ images, takenAt })).id);
    }
    return ids;
  };
  const idsOf = (directory: string): string[] => {
    const ids = headsOf(directory).flatMap(
      (path) => /-([0-9A-Z]{26})\.head$/.exec(path)?.[1] ?? [],
    );
    return ids.sort();
  };

  test('are those of its two newest captures', async () => {
    const directory = newPath();
    const ids = await capture(directory, [1, 2, 3, 4, 5]);
    expect(idsOf(directory)).toEqual(ids.slice(-2));
  });

  test('are also those of the time when something was lost, as long as it is', async () => {
    const directory = newPath();
    const before = await capture(directory, [1, 2, 3]);
    const pack = (await packsOf(directory))[0] as StoredPack;
    const frame = pack.frames[0] as StoredPack['frames'][number];
    damageBlock(pack.path, frame.offset, frame.blockBytes);
    await (async () => {
      await using store = await openStore(directory);
      expect((await store.verify({ level: 'packs' })).problems).not.toEqual([]);
    })();
    const after = await capture(directory, [4, 5, 6, 7]);
    expect(idsOf(directory)).toEqual([...before.slice(-2), ...after.slice(-2)]);
  });
});
