/**
 * Collections beside other work: what an operation may still use stays until it has ended, idle
 * handles hold nobody up, and nothing new ever refers to what is condemned.
 */
import { rmSync } from 'node:fs';
import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { CollectReport, Snapshot, SnapshotStore } from '../../src/index.ts';
import {
  captureMemory,
  expectMemory,
  firstMemory,
  laterMemory,
  openSeries,
  packBytes,
} from '../support/collected-stores.ts';
import { type Memory, writeDump } from '../support/made-memory.ts';
import { heldContents, neededSlots } from '../support/needed-slots.ts';
import { readCatalog } from '../support/store-state.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** A stream that takes nothing until it is told to. */
function stalledStream(): { stream: Writable; bytes: () => number; release: () => void } {
  let waiting: (() => void) | undefined;
  let [isOpen, bytes] = [false, 0];
  const stream = new Writable({
    highWaterMark: 1,
    write: (chunk: Buffer, _, done) => {
      bytes += chunk.length;
      if (isOpen) done();
      else waiting = done;
    },
  });
  const release = (): void => {
    isOpen = true;
    waiting?.();
  };
  return { stream, bytes: () => bytes, release };
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries++) {
    if (tries > 3000) throw new Error('it never came');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function condemnedSegments(directory: string): number {
  return readCatalog(directory, (catalog) =>
    catalog.prepare('SELECT count(*) FROM condemned').pluck().get(),
  ) as number;
}

async function expectExact(store: SnapshotStore, snapshot: Snapshot): Promise<void> {
  const held = heldContents(store.directory);
  expect([...held.slots.keys()].sort()).toEqual([...neededSlots(held, snapshot.id)].sort());
}

describe('a capture', () => {
  test.each([1, 2])(
    'whose base is removed and collected meanwhile is whole (%i handles)',
    async (n) => {
      const { store, snapshots, memories } = await openSeries(newPath, { count: 3, pages: 2000 });
      const other = n === 1 ? store : await openStore(store.directory);
      const memory = laterMemory(memories[2] as Memory, 7);
      const images = writeDump(newPath(), memory);
      let collected: Promise<CollectReport> | undefined;
      const onProgress = (): void => {
        collected ??= (async () => {
          for (const { id } of snapshots) await other.snapshot(id).remove();
          return await other.collect({ wasteThreshold: 0 });
        })();
      };
      const captured = await store.timeline('t').capture({ images }, { onProgress });
      expect(captured.sizes.new.pages).toBeLessThan(1200);
      await expectMemory(captured, memory, newPath);
      await collected;
      await expectMemory(captured, memory, newPath);
      expect((await store.verify()).problems).toEqual([]);
      await other.collect({ wasteThreshold: 0 });
      await expectExact(store, captured);
      await expectMemory(captured, memory, newPath);
      const next = await captureMemory(store, newPath, memory);
      expect(next.sizes.new.pages).toBe(0);
      await expectMemory(next, memory, newPath);
    },
  );

  test('refers to nothing that is condemned, though its pages are still there', async () => {
    const { store, snapshots, memories } = await openSeries(newPath, { count: 2, pages: 300 });
    const lost = firstMemory(120, 500);
    const doomed = await captureMemory(store, newPath, {
      ...lost,
      spaces: new Map([...lost.spaces, ['pagemap-7', firstPages(memories[1])]]),
    });
    await captureMemory(store, newPath, memories[1] as Memory);
    await doomed.remove();
    await snapshots[0]?.remove();
    await store.collect({ wasteThreshold: 1, maxBytes: 0 });
    expect(condemnedSegments(store.directory)).toBeGreaterThan(0);
    const other = await openStore(store.directory);
    for (const each of [store, other]) {
      const again = await captureMemory(each, newPath, lost);
      const { pages } = again.sizes.new;
      // The second finds what the first has stored.
      if (each === store) expect(pages).toBeGreaterThanOrEqual(120);
      else expect(pages).toBe(0);
      await store.collect({ wasteThreshold: 0 });
      await expectMemory(again, lost, newPath);
    }
    expect(condemnedSegments(store.directory)).toBe(0);
    expect((await other.verify()).problems).toEqual([]);
  });
});

function firstPages(memory: Memory | undefined): Map<number, Buffer> {
  return new Map([...(memory?.spaces.get('pagemap-1') ?? [])].slice(0, 40));
}

describe('a reader', () => {
  test('that began before a snapshot was removed reads it to the end', async () => {
    const { store, snapshots, memories } = await openSeries(newPath, { count: 3, pages: 3000 });
    const other = await openStore(store.directory);
    const [first] = snapshots as [Snapshot];
    let collected: Promise<CollectReport> | undefined;
    const target = newPath();
    await first.restore(target, {
      onProgress: () => {
        collected ??= (async () => {
          for (const { id } of snapshots.slice(0, 2)) await other.snapshot(id).remove();
          return await other.collect({ wasteThreshold: 0 });
        })();
      },
    });
    expect(await collected).toMatchObject({ complete: true, condemnedSnapshots: 2 });
    rmSync(target, { recursive: true });
    await expectMemory(snapshots[2] as Snapshot, memories[2], newPath);
    await expectExact(store, snapshots[2] as Snapshot);
  });

  test('that stalls holds up what it may need, and nothing else, until it ends', async () => {
    const { store, snapshots, memories } = await openSeries(newPath, { count: 4 });
    const reader = await openStore(store.directory);
    const [first, , , last] = snapshots as [Snapshot, Snapshot, Snapshot, Snapshot];
    const stalled = stalledStream();
    const exported = reader.snapshot(first.id).export(stalled.stream);
    await until(() => stalled.bytes() > 0);
    for (const snapshot of snapshots.slice(0, 3)) await snapshot.remove();
    const before = packBytes(store.directory);
    // For marking, even on a busy machine; waiting takes half of it.
    const limits = { wasteThreshold: 0, maxMilliseconds: 3000 };
    const first100 = await store.collect(limits);
    expect(first100).toMatchObject({ complete: false, unlinkedBytes: 0, condemnedSnapshots: 3 });
    expect(packBytes(store.directory)).toBeGreaterThanOrEqual(before);
    await expect(first.undelete()).rejects.toThrow(/collection/);
    // Captures go on, and know nothing of what is condemned.
    const next = await captureMemory(store, newPath, laterMemory(memories[3] as Memory, 9));
    stalled.release();
    await exported;
    expect(stalled.bytes()).toBeGreaterThan(200 * 4096);
    expect(await store.collect({ wasteThreshold: 0 })).toMatchObject({
      complete: true,
      waitingPacks: 0,
    });
    await expectMemory(last, memories[3], newPath);
    await expectMemory(next, laterMemory(memories[3] as Memory, 9), newPath);
    expect((await reader.verify()).problems).toEqual([]);
  });

  test('that began after the removal still finds packs that are written once more', async () => {
    const { store, snapshots, memories } = await openSeries(newPath, { count: 4 });
    const reader = await openStore(store.directory);
    await snapshots[1]?.remove();
    await store.collect({ wasteThreshold: 1 });
    const stalled = stalledStream();
    const exported = reader.snapshot(snapshots[0]?.id ?? '').export(stalled.stream);
    await until(() => stalled.bytes() > 0);
    // Nobody older runs: packs are replaced, but not unlinked under the reader.
    const report = await store.collect({ wasteThreshold: 0, maxMilliseconds: 4000 });
    expect(report).toMatchObject({ complete: false, unlinkedBytes: 0 });
    expect(report.compactedPacks).toBeGreaterThan(0);
    expect(report.waitingPacks).toBeGreaterThan(0);
    expect(report.waitingBytes).toBeGreaterThan(0);
    stalled.release();
    await exported;
    const rest = await store.collect({ wasteThreshold: 0 });
    expect(rest).toMatchObject({ complete: true, waitingPacks: 0, compactedPacks: 0 });
    expect(rest.unlinkedBytes).toBe(report.waitingBytes);
    for (const i of [0, 2, 3])
      await expectMemory(reader.snapshot(`t@${i + 1}`), memories[i], newPath);
  });
});

describe('a handle that is idle', () => {
  test('holds nobody up, and sees where everything is now', async () => {
    const { store, snapshots, memories } = await openSeries(newPath);
    const idle = await openStore(store.directory);
    const known = idle.snapshot('t');
    await expectMemory(known, memories.at(-1), newPath);
    for (const snapshot of snapshots.slice(0, -1)) await snapshot.remove();
    const began = performance.now();
    expect((await store.collect({ wasteThreshold: 0 })).complete).toBe(true);
    expect(performance.now() - began).toBeLessThan(4000);
    expect(known.describe().images.length).toBeGreaterThan(0);
    await expectMemory(known, memories.at(-1), newPath);
    const next = await captureMemory(idle, newPath, memories.at(-1) as Memory);
    expect(next.sizes.new.pages).toBe(0);
    expect((await idle.verify()).problems).toEqual([]);
  });
});

test('a snapshot undeleted while a collection begins stays, or is gone', async () => {
  const { store, snapshots, memories } = await openSeries(newPath, { count: 8, pages: 60 });
  const other = await openStore(store.directory);
  let gone = 0;
  for (const [i, { id }] of snapshots.entries()) {
    await other.snapshot(id).remove();
    let undeleted: Promise<boolean> | undefined;
    await store.collect({
      wasteThreshold: 0,
      onProgress: () => {
        undeleted ??= other
          .snapshot(id)
          .undelete()
          .then(
            () => true,
            () => false,
          );
      },
    });
    if ((await undeleted) === true) await expectMemory(store.snapshot(id), memories[i], newPath);
    else gone += 1;
  }
  expect(store.timeline('t').list()).toHaveLength(8 - gone);
  expect((await store.verify()).problems).toEqual([]);
});

test('what was condemned before goes, though operations that overlap never end', async () => {
  const { store, snapshots, memories } = await openSeries(newPath, { count: 4, workers: 0 });
  const reader = await openStore(store.directory, { workers: 0 });
  const last = snapshots.at(-1) as Snapshot;
  const [one, two] = [stalledStream(), stalledStream()];
  const first = reader.snapshot(last.id).export(one.stream);
  await until(() => one.bytes() > 0);
  for (const snapshot of snapshots.slice(0, 2)) await snapshot.remove();
  const options = { wasteThreshold: 0, maxBytes: 0, maxMilliseconds: 3000 };
  expect(await store.collect(options)).toMatchObject({
    complete: false,
    condemnedSnapshots: 2,
    compactedPacks: 0,
  });

  const second = (await openStore(store.directory)).snapshot(last.id).export(two.stream);
  await until(() => two.bytes() > 0);
  one.release();
  await first;
  await snapshots[2]?.remove();
  const before = packBytes(store.directory);
  const report = await store.collect({ wasteThreshold: 0 });
  expect(report.complete).toBe(false);
  expect(report.droppedPacks + report.compactedPacks).toBeGreaterThan(0);
  two.release();
  await second;
  expect(await store.collect({ wasteThreshold: 0 })).toMatchObject({ complete: true });
  expect(packBytes(store.directory)).toBeLessThan(before);
  await expectMemory(last, memories.at(-1), newPath);
  expect((await store.verify()).problems).toEqual([]);
}, 60_000);
