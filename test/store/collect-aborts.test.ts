/**
 * Collections that are stopped, or whose disk is full, at any point: nothing is lost, the next one
 * goes on, and a full disk gets its room back.
 */
import { randomFillSync } from 'node:crypto';
import { readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Snapshot } from '../../src/index.ts';
import {
  captureMemory,
  expectMemory,
  firstMemory,
  laterMemory,
  openSeries,
} from '../support/collected-stores.ts';
import { watchedFiles } from '../support/faulty-files.ts';
import type { Memory } from '../support/made-memory.ts';
import { canMount, mountMemory } from '../support/mounts.ts';
import { heldContents, neededSlots } from '../support/needed-slots.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

test('a collection that is stopped at any call of the door goes on where it was', async () => {
  let left = 0;
  let controller = new AbortController();
  const files = watchedFiles(() => {
    left -= 1;
    if (left === 0) controller.abort();
  });
  const { store, snapshots, memories } = await openSeries(newPath, { files, pages: 80, count: 3 });
  const ids = new Map<string, Memory | undefined>(snapshots.map(({ id }, i) => [id, memories[i]]));
  let memory = memories.at(-1) as Memory;
  let [stopped, isDone] = [0, false];
  for (let calls = 1; !isDone && calls < 5000; calls += 5) {
    if (stopped % 3 === 0) {
      const [oldest] = store.timeline('t').list() as [Snapshot];
      await oldest.remove();
      ids.delete(oldest.id);
      memory = laterMemory(memory, calls);
      ids.set((await captureMemory(store, newPath, memory)).id, memory);
    }
    controller = new AbortController();
    left = calls;
    try {
      await store.collect({ wasteThreshold: 0, signal: controller.signal });
      isDone = !controller.signal.aborted;
    } catch (error) {
      expect(error).toMatchObject({ code: 'ABORTED', name: 'AbortError' });
      stopped += 1;
    }
    left = 0;
    const staged = readdirSync(join(store.directory, 'staging')).flatMap((name) =>
      readdirSync(join(store.directory, 'staging', name)),
    );
    expect(staged).toEqual([]);
    const [id, known] = [...ids][calls % ids.size] as [string, Memory];
    await expectMemory(store.snapshot(id), known, newPath);
  }
  expect(stopped).toBeGreaterThan(20);
  expect((await store.verify()).problems).toEqual([]);
  for (const [id, known] of ids) await expectMemory(store.snapshot(id), known, newPath);
  const [kept, ...others] = store.timeline('t').list() as [Snapshot];
  for (const other of others) await (other as Snapshot).remove();
  expect(await store.collect({ wasteThreshold: 0 })).toMatchObject({
    complete: true,
    unknownPacks: [],
  });
  const held = heldContents(store.directory);
  expect([...held.slots.keys()].sort()).toEqual([...neededSlots(held, kept.id)].sort());
});

/** Fills a file system but for so many bytes; returns the file that does. */
function fillUp(directory: string, leaveBytes: number): string {
  const path = join(directory, 'filler');
  const { bavail, bsize } = statfsSync(directory);
  writeFileSync(path, randomFillSync(Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes))));
  return path;
}

test.skipIf(!canMount)(
  'on a disk with 700 KB left, packs that nobody needs are freed',
  async () => {
    const disk = newPath();
    mountMemory(disk, 12 * 1024);
    const store = await openStore(join(disk, 'store'));
    const kept = firstMemory(300, 1);
    const snapshots = [await captureMemory(store, newPath, kept)];
    for (const seed of [2, 3, 4]) {
      snapshots.push(await captureMemory(store, newPath, firstMemory(400, seed)));
    }
    // It needs a little of a pack of which most is waste: that one cannot be written again.
    const rest = {
      ...kept,
      spaces: new Map([['pagemap-1', firstPages(firstMemory(400, 4), 250)]]),
    };
    const last = await captureMemory(store, newPath, rest);
    const filler = fillUp(disk, 700 * 1024);
    for (const snapshot of snapshots.slice(1)) await snapshot.remove();
    const outcome: unknown = await store
      .collect({ wasteThreshold: 0 })
      .catch((error: unknown) => error);
    const { bavail, bsize } = statfsSync(disk);
    expect(bavail * bsize).toBeGreaterThan(2 * 350 * 4096);
    expect(outcome).not.toBeInstanceOf(TypeError);
    await expectMemory(snapshots[0] as Snapshot, kept, newPath);
    await expectMemory(last, rest, newPath);
    expect((await store.verify()).problems).toEqual([]);
    rmSync(filler);
    expect(await store.collect({ wasteThreshold: 0 })).toMatchObject({ complete: true });
    await expectMemory(last, rest, newPath);
    expect((await store.verify()).problems).toEqual([]);
  },
);

test.skipIf(!canMount)(
  'a disk that is full to the last byte fails it, and loses nothing',
  async () => {
    const disk = newPath();
    mountMemory(disk, 8 * 1024);
    const store = await openStore(join(disk, 'store'));
    const kept = firstMemory(100, 1);
    const first = await captureMemory(store, newPath, kept);
    const second = await captureMemory(store, newPath, firstMemory(400, 2));
    await second.remove();
    const filler = fillUp(disk, 0);
    const outcome: unknown = await store.collect().catch((error: unknown) => error);
    if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'STORAGE' });
    await expectMemory(first, kept, newPath);
    rmSync(filler);
    const report = await store.collect({ wasteThreshold: 0 });
    expect(report).toMatchObject({ complete: true, unknownPacks: [] });
    expect(heldContents(store.directory).packBytes).toBeLessThan(150 * 4096);
    await expectMemory(first, kept, newPath);
  },
);

function firstPages(memory: Memory, count: number): Map<number, Buffer> {
  return new Map([...(memory.spaces.get('pagemap-1') ?? [])].slice(0, count));
}
