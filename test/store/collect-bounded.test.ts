/**
 * Collections with little time. None is left: then each does one step, whatever the clock says, so
 * that these tests know of every moment at which one may be cut off.
 */
import { cpSync, truncateSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { CollectReport, Snapshot, SnapshotStore } from '../../src/index.ts';
import {
  captureMemory,
  expectMemory,
  laterMemory,
  openSeries,
  packBytes,
  type SeriesStore,
} from '../support/collected-stores.ts';
import type { Memory } from '../support/made-memory.ts';
import { heldContents, neededSlots } from '../support/needed-slots.ts';
import { packFiles } from '../support/store-contents.ts';
import { storeState } from '../support/store-state.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const ALL = { wasteThreshold: 0 };
const A_STEP = { wasteThreshold: 0, maxMilliseconds: 0 };
const COUNT = 24;

async function openRemoved(): Promise<SeriesStore> {
  const series = await openSeries(newPath, { count: COUNT, pages: 40 });
  for (const snapshot of series.snapshots.slice(0, -4)) await snapshot.remove();
  return series;
}

/** Collects in steps until one says that all is done, and says what each did. */
async function collectInSteps(
  store: SnapshotStore,
  { most = 400, between }: { most?: number; between?: (step: number) => Promise<void> } = {},
): Promise<CollectReport[]> {
  const reports: CollectReport[] = [];
  while (reports.at(-1)?.complete !== true) {
    if (reports.length === most) throw new Error('the steps do not get to the end');
    await between?.(reports.length);
    reports.push(await store.collect(A_STEP));
  }
  return reports;
}

async function expectExact(store: SnapshotStore, needed: readonly Snapshot[]): Promise<void> {
  expect((await store.verify()).problems).toEqual([]);
  const held = heldContents(store.directory);
  expect(held.manifests.map(({ id }) => id).sort()).toEqual(needed.map(({ id }) => id).sort());
}

test('without any time, a collection changes nothing at first, and says so', async () => {
  const { store, snapshots } = await openRemoved();
  const state = storeState(store.directory);
  for (let i = 0; i < 4; i++) {
    const report = await store.collect(A_STEP);
    expect(report).toMatchObject({ complete: false, condemnedSnapshots: 0, unlinkedBytes: 0 });
    expect(report).toMatchObject({ deadPages: 0, droppedPacks: 0, writtenBytes: 0, damage: [] });
  }
  expect(storeState(store.directory)).toEqual(state);
  await snapshots[0]?.undelete();
});

test('in steps, collections free what one does that has all the time', async () => {
  const { store, snapshots, memories } = await openRemoved();
  const copy = newPath();
  await store.backup(copy);
  const other = await openStore(copy);
  const reports = await collectInSteps(store);
  expect(reports.length).toBeGreaterThan(COUNT);
  const whole = await other.collect(ALL);
  expect(whole).toMatchObject({ complete: true, condemnedSnapshots: COUNT - 4 });
  const sums = { condemnedSnapshots: 0, droppedPacks: 0 };
  for (const { condemnedSnapshots, droppedPacks } of reports) {
    sums.condemnedSnapshots += condemnedSnapshots;
    sums.droppedPacks += droppedPacks;
  }
  expect(sums).toEqual({ condemnedSnapshots: COUNT - 4, droppedPacks: whole.droppedPacks });
  const [held, heldThere] = [heldContents(store.directory), heldContents(copy)];
  expect([...held.slots.keys()].sort()).toEqual([...heldThere.slots.keys()].sort());
  expect(Math.abs(packBytes(store.directory) - packBytes(copy))).toBeLessThan(2000);
  await expectExact(store, snapshots.slice(-4));
  for (const i of [-4, -3, -2, -1]) {
    await expectMemory(snapshots.at(i) as Snapshot, memories.at(i), newPath);
  }
  expect(await store.collect(ALL)).toMatchObject({ complete: true, unlinkedBytes: 0 });
});

test('what is captured or undeleted between two steps stays, whichever they are', async () => {
  const { store, snapshots, memories } = await openRemoved();
  const beside = await openStore(store.directory);
  const expected = new Map<Snapshot, Memory | undefined>();
  for (const i of [-4, -3, -2, -1]) expected.set(snapshots.at(i) as Snapshot, memories.at(i));
  let captured = 0;
  const reports = await collectInSteps(store, {
    between: async (step) => {
      if (step % 5 === 0 && captured < 16) {
        // Like what has been removed long ago: as long as nothing is condemned, it is found again.
        const memory = laterMemory(memories[captured] as Memory, 50 + captured);
        captured += 1;
        expected.set(await captureMemory(beside, newPath, memory), memory);
      } else if (step % 11 === 1 && step < 11 * 10) {
        const i = (step - 1) / 11;
        const snapshot = snapshots[i] as Snapshot;
        const isBack = await snapshot.undelete().then(
          () => true,
          () => false,
        );
        if (isBack) expected.set(snapshot, memories[i]);
      }
    },
  });
  expect(expected.size).toBeGreaterThan(4 + 16);
  for (const [snapshot, memory] of expected) {
    await expectMemory(beside.snapshot(snapshot.id), memory, newPath);
  }
  const gone = reports.reduce((sum, { condemnedSnapshots }) => sum + condemnedSnapshots, 0);
  expect(gone).toBe(COUNT + captured - expected.size);
  await expectExact(store, [...expected.keys()]);
}, 120_000);

test('what is removed between two steps goes with the next round', async () => {
  const { store, snapshots, memories } = await openRemoved();
  // All are marked, and nothing is condemned.
  for (let i = 0; i < 6; i++) await store.collect(A_STEP);
  for (const i of [-4, -3, -2]) await snapshots.at(i)?.remove();
  const first: CollectReport[] = [];
  while (first.every(({ condemnedSnapshots }) => condemnedSnapshots === 0)) {
    first.push(await store.collect(A_STEP));
  }
  // Their marks are older than their removal.
  expect(first.at(-1)).toMatchObject({ condemnedSnapshots: COUNT - 1, complete: false });
  const rest = await collectInSteps(store);
  expect(rest.length).toBeGreaterThan(2);
  const [last] = snapshots.slice(-1) as [Snapshot];
  const held = heldContents(store.directory);
  expect([...held.slots.keys()].sort()).toEqual([...neededSlots(held, last.id)].sort());
  await expectExact(store, [last]);
  await expectMemory(last, memories.at(-1), newPath);
});

test('a collection with all the time is exact, whatever was remembered', async () => {
  const { store, snapshots, memories } = await openRemoved();
  for (let i = 0; i < 6; i++) await store.collect(A_STEP);
  for (const i of [-4, -3, -2]) await snapshots.at(i)?.remove();
  expect(await store.collect(ALL)).toMatchObject({ complete: true });
  const [last] = snapshots.slice(-1) as [Snapshot];
  const held = heldContents(store.directory);
  expect([...held.slots.keys()].sort()).toEqual([...neededSlots(held, last.id)].sort());
  await expectMemory(last, memories.at(-1), newPath);
});

test('a collection in another process between two steps is in nobody’s way', async () => {
  const { store, snapshots, memories } = await openRemoved();
  const other = await openStore(store.directory);
  for (let i = 0; i < 30; i++) await store.collect(A_STEP);
  await snapshots.at(-4)?.remove();
  expect(await other.collect(ALL)).toMatchObject({ complete: true });
  const kept = await captureMemory(other, newPath, laterMemory(memories[3] as Memory, 77));
  await collectInSteps(store);
  await expectMemory(kept, laterMemory(memories[3] as Memory, 77), newPath);
  await expectExact(store, [...snapshots.slice(-3), kept]);
  for (const i of [-3, -2, -1]) {
    await expectMemory(snapshots.at(i) as Snapshot, memories.at(i), newPath);
  }
});

test('on trial, steps count what they have looked at, and change nothing', async () => {
  const { store } = await openRemoved();
  const state = storeState(store.directory);
  const reports: CollectReport[] = [];
  while (reports.at(-1)?.complete !== true && reports.length < 400) {
    reports.push(await store.collect({ ...A_STEP, dryRun: true }));
  }
  expect(storeState(store.directory)).toEqual(state);
  const pages = reports.map(({ deadPages }) => deadPages);
  expect(pages).toEqual(pages.toSorted((a, b) => a - b));
  expect(reports[0]).toMatchObject({ dryRun: true, complete: false, deadPages: 0 });
  const trial = await store.collect({ ...ALL, dryRun: true });
  expect(reports.at(-1)).toEqual(trial);
  expect(trial).toMatchObject({ dryRun: true, complete: true, condemnedSnapshots: COUNT - 4 });
});

test('where something is damaged, steps do no harm, and count nothing on it', async () => {
  const { store, snapshots, memories } = await openRemoved();
  const before = new Set(packFiles(store.directory));
  const memory = laterMemory(memories.at(-1) as Memory, COUNT);
  const last = await captureMemory(store, newPath, memory);
  const [path] = packFiles(store.directory).filter((name) => !before.has(name)) as [string];
  const copy = newPath();
  cpSync(path, copy);
  truncateSync(path, 5000);
  const other = await openStore(store.directory);
  const reports: CollectReport[] = [];
  for (let i = 0; i < 60; i++) reports.push(await other.collect(A_STEP));
  expect(reports.filter(({ complete }) => complete)).toEqual([]);
  expect(reports.filter(({ damage }) => damage.length > 0).length).toBeGreaterThan(1);
  expect(reports.filter(({ droppedPacks }) => droppedPacks > 0)).toEqual([]);
  cpSync(copy, path);
  const mended = await openStore(store.directory);
  expect(await mended.collect(ALL)).toMatchObject({ complete: true, damage: [] });
  for (const i of [-4, -3, -2, -1]) {
    await expectMemory(mended.snapshot(snapshots.at(i)?.id ?? ''), memories.at(i), newPath);
  }
  await expectMemory(mended.snapshot(last.id), memory, newPath);
});
