/** Repairs of stores whose packs are damaged: what is whole comes back, the rest is named. */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { type RepairReport, SnapshotStore, StoreError } from '../../src/index.ts';
import { damageBlock } from '../support/damaged-store.ts';
import { copyStore, expectSame, makeRichStore, type RichStore } from '../support/repairs.ts';
import { type StoredPack, packsOf } from '../support/store-contents.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();
const original = makeRichStore(newPath);

async function copyOfOriginal(): Promise<RichStore> {
  return copyStore(await original, newPath());
}

function overwrite(path: string, change: (bytes: Buffer) => Uint8Array): void {
  const bytes = change(readFileSync(path));
  chmodSync(path, 0o600);
  writeFileSync(path, bytes);
}

/**
 * Restores everything: what the report does not name is exact, and what it names is not, but for
 * what is left of it.
 */
async function expectTruth(rich: RichStore, report: RepairReport): Promise<void> {
  const lost = new Map(report.snapshots.lost.map((one) => [one.id, one.lost]));
  const store = await openUnmanaged(rich.directory);
  try {
    for (const id of rich.ids) {
      if (!lost.has(id)) {
        await expectSame(store, rich, id);
        continue;
      }
      const target = newPath();
      const restore = async (): Promise<void> => {
        await store.snapshot(id).restore(target);
      };
      const failure: unknown = await restore().catch((error: unknown) => error);
      expect(failure, `${id} is ${lost.get(id)} lost`).toBeInstanceOf(StoreError);
      const code = lost.get(id) === 'whole' ? 'NOT_FOUND' : 'CORRUPT';
      expect(failure).toMatchObject({ code });
      if (code === 'CORRUPT') await expectPart(store, rich, id);
    }
    const { problems } = await store.verify();
    const named = new Set(problems.flatMap(({ snapshot }) => snapshot ?? []));
    const partly = [...lost].filter(([, how]) => how === 'partly').map(([id]) => id);
    expect([...named].sort()).toEqual(partly.sort());
  } finally {
    await store.close();
  }
}

/** A partial restore has every byte but those that it says are missing, which are zeros. */
async function expectPart(store: SnapshotStore, rich: RichStore, id: string): Promise<void> {
  const target = newPath();
  const source = rich.sources.get(id);
  const report = await store.snapshot(id).restore(target, { partial: true });
  const { bytes, runs } = report.missing;
  expect(bytes).toBeGreaterThan(0);
  expect(runs.reduce((sum, run) => sum + run.bytes, 0)).toBe(bytes);
  const names = new Set(runs.map(({ image }) => image));
  for (const name of [...names, 'inventory.img']) {
    const expected = readFileSync(join(source?.images ?? '', name));
    for (const run of runs) {
      if (run.image === name) expected.fill(0, run.offset, run.offset + run.bytes);
      if (run.space !== undefined) expect(run.firstAddress).toMatch(/^0x[0-9a-f]+000$|^0x0$/);
    }
    expect(readFileSync(join(target, name)).equals(expected), name).toBe(true);
  }
  rmSync(target, { recursive: true });
}

const DAMAGES: readonly [string, (pack: StoredPack) => void, string | undefined][] = [
  ['is gone', ({ path }) => rmSync(path), 'missing'],
  ['is cut off', ({ path }) => overwrite(path, (bytes) => bytes.subarray(0, -40)), 'taken away'],
  ['is empty', ({ path }) => overwrite(path, () => Buffer.alloc(0)), 'taken away'],
  ['is something else', ({ path }) => overwrite(path, () => Buffer.alloc(500, 7)), 'taken away'],
  [
    'has a damaged frame',
    ({ path, frames }) => {
      const [frame] = frames;
      if (frame !== undefined) damageBlock(path, frame.offset + 24, frame.blockBytes - 24);
    },
    'kept',
  ],
  [
    'says that it is of another version',
    ({ path }) => overwrite(path, (bytes) => bytes.fill(5, 8, 9)),
    'taken away',
  ],
  [
    'has a damaged manifest',
    ({ path, manifestOffset }) => damageBlock(path, manifestOffset, 60),
    'kept',
  ],
];

describe.each([0, 1, 3, 4, 6, 7])('the pack of capture %d', (index) => {
  test.each(DAMAGES)('that %s: all that is whole comes back', async (_, damage, now) => {
    const rich = await copyOfOriginal();
    const pack = (await packsOf(rich.directory)).find(
      ({ snapshot }) => snapshot === rich.ids[index],
    );
    if (pack === undefined) throw new Error('each capture has a pack');
    damage(pack);
    const report = await SnapshotStore.repair(rich.directory, { level: 'packs' });
    if (pack.frames.length > 0 || now !== 'kept') {
      const name = basename(pack.path, '.pack');
      const { healed, damaged } = report.packs;
      const named = new Map(damaged.map((one) => [one.name, one.now]));
      expect(named.get(name)).toBe(healed.some((one) => one.name === name) ? 'taken away' : now);
      // Some of it, or of what stands on it, is in other snapshots: in packs in their places.
      const replaced = healed.flatMap((one) => [one.name ?? '', one.newName]);
      expect([...named.keys()].filter((one) => one !== name && !replaced.includes(one))).toEqual(
        [],
      );
      for (const one of healed) if (one.name) expect(named.get(one.name)).toBe('taken away');
    }
    await expectTruth(rich, report);
    const again = await SnapshotStore.repair(rich.directory, { level: 'packs' });
    expect(again).toMatchObject({ catalog: 'kept', changes: [] });
  });
});

test('a pack and the catalog, both gone, leave what the other packs have', async () => {
  const rich = await copyOfOriginal();
  const [pack] = (await packsOf(rich.directory)).slice(3);
  rmSync(pack?.path ?? '');
  rmSync(join(rich.directory, 'catalog.sqlite'));
  const report = await SnapshotStore.repair(rich.directory);
  const named = new Set([...report.snapshots.lost.map(({ id }) => id), pack?.snapshot]);
  expect(named.size).toBeGreaterThan(1);
  const store = await openUnmanaged(rich.directory);
  for (const id of rich.ids.filter((one) => !named.has(one))) await expectSame(store, rich, id);
  await store.close();
});

test('a pack that is put back after it was lost is adopted, and all is whole again', async () => {
  const rich = await copyOfOriginal();
  const [pack] = (await packsOf(rich.directory)).slice(3);
  const path = pack?.path ?? '';
  const kept = newPath();
  renameSync(path, kept);
  expect((await SnapshotStore.repair(rich.directory)).snapshots.lost).not.toEqual([]);
  renameSync(kept, path);
  const report = await SnapshotStore.repair(rich.directory);
  expect(report.snapshots.lost).toEqual([]);
  await expectTruth(rich, report);
});

test('a file in packs/ that is no pack is taken away, and nothing is built anew', async () => {
  const rich = await copyOfOriginal();
  const stranger = join(rich.directory, 'packs', 'ab', `ab${'0'.repeat(62)}.pack`);
  mkdirSync(join(stranger, '..'), { recursive: true });
  writeFileSync(stranger, 'of a capture that was cut off');
  const report = await SnapshotStore.repair(rich.directory);
  expect(report).toMatchObject({ catalog: 'kept', packs: { damaged: [{ now: 'taken away' }] } });
  expect(() => readFileSync(stranger)).toThrow(/ENOENT/);
  await expectTruth(rich, report);
});

test('a pack that was found damaged is still on record in a catalog written anew', async () => {
  const { directory } = await copyOfOriginal();
  const packs = await packsOf(directory);
  const [damaged, gone] = packs.filter(({ manifestOffset }) => manifestOffset > 0) as [
    StoredPack,
    StoredPack,
  ];
  damageBlock(damaged.path, damaged.manifestOffset, 60);
  {
    await using store = await openUnmanaged(directory);
    expect((await store.verify()).damagedPacks).toMatchObject([{ file: damaged.path }]);
  }
  rmSync(gone.path);
  expect(await SnapshotStore.repair(directory)).toMatchObject({ catalog: 'rebuilt' });
  const catalog = new Database(join(directory, 'catalog.sqlite'), { readonly: true });
  const names = catalog.prepare('SELECT pack FROM damaged_packs').pluck().all();
  catalog.close();
  expect(names).toEqual([basename(damaged.path, '.pack')]);
});
