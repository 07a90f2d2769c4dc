/**
 * Collections beside processes in other pid namespaces, as containers have them: what runs there
 * counts as long as it lives, and not a moment longer. Leases are locks, not process ids.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../../src/index.ts';
import { expectMemory, openSeries, packBytes } from '../support/collected-stores.ts';
import { heldContents, neededSlots } from '../support/needed-slots.ts';
import { canUnshare, startStalled, type StalledTask } from '../support/stalled-processes.ts';
import { packFiles } from '../support/store-contents.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

async function start(
  directory: string,
  what: StalledTask['what'],
  snapshot: string,
): Promise<() => Promise<void>> {
  const work = newPath();
  mkdirSync(work);
  return await startStalled({ directory, what, snapshot, work });
}

const SOON = { wasteThreshold: 0, maxMilliseconds: 300 };
const ALL = { wasteThreshold: 0 };

describe.skipIf(!canUnshare)('a process in another pid namespace', () => {
  test('that reads what is condemned holds the collection up until it is killed', async () => {
    const { store, snapshots, memories } = await openSeries(newPath, { count: 4 });
    const kill = await start(store.directory, 'export', snapshots[0]?.id ?? '');
    for (const snapshot of snapshots.slice(0, 3)) await snapshot.remove();
    const packs = packFiles(store.directory);
    for (let tries = 0; tries < 2; tries++) {
      const report = await store.collect(SOON);
      expect(report).toMatchObject({ complete: false, unlinkedBytes: 0, droppedPacks: 0 });
      expect(packFiles(store.directory)).toEqual(expect.arrayContaining(packs));
    }
    await kill();
    expect(await store.collect(ALL)).toMatchObject({ complete: true, waitingPacks: 0 });
    const last = snapshots[3] as Snapshot;
    const held = heldContents(store.directory);
    expect([...held.slots.keys()].sort()).toEqual([...neededSlots(held, last.id)].sort());
    await expectMemory(last, memories[3], newPath);
  });

  test('that may read packs which are written again keeps them until it is killed', async () => {
    const { store, snapshots, memories } = await openSeries(newPath, { count: 4 });
    await snapshots[1]?.remove();
    await store.collect({ wasteThreshold: 1 });
    const kill = await start(store.directory, 'export', snapshots[0]?.id ?? '');
    const packs = packFiles(store.directory);
    const waiting = await store.collect({ wasteThreshold: 0, maxMilliseconds: 2000 });
    expect(waiting).toMatchObject({ complete: false, unlinkedBytes: 0 });
    expect(waiting.waitingPacks).toBeGreaterThan(0);
    expect(packFiles(store.directory)).toEqual(expect.arrayContaining(packs));
    await kill();
    const rest = await store.collect(ALL);
    expect(rest).toMatchObject({ complete: true, waitingPacks: 0, waitingBytes: 0 });
    expect(rest.unlinkedBytes).toBe(waiting.waitingBytes);
    for (const i of [0, 2, 3]) await expectMemory(snapshots[i] as Snapshot, memories[i], newPath);
  });

  test('that captures on what is condemned holds it up, and leaves nothing behind', async () => {
    const { store, snapshots } = await openSeries(newPath, { count: 3 });
    const kill = await start(store.directory, 'capture', '');
    for (const snapshot of snapshots) await snapshot.remove();
    const before = packBytes(store.directory);
    expect(await store.collect(SOON)).toMatchObject({ complete: false, unlinkedBytes: 0 });
    expect(packBytes(store.directory)).toBeGreaterThanOrEqual(before);
    expect(readdirSync(join(store.directory, 'staging'))).toHaveLength(2);
    await kill();
    expect(await store.collect(ALL)).toMatchObject({ complete: true, waitingPacks: 0 });
    expect(readdirSync(join(store.directory, 'staging'))).toHaveLength(1);
    expect(heldContents(store.directory).slots.size).toBe(0);
    expect(packFiles(store.directory)).toHaveLength(1);
  });

  test('that is idle holds nobody up', async () => {
    const { store, snapshots, memories } = await openSeries(newPath, { count: 3 });
    const kill = await start(store.directory, 'idle', snapshots[0]?.id ?? '');
    for (const snapshot of snapshots.slice(0, 2)) await snapshot.remove();
    const began = performance.now();
    expect(await store.collect(ALL)).toMatchObject({ complete: true, waitingPacks: 0 });
    expect(performance.now() - began).toBeLessThan(4500);
    await kill();
    await expectMemory(snapshots[2] as Snapshot, memories[2], newPath);
  });
});
