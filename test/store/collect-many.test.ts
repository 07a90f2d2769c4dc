/**
 * Collections of so many snapshots that the catalog is written in several transactions: stopped
 * between any two of them, nothing is lost, and the next collection goes on.
 */
import { expect, test } from 'vitest';
import type { Snapshot, SnapshotStore } from '../../src/index.ts';
import { expectMemory, openSeries } from '../support/collected-stores.ts';
import { heldContents, neededSlots } from '../support/needed-slots.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const COUNT = 100;

/** A signal that fires when it is looked at for the nth time, and how often it was. */
function firingAt(nth: number): { signal: AbortSignal; looks: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  let looks = 0;
  signal.throwIfAborted = () => {
    looks += 1;
    if (looks >= nth) controller.abort();
    if (signal.aborted) throw signal.reason;
  };
  return { signal, looks: () => looks };
}

async function generationAfter(store: SnapshotStore, nth: number): Promise<number> {
  const { signal } = firingAt(nth);
  await store.collect({ wasteThreshold: 0, signal }).then(
    () => undefined,
    (error: unknown) => {
      expect(error).toMatchObject({ code: 'ABORTED' });
    },
  );
  return store.statistics().generation;
}

test('a collection in many pieces may be stopped between any of them', async () => {
  const { store, snapshots, memories } = await openSeries(newPath, { count: COUNT, pages: 6 });
  // Every other one: what is left differs from what goes, and is written once more.
  const kept = snapshots.filter((_, i) => i >= COUNT - 2 || (i % 4 === 1 && i > 10));
  const last = snapshots.at(-1) as Snapshot;
  for (const snapshot of snapshots) if (!kept.includes(snapshot)) await snapshot.remove();
  const copies: SnapshotStore[] = [];
  for (let i = 0; i < 5; i++) {
    const path = newPath();
    await store.backup(path);
    copies.push(await openStore(path));
  }
  const whole = firingAt(Infinity);
  const { generation } = store.statistics();
  const report = await store.collect({ wasteThreshold: 0, signal: whole.signal });
  expect(report).toMatchObject({ complete: true, condemnedSnapshots: COUNT - kept.length });
  expect(store.statistics().generation - generation).toBeGreaterThan(6);

  const generations = new Set<number>();
  for (const [i, copy] of copies.entries()) {
    const nth = Math.floor(whole.looks() * (0.5 + i / 10));
    generations.add(await generationAfter(copy, nth));
    expect((await copy.verify()).problems).toEqual([]);
    for (const { id } of kept.slice(-3)) {
      const memory = memories[snapshots.findIndex((snapshot) => snapshot.id === id)];
      await expectMemory(copy.snapshot(id), memory, newPath);
    }
    for (const { id } of kept) if (id !== last.id) await copy.snapshot(id).remove();
    await copy.collect({ wasteThreshold: 0 });
    expect(await copy.collect({ wasteThreshold: 0 })).toMatchObject({
      complete: true,
      writtenBytes: 0,
      deadBytes: 0,
    });
    const held = heldContents(copy.directory);
    expect([...held.slots.keys()].sort()).toEqual([...neededSlots(held, last.id)].sort());
    await expectMemory(copy.snapshot(last.id), memories.at(-1), newPath);
  }
  expect(generations.size).toBeGreaterThan(2);
}, 120_000);
