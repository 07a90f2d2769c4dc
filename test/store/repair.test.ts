/** Repairs: what was captured comes back, byte for byte, whatever was done to the catalog. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type RepairReport, SnapshotStore } from '../../src/index.ts';
import { takeLease } from '../../src/catalog/lease.ts';
import { expectFailure } from '../support/failures.ts';
import { makeDump } from '../support/made-dumps.ts';
import { addPack, copyStore, expectWhole, makeRichStore } from '../support/repairs.ts';
import type { RichStore } from '../support/repairs.ts';
import { storeState } from '../support/store-state.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';
import { encodeStates } from '../../src/pack/states.ts';
import { idFromText } from '../../src/bytes/id.ts';

const newPath = temporaryPaths();
const catalogOf = (directory: string): string => join(directory, 'catalog.sqlite');
/** The store that damaged ones are copies of. */
const original = makeRichStore(newPath);

async function copyOfOriginal(): Promise<RichStore> {
  return copyStore(await original, newPath());
}

/** Everything whole, and nothing to repair any more. */
async function expectRepaired(rich: RichStore, report: RepairReport): Promise<void> {
  expect(report.snapshots.lost).toEqual([]);
  await expectWhole(rich);
  const again = await SnapshotStore.repair(rich.directory);
  expect(again).toMatchObject({ catalog: 'kept', reasons: [], changes: [] });
  expect(again.snapshots.lost).toEqual([]);
}

describe('a catalog', () => {
  test('that is whole stays as it is', async () => {
    const rich = await copyOfOriginal();
    const before = storeState(rich.directory);
    const report = await SnapshotStore.repair(rich.directory, { level: 'packs' });
    expect(report).toMatchObject({ dryRun: false, catalog: 'kept', reasons: [], changes: [] });
    expect(report.snapshots.whole).toBe(rich.ids.length);
    expect(storeState(rich.directory)).toEqual(before);
    await expectWhole(rich, { states: true });
  });

  test.each<[string, (file: string) => void]>([
    ['is gone', (file) => rmSync(file)],
    ['is empty', (file) => truncateSync(file, 0)],
    ['is cut off', (file) => truncateSync(file, 5000)],
    ['is cut off in its header', (file) => truncateSync(file, 20)],
    ['is something else', (file) => writeFileSync(file, 'something else'.repeat(1000))],
    [
      'has zeros in its middle',
      (file) => {
        const bytes = readFileSync(file);
        writeFileSync(file, bytes.fill(0, 8192, bytes.length - 8192));
      },
    ],
  ])('that %s is built anew', async (_, damage) => {
    const rich = await copyOfOriginal();
    damage(catalogOf(rich.directory));
    const report = await SnapshotStore.repair(rich.directory);
    expect(report).toMatchObject({ dryRun: false, catalog: 'rebuilt' });
    expect(report.reasons.length).toBeGreaterThan(0);
    await expectRepaired(rich, report);
  });

  test('of which rows are damaged gives what is left of pins, notes and removals', async () => {
    const rich = await copyOfOriginal();
    const { default: Database } = await import('better-sqlite3');
    const catalog = new Database(catalogOf(rich.directory));
    catalog.exec('UPDATE packs SET checksum = randomblob(8) WHERE number = 2');
    catalog.exec('UPDATE segments SET checksum = randomblob(8) WHERE number = 3');
    catalog.close();
    const report = await SnapshotStore.repair(rich.directory);
    expect(report.catalog).toBe('rebuilt');
    expect(report.snapshots.restored).toEqual([]);
    await expectWhole(rich, { states: true });
  });

  test('that is an older copy gets what was captured since', async () => {
    const directory = newPath();
    const early = await openUnmanaged(directory, { create: true });
    const [a, b] = [makeDump(newPath(), 1), makeDump(newPath(), 2)];
    const first = await early.timeline('t').capture({ images: a });
    await first.note('kept');
    await early.close();
    const copy = newPath();
    cpSync(catalogOf(directory), copy);
    const later = await openUnmanaged(directory);
    const second = await later.timeline('t').capture({ images: b });
    await later.close();
    cpSync(copy, catalogOf(directory));
    const report = await SnapshotStore.repair(directory);
    expect(report).toMatchObject({ catalog: 'rebuilt', packs: { adopted: [expect.anything()] } });
    expect(report.snapshots.restored).toEqual([second.id]);
    const store = await openStore(directory);
    await expectRestores(store.snapshot(first.id), a);
    await expectRestores(store.snapshot(second.id), b);
    expect(store.snapshot(first.id).noteText).toBe('kept');
    expect((await store.verify()).unknownPacks).toEqual([]);
  });

  test('that was copied without its -wal is built anew', async () => {
    const writer = await openUnmanaged(newPath(), { create: true });
    const images = makeDump(newPath(), 1);
    const { id } = await writer.timeline('t').capture({ images });
    const copy = newPath();
    cpSync(writer.directory, copy, { recursive: true });
    await writer.close();
    rmSync(join(copy, 'leases'), { recursive: true });
    rmSync(`${catalogOf(copy)}-wal`);
    expect((await SnapshotStore.repair(copy)).catalog).toBe('rebuilt');
    const store = await openStore(copy);
    await expectRestores(store.snapshot(id), images);
    expect((await store.verify()).problems).toEqual([]);
  });

  test('with the -wal of another is what it was before', async () => {
    const rich = await copyOfOriginal();
    const writer = await openUnmanaged(newPath(), { create: true });
    await writer.timeline('t').capture({ images: makeDump(newPath(), 1) });
    cpSync(`${catalogOf(writer.directory)}-wal`, `${catalogOf(rich.directory)}-wal`);
    await writer.close();
    const report = await SnapshotStore.repair(rich.directory);
    expect(report).toMatchObject({ catalog: 'rebuilt', packs: { adopted: [] } });
    expect(existsSync(`${catalogOf(rich.directory)}-wal`)).toBe(false);
    await expectWhole(rich, { states: true });
  });

  test('that is gone comes back with the states that a pack has', async () => {
    const rich = await copyOfOriginal();
    rmSync(catalogOf(rich.directory));
    const stateOf = (id: string, state: object) => ({
      ...{ id: idFromText(id) as Uint8Array, removed: false, pinned: false, note: '' },
      ...state,
    });
    const timelines = [{ name: 'dumps', lastSequence: 40 }];
    // Of an era to come: a clock was ahead.
    const generation = 2 ** 52 + 7;
    const older = [stateOf(rich.ids[1] as string, { removed: true })];
    const newer = [
      stateOf(rich.removed, { removed: true }),
      stateOf(rich.pinned, { pinned: true }),
      stateOf(rich.noted, { note: 'before the upgrade' }),
    ];
    addPack(rich.directory, (writer) => {
      writer.addStates(encodeStates({ generation: 3, timelines: [], snapshots: older }));
    });
    addPack(rich.directory, (writer) => {
      writer.addStates(encodeStates({ generation, timelines, snapshots: newer }));
    });
    await SnapshotStore.repair(rich.directory);
    await expectWhole(rich, { states: true });
    const store = await openStore(rich.directory);
    expect(store.snapshot(rich.ids[1] as string).isRemoved).toBe(false);
    expect(store.statistics().generation).toBe(2 ** 52 + 2 ** 20);
    const next = await store.timeline('dumps').capture({ images: makeDump(newPath(), 50) });
    expect(next.sequence).toBe(41);
  });

  test('that is gone for the second time, too, when the first repair was cut off', async () => {
    const rich = await copyOfOriginal();
    await SnapshotStore.repair(rich.directory);
    // As a repair leaves it that ends between taking the old catalog away and putting the new one.
    const waiting = join(rich.directory, 'damaged', '01AAAAAAAAAAAAAAAAAAAAAAAA');
    mkdirSync(waiting, { recursive: true });
    renameSync(catalogOf(rich.directory), join(waiting, 'repaired.sqlite'));
    writeFileSync(`${catalogOf(rich.directory)}-wal`, 'of the old catalog');
    await expectFailure(() => openUnmanaged(rich.directory), { code: 'CORRUPT' });
    expect((await SnapshotStore.repair(rich.directory)).catalog).toBe('rebuilt');
    expect(existsSync(join(waiting, 'repaired.sqlite'))).toBe(false);
    await expectWhole(rich, { states: true });
  });
});

describe('format.json', () => {
  test.each<[string, (file: string) => void]>([
    ['is gone', (file) => rmSync(file)],
    ['is cut off', (file) => truncateSync(file, 50)],
  ])('that %s is written anew, with the id that the catalog has', async (_, damage) => {
    const rich = await copyOfOriginal();
    const file = join(rich.directory, 'format.json');
    const before = readFileSync(file, 'utf8');
    damage(file);
    await SnapshotStore.repair(rich.directory);
    expect(readFileSync(file, 'utf8')).toBe(before);
    await expectWhole(rich, { states: true });
  });

  test('and the catalog, both gone, are made anew', async () => {
    const rich = await copyOfOriginal();
    rmSync(join(rich.directory, 'format.json'));
    rmSync(catalogOf(rich.directory));
    await expectRepaired(rich, await SnapshotStore.repair(rich.directory));
  });

  test('of a newer version, or with an unknown feature, is not touched', async () => {
    const rich = await copyOfOriginal();
    const file = join(rich.directory, 'format.json');
    const { sha256 } = await import('@noble/hashes/sha2.js');
    const write = (change: object): void => {
      const { checksum: _, ...value } = JSON.parse(readFileSync(file, 'utf8')) as object & {
        checksum: string;
      };
      const changed = { ...value, ...change };
      const digest = Buffer.from(sha256(Buffer.from(JSON.stringify(changed)))).subarray(0, 8);
      writeFileSync(file, JSON.stringify({ ...changed, checksum: digest.toString('hex') }));
    };
    for (const change of [{ version: 2 }, { version: 1, features: ['telepathy'] }]) {
      write(change);
      const before = storeState(rich.directory);
      for (const action of [
        () => SnapshotStore.repair(rich.directory),
        () => openUnmanaged(rich.directory),
        () => openUnmanaged(rich.directory, { readOnly: true }),
      ]) {
        await expectFailure(action, { code: 'UNSUPPORTED_VERSION', file });
      }
      expect(storeState(rich.directory)).toEqual(before);
    }
  });
});

describe('a repair', () => {
  test('that is dry says what it would do, and changes nothing', async () => {
    const rich = await copyOfOriginal();
    truncateSync(catalogOf(rich.directory), 9000);
    const names = () => readdirSync(rich.directory, { recursive: true }).sort();
    const before = names();
    const dry = await SnapshotStore.repair(rich.directory, { dryRun: true });
    expect(names()).toEqual(before);
    const real = await SnapshotStore.repair(rich.directory);
    expect({ ...real, dryRun: true }).toEqual(dry);
    expect(JSON.parse(JSON.stringify(real))).toEqual(JSON.parse(JSON.stringify(real)));
  });

  test('is refused while anybody has the store open, and the other way round', async () => {
    const rich = await copyOfOriginal();
    const store = await openStore(rich.directory);
    const repair = () => SnapshotStore.repair(rich.directory);
    await expectFailure(repair, { code: 'LOCKED' });
    expect((await SnapshotStore.repair(rich.directory, { dryRun: true })).catalog).toBe('kept');
    await store.close();
    // As a repair holds it.
    const lock = takeLease(join(rich.directory, 'leases', 'repair.lock'));
    for (const action of [
      () => openUnmanaged(rich.directory),
      () => openUnmanaged(rich.directory, { readOnly: true }),
      repair,
    ]) {
      await expectFailure(action, { code: 'LOCKED', message: /repair/ });
    }
    expect(lock).toBeDefined();
    lock?.release();
    await expectWhole(rich, { states: true });
  });

  test('of an open store closes it meanwhile, and it goes on', async () => {
    const rich = await copyOfOriginal();
    const store = await openStore(rich.directory);
    const images = makeDump(newPath(), 9);
    const repairing = store.repair();
    await expectFailure(() => store.timeline('t').capture({ images }), { code: 'LOCKED' });
    expect((await repairing).catalog).toBe('kept');
    await expectRestores(await store.timeline('t').capture({ images }), images);
    const other = await openStore(rich.directory);
    await expectFailure(() => store.repair(), { code: 'LOCKED' });
    expect(store.timelines().map(({ name }) => name)).toContain('t');
    await other.close();
  });

  test('that is stopped leaves the store as it was', async () => {
    const rich = await copyOfOriginal();
    truncateSync(catalogOf(rich.directory), 9000);
    const catalog = readFileSync(catalogOf(rich.directory));
    const stopper = new AbortController();
    const repair = () =>
      SnapshotStore.repair(rich.directory, {
        signal: stopper.signal,
        onProgress: ({ phase }) => phase === 'snapshots' && stopper.abort(),
      });
    await expectFailure(repair, { code: 'ABORTED' });
    expect(readFileSync(catalogOf(rich.directory)).equals(catalog)).toBe(true);
    expect(readdirSync(join(rich.directory, 'staging'))).toEqual([]);
    await expectRepaired(rich, await SnapshotStore.repair(rich.directory));
  });

  test('of what is no store is refused', async () => {
    await expectFailure(() => SnapshotStore.repair(newPath()), { code: 'NOT_FOUND' });
    const empty = newPath();
    mkdirSync(empty);
    await expectFailure(() => SnapshotStore.repair(empty), { code: 'NOT_FOUND' });
    expect(readdirSync(empty)).toEqual([]);
    await expect(SnapshotStore.repair('')).rejects.toThrow(TypeError);
    await expect(SnapshotStore.repair(empty, { level: 'all' as 'packs' })).rejects.toThrow(
      RangeError,
    );
  });

  test('takes damaged runs of the index away, and captures find pages all the same', async () => {
    const rich = await copyOfOriginal();
    const index = join(rich.directory, 'index');
    const runs = readdirSync(index);
    for (const name of runs) truncateSync(join(index, name), 10);
    await SnapshotStore.repair(rich.directory);
    expect(readdirSync(index).filter((name) => runs.includes(basename(name)))).toEqual([]);
    const store = await openStore(rich.directory);
    const again = await store.timeline('u').capture({ images: makeDump(newPath(), 1) });
    expect(again.sizes.new.pages).toBe(0);
  });
});
