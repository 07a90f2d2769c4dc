/** Pruning timelines of a real store: what stays is whole, and what goes can be undeleted. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { rowChecksum, type ColumnValue } from '../../src/catalog/rows.ts';
import type { Progress, RetentionPolicy, Snapshot, SnapshotStore } from '../../src/index.ts';
import { expectFailure } from '../support/failures.ts';
import { makeImageDirectory } from '../support/image-directories.ts';
import { makeDump } from '../support/made-dumps.ts';
import { storeState } from '../support/store-state.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const HOUR_MS = 3_600_000;
const NOW = new Date('2026-11-21T12:00:00Z');

/** A store, and the dumps that went into its timeline `web`, an hour apart, the last one now. */
async function makeStore(
  count: number,
): Promise<{ store: SnapshotStore; dumps: string[]; snapshots: Snapshot[] }> {
  const store = await openStore(newPath());
  const dumps: string[] = [];
  const snapshots: Snapshot[] = [];
  for (let index = 0; index < count; index++) {
    const takenAt = new Date(NOW.getTime() - (count - 1 - index) * HOUR_MS);
    const images = makeDump(newPath(), index + 1);
    dumps.push(images);
    const labels = { number: String(index + 1) };
    snapshots.push(await store.timeline('web').capture({ images, takenAt, labels }));
  }
  return { store, dumps, snapshots };
}

const sequencesOf = (snapshots: readonly { readonly sequence: number }[]): number[] =>
  snapshots.map(({ sequence }) => sequence);

describe('a prune', () => {
  test('leaves what it keeps whole, and what it removes until that is undeleted', async () => {
    const { store, dumps, snapshots } = await makeStore(6);
    const timeline = store.timeline('web');
    await snapshots[1]?.pin();
    const report = await timeline.prune({ keepLast: 2 }, { now: NOW });
    expect(sequencesOf(timeline.list())).toEqual([2, 5, 6]);
    expect(sequencesOf(timeline.list({ removed: true }))).toEqual([1, 3, 4]);
    expect(sequencesOf(report.kept)).toEqual([2, 5, 6]);
    expect(sequencesOf(report.removed)).toEqual([1, 3, 4]);
    for (const snapshot of timeline.list()) {
      await expectRestores(snapshot, dumps[snapshot.sequence - 1] ?? '');
    }
    await store.snapshot('web@3').undelete();
    expect(sequencesOf(timeline.list())).toEqual([2, 3, 5, 6]);
    await expectRestores(store.snapshot('web@3'), dumps[2] ?? '');
    expect((await store.verify()).problems).toEqual([]);
    expect(store.statistics()).toMatchObject({ snapshots: 4, removedSnapshots: 2 });
  });

  test('says what it did, as JSON', async () => {
    const { store, snapshots } = await makeStore(3);
    const report = await store.timeline('web').prune({ keepHourly: 1, keepLast: 2 }, { now: NOW });
    const factsOf = (index: number) => {
      const { id, sequence, kind, takenAt, sizes } = snapshots[index]!;
      const storedBytes = sizes.stored.bytes;
      return { id, sequence, kind, takenAt: takenAt.toISOString(), storedBytes };
    };
    expect(report).toEqual({
      timeline: 'web',
      dryRun: false,
      kept: [
        { ...factsOf(1), reasons: [{ rule: 'last', detail: '2' }] },
        {
          ...factsOf(2),
          reasons: [
            { rule: 'newest' },
            { rule: 'last', detail: '1' },
            { rule: 'hourly', detail: '2026-11-21T12' },
          ],
        },
      ],
      removed: [{ ...factsOf(0), reasons: [{ rule: 'unmatched' }] }],
      keptBytes: factsOf(1).storedBytes + factsOf(2).storedBytes,
      overBudgetBytes: 0,
    });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  test('that is done again removes nothing more, and writes nothing', async () => {
    const { store } = await makeStore(4);
    const policy = { keepHourly: 2, versionGroups: { size: 2, keep: 1 } };
    const untouched = storeState(store.directory);
    await store.timeline('web').prune({ keepLast: 4 });
    expect(storeState(store.directory)).toEqual(untouched);
    const first = await store.timeline('web').prune(policy, { now: NOW });
    expect(sequencesOf(first.removed)).toEqual([1, 2]);
    const before = storeState(store.directory);
    const second = await store.timeline('web').prune(policy, { now: NOW });
    expect(second).toEqual({ ...first, removed: [] });
    expect(storeState(store.directory)).toEqual(before);
  });

  test('that is only tried changes nothing, and needs no right to write', async () => {
    const { store } = await makeStore(4);
    const before = storeState(store.directory);
    const options = { now: NOW, dryRun: true };
    const tried = await store.timeline('web').prune({ keepLast: 1 }, options);
    expect(sequencesOf(tried.removed)).toEqual([1, 2, 3]);
    const reader = await openStore(store.directory, { readOnly: true });
    expect(await reader.timeline('web').prune({ keepLast: 1 }, options)).toEqual(tried);
    const prune = () => reader.timeline('web').prune({ keepLast: 1 });
    await expectFailure(prune, { code: 'READ_ONLY' });
    expect(storeState(store.directory)).toEqual(before);
    const done = await store.timeline('web').prune({ keepLast: 1 }, { now: NOW });
    expect(done).toEqual({ ...tried, dryRun: false });
  });

  test('goes by the clock unless it is told the time', async () => {
    const store = await openStore(newPath());
    const timeline = store.timeline('web');
    for (const takenAt of [new Date(Date.now() - HOUR_MS), new Date('2099-01-01')]) {
      await timeline.capture({ images: makeDump(newPath(), 1), takenAt });
    }
    const policy = { keepWithin: '2h' };
    const removedAt = async (now?: Date) =>
      sequencesOf((await timeline.prune(policy, { now, dryRun: true })).removed);
    expect(await removedAt()).toEqual([]);
    expect(await removedAt(new Date('2099-01-02'))).toEqual([1]);
  });

  test('knows labels, sizes, and that of its own timeline only', async () => {
    const { store, snapshots } = await makeStore(5);
    await store.timeline('other').capture({ images: makeDump(newPath(), 9), parent: 'web@1' });
    const maxBytes = (snapshots[4]?.sizes.stored.bytes ?? 0) + 1;
    const policy = { keepWithin: '9d', keepLabels: [{ key: 'number', value: '2' }], maxBytes };
    const report = await store.timeline('web').prune(policy, { now: NOW });
    expect(sequencesOf(report.kept)).toEqual([2, 5]);
    expect(report.removed.map(({ reasons }) => reasons)).toEqual(
      Array(3).fill([{ rule: 'budget' }]),
    );
    expect(report.overBudgetBytes).toBe(report.keptBytes - maxBytes);
    expect(store.timeline('other').list()).toHaveLength(1);
    expect((await store.verify()).problems).toEqual([]);
  });

  test('leaves the newest by time and the last one captured when a clock went back', async () => {
    const { store, dumps } = await makeStore(3);
    const takenAt = new Date('1970-01-01');
    const last = await store.timeline('web').capture({ images: dumps[0] ?? '', takenAt });
    await store.timeline('web').prune({ keepLast: 1 }, { now: NOW });
    expect(sequencesOf(store.timeline('web').list())).toEqual([3, 4]);
    expect(store.snapshot('web').id).toBe(last.id);
    expect(store.timeline('web').at(NOW)?.sequence).toBe(3);
  });

  test('keeps a pre-dump for the dump that is on its way', async () => {
    const { store, dumps } = await makeStore(2);
    const timeline = store.timeline('web');
    const images = makeImageDirectory(newPath(), { imageVersion: 0 });
    const preDump = await timeline.capture({ images, takenAt: NOW });
    await timeline.prune({ keepLast: 1 }, { now: NOW });
    expect(sequencesOf(timeline.list())).toEqual([2, 3]);
    const next = await timeline.capture({ images: dumps[0] ?? '' });
    expect(next.parentId).toBe(preDump.id);
    await timeline.capture({ images: dumps[1] ?? '' });
    await timeline.prune({ keepLast: 1 });
    expect(sequencesOf(timeline.list())).toEqual([5]);
  });

  test('of a timeline that there is not, or that is empty, finds nothing', async () => {
    const { store, snapshots } = await makeStore(1);
    await snapshots[0]?.remove();
    for (const timeline of ['nobody', 'web']) {
      const report = await store.timeline(timeline).prune({ keepLast: 1 });
      expect(report).toMatchObject({ timeline, kept: [], removed: [], keptBytes: 0 });
    }
  });

  test('tells its progress', async () => {
    const { store } = await makeStore(2);
    const seen: Progress[] = [];
    const onProgress = (progress: Progress) => seen.push(progress);
    await store.timeline('web').prune({ keepLast: 1 }, { onProgress });
    expect(seen).toEqual([{ phase: 'snapshots', done: 2, total: 2 }]);
  });

  test.each([
    [{}, RangeError],
    [{ keepLast: 0 }, RangeError],
    [{ keepWithin: 'long' }, RangeError],
    [{ keepHourley: 1, keepLast: 1 }, TypeError],
    [undefined, TypeError],
  ])('with the policy %j is refused', async (policy, kind) => {
    const { store } = await makeStore(2);
    const before = storeState(store.directory);
    const prune = store.timeline('web').prune(policy as RetentionPolicy);
    await expect(prune).rejects.toThrow(kind);
    expect(storeState(store.directory)).toEqual(before);
  });

  test.each([new Date(Number.NaN), 5, 'today'])('at the time %s is refused', async (now) => {
    const { store } = await makeStore(2);
    const prune = store.timeline('web').prune({ keepLast: 1 }, { now: now as Date });
    await expect(prune).rejects.toThrow(new TypeError('now is not a valid Date'));
    expect(store.timeline('web').list()).toHaveLength(2);
  });
});

describe('beside others, a prune', () => {
  test('keeps what is pinned while it waits for them, with what leads to it', async () => {
    const store = await openStore(newPath());
    const timeline = store.timeline('web');
    const preDump = makeImageDirectory(newPath(), { imageVersion: 0 });
    for (const images of [preDump, ...[1, 2, 3].map((seed) => makeDump(newPath(), seed))]) {
      await timeline.capture({ images });
    }
    const other = lockCatalog(store.directory);
    const running = timeline.prune({ keepLast: 1 });
    // The plan has been made: it removes the first three.
    other.pin('web@2', store.snapshot('web@2').id);
    other.commit();
    const report = await running;
    expect(sequencesOf(report.kept)).toEqual([1, 2, 4]);
    expect(report.kept[1]?.reasons).toEqual([{ rule: 'pinned' }]);
    expect(sequencesOf(timeline.list())).toEqual([1, 2, 4]);
    expect((await store.verify()).problems).toEqual([]);
  });

  test('that is stopped while it waits removes nothing', async () => {
    const { store } = await makeStore(3);
    const other = lockCatalog(store.directory);
    const controller = new AbortController();
    const running = store.timeline('web').prune({ keepLast: 1 }, { signal: controller.signal });
    controller.abort();
    await expectFailure(() => running, { code: 'ABORTED' });
    other.commit();
    expect(store.timeline('web').list()).toHaveLength(3);
  });

  test('of another handle, each removes what is left to remove', async () => {
    const { store, dumps } = await makeStore(6);
    const second = await openStore(store.directory);
    const reports = await Promise.all([
      store.timeline('web').prune({ keepLast: 3 }),
      second.timeline('web').prune({ keepLast: 2 }),
      second.timeline('web').prune({ keepLast: 2 }),
    ]);
    const removed = reports.flatMap((report) => sequencesOf(report.removed));
    expect(removed.sort()).toEqual([1, 2, 3, 4]);
    for (const handle of [store, second]) {
      expect(sequencesOf(handle.timeline('web').list())).toEqual([5, 6]);
    }
    await expectRestores(second.snapshot('web'), dumps[5] ?? '');
  });

  test('that captures, leaves what it captures', async () => {
    const { store, dumps } = await makeStore(3);
    const second = await openStore(store.directory);
    const images = makeDump(newPath(), 7);
    const [captured] = await Promise.all([
      second.timeline('web').capture({ images }),
      store.timeline('web').prune({ keepLast: 1 }),
    ]);
    const list = store.timeline('web').list();
    expect(list.at(-1)?.id).toBe(captured.id);
    await expectRestores(captured, images);
    await expectRestores(store.snapshot('web@3'), dumps[2] ?? '');
  });
});

/** Holds the catalog as another process would that is about to pin. */
function lockCatalog(directory: string) {
  const database = new Database(join(directory, 'catalog.sqlite'));
  onTestFinished(() => void database.close());
  database.exec('BEGIN IMMEDIATE');
  return {
    pin: (reference: string, id: string): void => {
      const read = database.prepare('SELECT * FROM snapshots WHERE id = ?');
      const { checksum: _, ...row } = read.get(id) as Record<string, ColumnValue>;
      const columns = Object.values({ ...row, pinned: 1 });
      const update = 'UPDATE snapshots SET pinned = 1, checksum = ? WHERE id = ?';
      const { changes } = database.prepare(update).run(rowChecksum('snapshots', columns), id);
      expect(changes, reference).toBe(1);
    },
    commit: () => void database.exec('COMMIT'),
  };
}
