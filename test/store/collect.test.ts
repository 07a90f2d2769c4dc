/** Collections: what they free, what they say, what they keep, and where they stop. */
import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import { idToText } from '../../src/bytes/id.ts';
import type { CollectOptions, Snapshot } from '../../src/index.ts';
import {
  captureMemory,
  expectMemory,
  firstMemory,
  laterMemory,
  openSeries,
  packBytes,
} from '../support/collected-stores.ts';
import { expectFailure } from '../support/failures.ts';
import type { Memory } from '../support/made-memory.ts';
import { heldContents, neededSlots } from '../support/needed-slots.ts';
import { readCatalog, storeState } from '../support/store-state.ts';
import { packFiles } from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

async function removeAll(snapshots: readonly Snapshot[]): Promise<void> {
  for (const snapshot of snapshots) await snapshot.remove();
}

function numbersIn(directory: string, table: string): number[] {
  return readCatalog(directory, (catalog) =>
    catalog.prepare(`SELECT number FROM ${table} ORDER BY number`).pluck().all(),
  ) as number[];
}

describe('a collection', () => {
  test('frees what it says, and packs hold exactly what is needed', async () => {
    const { store, snapshots, memories } = await openSeries(newPath);
    await removeAll(snapshots.slice(0, -1));
    const before = packBytes(store.directory);
    const report = await store.collect({ wasteThreshold: 0 });
    expect(report).toMatchObject({
      dryRun: false,
      condemnedSnapshots: 5,
      waitingPacks: 0,
      waitingBytes: 0,
      unknownPacks: [],
      damage: [],
      complete: true,
    });
    const after = packBytes(store.directory);
    expect(report.deadPages).toBeGreaterThan(50);
    expect(after).toBe(before - report.unlinkedBytes + report.writtenBytes);
    expect(after).toBeLessThan(before - 0.7 * report.deadBytes);
    const [last] = snapshots.slice(-1) as [Snapshot];
    const held = heldContents(store.directory);
    expect([...held.slots.keys()].sort()).toEqual([...neededSlots(held, last.id)].sort());
    expect(held.manifests.map(({ id }) => id)).toEqual([last.id]);
    await expectMemory(last, memories.at(-1), newPath);
    expect((await store.verify()).problems).toEqual([]);
    expect(store.statistics()).toMatchObject({ snapshots: 1, removedSnapshots: 0 });
  });

  test('with nothing to do does nothing', async () => {
    const { store, snapshots } = await openSeries(newPath, { count: 3 });
    const state = storeState(store.directory);
    expect(await store.collect({ wasteThreshold: 0 })).toMatchObject({
      deadPages: 0,
      deadBytes: 0,
      droppedPacks: 0,
      compactedPacks: 0,
      writtenBytes: 0,
      unlinkedBytes: 0,
      complete: true,
    });
    expect(storeState(store.directory)).toEqual(state);
    await removeAll(snapshots.slice(0, 2));
    await store.collect({ wasteThreshold: 0 });
    const { generation } = store.statistics();
    const packs = packFiles(store.directory);
    const report = await store.collect({ wasteThreshold: 0 });
    expect(report).toMatchObject({ writtenBytes: 0, unlinkedBytes: 0, complete: true });
    expect(packFiles(store.directory)).toEqual(packs);
    expect(store.statistics().generation).toBe(generation);
  });

  test('on trial changes nothing, and says what a real one does then', async () => {
    const { store, snapshots } = await openSeries(newPath);
    await removeAll(snapshots.slice(1, -1));
    const state = storeState(store.directory);
    const options = { wasteThreshold: 0 };
    const trial = await store.collect({ ...options, dryRun: true });
    expect(storeState(store.directory)).toEqual(state);
    const real = await store.collect(options);
    const told = ({ deadPages, deadBytes, condemnedSnapshots, unlinkedBytes }: typeof real) => {
      return { deadPages, deadBytes, condemnedSnapshots, unlinkedBytes };
    };
    expect(told(trial)).toEqual(told(real));
    expect(trial).toMatchObject({ dryRun: true, condemnedSnapshots: 4 });
    const { droppedPacks, compactedPacks } = trial;
    expect(real).toMatchObject({ droppedPacks, compactedPacks });
    expect(trial.deadPages).toBeGreaterThan(0);
    expect(droppedPacks + compactedPacks).toBeGreaterThan(0);
  });

  test('tolerates as much waste as it is told to', async () => {
    const { store, snapshots, memories } = await openSeries(newPath);
    await removeAll(snapshots.slice(0, -1));
    const tolerant = await store.collect({ wasteThreshold: 1 });
    expect(tolerant).toMatchObject({ compactedPacks: 0, complete: true });
    expect(tolerant.deadPages).toBeGreaterThan(0);
    const strict = await store.collect({ wasteThreshold: 0 });
    expect(strict.compactedPacks).toBeGreaterThan(0);
    expect(strict.writtenBytes).toBeGreaterThan(0);
    await expectMemory(snapshots.at(-1) as Snapshot, memories.at(-1), newPath);
  });

  test('without any bytes to spend only drops, says so, and the next goes on', async () => {
    const { store, snapshots, memories } = await openSeries(newPath);
    await captureMemory(store, newPath, firstMemory(50, 99));
    await store.snapshot('t').remove();
    await removeAll(snapshots.slice(0, -1));
    const report = await store.collect({ wasteThreshold: 0, maxBytes: 0 });
    expect(report).toMatchObject({ compactedPacks: 0, complete: false });
    expect(report.droppedPacks).toBeGreaterThan(0);
    expect(report.unlinkedBytes).toBeGreaterThan(50 * 4096);
    expect((await store.collect({ wasteThreshold: 0 })).complete).toBe(true);
    const held = heldContents(store.directory);
    const last = snapshots.at(-1) as Snapshot;
    expect([...held.slots.keys()].sort()).toEqual([...neededSlots(held, last.id)].sort());
    await expectMemory(last, memories.at(-1), newPath);
  });

  test('says that it is not complete until its bytes were enough for all packs', async () => {
    const { store, snapshots } = await openSeries(newPath, { pages: 60 });
    await removeAll(snapshots.filter((_, i) => i % 2 === 1));
    const trial = await store.collect({ wasteThreshold: 0, dryRun: true });
    const few = { wasteThreshold: 0, maxBytes: Math.ceil(trial.writtenBytes * 0.6) };
    expect(await store.collect({ ...few, dryRun: true })).toMatchObject({ complete: false });
    const reports = [await store.collect(few), await store.collect(few)];
    expect(reports.map(({ complete }) => complete)).toEqual([false, true]);
    for (const { compactedPacks } of reports) expect(compactedPacks).toBeGreaterThan(0);
  });

  test('refuses options that mean nothing', async () => {
    const { store } = await openSeries(newPath, { count: 1, pages: 4 });
    const wrong = [{ maxBytes: -1 }, { maxMilliseconds: Number.NaN }, { wasteThreshold: 1.1 }];
    for (const options of wrong) {
      await expect(store.collect(options)).rejects.toThrow(RangeError);
    }
    const text = { maxBytes: '7' } as unknown as CollectOptions;
    await expect(store.collect(text)).rejects.toThrow(TypeError);
  });

  test('merges the packs of many small captures', async () => {
    const { store, snapshots, memories } = await openSeries(newPath, { count: 34, pages: 20 });
    const report = await store.collect();
    expect(report).toMatchObject({ compactedPacks: 34, complete: true });
    expect(packFiles(store.directory)).toHaveLength(1);
    for (const [i, snapshot] of snapshots.entries()) {
      await expectMemory(snapshot, memories[i], newPath);
    }
    expect((await store.verify()).problems).toEqual([]);
    expect(await store.collect()).toMatchObject({ compactedPacks: 0, writtenBytes: 0 });
  });
});

describe('what has been collected', () => {
  test('is gone: nothing brings it back, and every method says so', async () => {
    const { store, snapshots } = await openSeries(newPath, { count: 3 });
    const [first] = snapshots as [Snapshot];
    await first.remove();
    await first.undelete();
    await first.remove();
    await store.collect();
    const gone = { code: 'NOT_FOUND' } as const;
    await expectFailure(() => first.undelete(), gone);
    await expectFailure(() => first.remove(), gone);
    await expectFailure(() => first.pin(), gone);
    await expectFailure(() => first.note('x'), gone);
    await expectFailure(() => first.restore(newPath()), gone);
    await expectFailure(() => first.export(newPath()), gone);
    await expectFailure(() => first.describe(), gone);
    await expectFailure(() => store.snapshot(first.id), gone);
    await expectFailure(() => store.snapshot('t@1'), gone);
    const images = newPath();
    await expectFailure(() => store.timeline('t').capture({ images, parent: first.id }), gone);
    expect(store.timeline('t').list({ removed: true })).toEqual([]);
  });

  test('leaves its numbers to nobody', async () => {
    const { store, snapshots } = await openSeries(newPath, { count: 3 });
    const last = Math.max(...numbersIn(store.directory, 'segments'));
    await removeAll(snapshots);
    await store.collect({ wasteThreshold: 0 });
    expect(numbersIn(store.directory, 'segments')).toEqual([]);
    expect(packFiles(store.directory)).toHaveLength(1);
    const next = await captureMemory(store, newPath, firstMemory(30));
    expect(next.sequence).toBe(4);
    expect(next.sizes.new.pages).toBeGreaterThanOrEqual(30);
    expect(Math.min(...numbersIn(store.directory, 'segments'))).toBeGreaterThan(last);
    await expectMemory(next, firstMemory(30), newPath);
  });
});

describe('recipes', () => {
  const newest = (directory: string, id: string) => {
    const all = heldContents(directory).manifests.filter((manifest) => manifest.id === id);
    const last = all.sort((a, b) => b.revision - a.revision)[0];
    return {
      revision: last?.revision,
      base: last?.manifest.base && idToText(last.manifest.base.id),
    };
  };

  test('that differ from what is removed differ from the nearest that is not', async () => {
    const { store, snapshots, memories } = await openSeries(newPath, { count: 7 });
    const [a, b, c, d, e, f, g] = snapshots as Tuple7;
    const branch = laterMemory(memories[2] as Memory, 40);
    const h = await captureMemory(store, newPath, branch, c.id);
    await removeAll([b, c, e]);
    await store.collect({ wasteThreshold: 1 });
    const { directory } = store;
    expect(newest(directory, a.id)).toEqual({ revision: 0, base: undefined });
    expect(newest(directory, d.id)).toEqual({ revision: 1, base: a.id });
    expect(newest(directory, f.id)).toEqual({ revision: 1, base: d.id });
    expect(newest(directory, g.id)).toEqual({ revision: 0, base: f.id });
    expect(newest(directory, h.id)).toEqual({ revision: 1, base: a.id });
    for (const i of [0, 3, 5, 6])
      await expectMemory(snapshots[i] as Snapshot, memories[i], newPath);
    await expectMemory(h, branch, newPath);
    await removeAll([a, d]);
    await store.collect({ wasteThreshold: 0 });
    expect(newest(directory, f.id)).toEqual({ revision: 2, base: undefined });
    expect(newest(directory, h.id)).toEqual({ revision: 2, base: undefined });
    await expectMemory(f, memories[5], newPath);
    await expectMemory(g, memories[6], newPath);
    await expectMemory(h, branch, newPath);
    expect(store.snapshot(f.id).digest).toBe(f.digest);
    const next = await captureMemory(store, newPath, laterMemory(memories[6] as Memory, 50), g.id);
    await expectMemory(next, laterMemory(memories[6] as Memory, 50), newPath);
    expect((await store.verify()).problems).toEqual([]);
  });

  test('of a long chain stay right when every other snapshot goes', async () => {
    const { store, snapshots, memories } = await openSeries(newPath, { count: 20, pages: 60 });
    for (const wasteThreshold of [0.5, 0]) {
      const live = store.timeline('t').list();
      await removeAll(live.filter((_, i) => i % 2 === 0));
      await store.collect({ wasteThreshold });
      for (const [i, { id }] of snapshots.entries()) {
        const there = store
          .timeline('t')
          .list()
          .find((other) => other.id === id);
        if (there !== undefined) await expectMemory(there, memories[i], newPath);
      }
    }
    expect(store.timeline('t').list()).toHaveLength(5);
    expect((await store.verify()).problems).toEqual([]);
  });
});

type Tuple7 = [Snapshot, Snapshot, Snapshot, Snapshot, Snapshot, Snapshot, Snapshot];

describe('the states in packs', () => {
  test('tell of pins, notes and removals, and of what is gone while manifests stay', async () => {
    const { store, snapshots } = await openSeries(newPath, { count: 5 });
    const [a, b, c, d] = snapshots as Tuple7;
    await a.remove();
    await b.pin();
    await c.note('before the upgrade');
    await store.collect({ wasteThreshold: 1 });
    const stated = () => {
      const { states } = heldContents(store.directory);
      const told = states?.snapshots.map(({ id, ...state }) => [idToText(id), state]);
      return { generation: states?.generation, timelines: states?.timelines, told };
    };
    const nothing = { removed: false, pinned: false, note: '' };
    expect(stated()).toEqual({
      generation: expect.any(Number),
      timelines: [{ name: 't', lastSequence: 5 }],
      told: [
        [a.id, { ...nothing, removed: true }],
        [b.id, { ...nothing, pinned: true }],
        [c.id, { ...nothing, note: 'before the upgrade' }],
      ],
    });
    const { generation } = stated();
    await b.pin(false);
    await d.remove();
    // Only a removal that is undone again: this too is a change to be told.
    await c.remove();
    await c.undelete();
    await store.collect({ wasteThreshold: 1 });
    expect(stated().told).toContainEqual([d.id, { ...nothing, removed: true }]);
    expect(stated().told?.map(([id]) => id)).not.toContain(b.id);
    expect(stated().generation).toBeGreaterThan(generation ?? Infinity);
    const { told } = stated();
    await store.collect({ wasteThreshold: 0 });
    expect(stated().told).toEqual(told);
    const identities = new Set(heldContents(store.directory).packs);
    expect(identities.size).toBe(packFiles(store.directory).length);
  });

  test('name a removed snapshot as long as any pack has a manifest of it', async () => {
    const { store, snapshots } = await openSeries(newPath, { count: 6 });
    for (const snapshot of snapshots.slice(0, 5)) {
      await snapshot.remove();
      await store.collect({ wasteThreshold: 0.9 });
      const held = heldContents(store.directory);
      const live = new Set(
        store
          .timeline('t')
          .list()
          .map(({ id }) => id),
      );
      const told = new Map(held.states?.snapshots.map(({ id, removed }) => [toHex(id), removed]));
      for (const { id, manifest } of held.manifests) {
        if (!live.has(id)) expect(told.get(toHex(manifest.snapshotId)), id).toBe(true);
      }
    }
  });
});

describe('two collections at once', () => {
  test.each([1, 2])(
    'on %i handles both end, and neither waits for the other to give up',
    async (count) => {
      const { store, snapshots, memories } = await openSeries(newPath);
      const handles = [store, count === 1 ? store : await openStore(store.directory)];
      await removeAll(snapshots.slice(1));
      const began = performance.now();
      const reports = await Promise.all(handles.map((each) => each.collect({ wasteThreshold: 0 })));
      expect(performance.now() - began).toBeLessThan(4000);
      expect(reports.map(({ complete }) => complete)).toEqual([true, true]);
      expect(reports.map(({ condemnedSnapshots }) => condemnedSnapshots).sort()).toEqual([0, 5]);
      await expectMemory(snapshots[0] as Snapshot, memories[0], newPath);
    },
  );
});
