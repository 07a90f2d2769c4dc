/**
 * Backups: whole stores, made beside captures, brought up to date, of damaged stores, and into
 * directories that are not what they seem.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { rowChecksum } from '../../src/catalog/rows.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { SnapshotStore } from '../../src/index.ts';
import { dump, expectBackup, storeOf } from '../support/backups.ts';
import { startChild } from '../support/children.ts';
import { makeClosedStore } from '../support/damaged-store.ts';
import { expectFailure } from '../support/failures.ts';
import { readCatalog, storeState } from '../support/store-state.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { describeTree } from '../support/trees.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

describe('a backup', () => {
  test('is a store of its own: every snapshot, state and byte, closed to others', async () => {
    const store = await storeOf([1, 2, 3]);
    await store.snapshot('t@1').pin(true);
    await store.snapshot('t@2').note('before the update');
    await store.snapshot('t@3').remove();
    const target = newPath();
    const old = process.umask(0);
    onTestFinished(() => void process.umask(old));
    const report = await store.backup(target);
    process.umask(old);
    const { packs, storedBytes } = store.statistics();
    expect(report).toEqual({
      target,
      snapshots: 3,
      packs: { copied: packs, copiedBytes: storedBytes, kept: 0, removed: 0 },
      damagedPacks: [],
      problems: [],
    });
    expect(storeState(target).rows).toEqual(storeState(store.directory).rows);
    expectModes(target);
    expect(readdirSync(join(target, 'staging'))).toEqual([]);
    const leases = readCatalog(target, (catalog) => catalog.prepare('SELECT * FROM leases').all());
    expect(leases).toEqual([]);
    await store.close();
    rmSync(store.directory, { recursive: true });
    await using copy = await openUnmanaged(target);
    expect(copy.snapshot('t@1')).toMatchObject({ isPinned: true });
    expect(copy.snapshot('t@3')).toMatchObject({ isRemoved: true });
    await expectRestores(copy.snapshot('t@2'), dump(2));
    const next = await copy.timeline('t').capture({ images: dump(4) });
    expect(next.sequence).toBe(4);
    await expectRestores(next, dump(4));
  });

  test('that is made again copies what is new, and lets go of what is gone', async () => {
    const store = await storeOf([1, 2]);
    const target = newPath();
    await store.backup(target);
    const inode = (): bigint[] => packFiles(target).map((path) => nodeFiles.lstat(path).inode);
    const before = inode();
    expect(await store.backup(target)).toMatchObject({
      packs: { copied: 0, copiedBytes: 0, kept: 2, removed: 0 },
    });
    await store.timeline('t').capture({ images: dump(3) });
    const report = await store.backup(target);
    expect(report.packs).toMatchObject({ copied: 1, kept: 2, removed: 0 });
    expect(inode()).toEqual(expect.arrayContaining(before));
    await expectBackup(target, [1, 2, 3]);
  });

  test('lets go of packs that the store has no more, once it has what it has', async () => {
    const store = await storeOf([1, 2]);
    const target = newPath();
    await store.backup(target);
    // A pack that only the former backup knows, as after a collection, and one that was let go of.
    const [gone, cut] = [`ab${'0'.repeat(62)}`, `ac${'0'.repeat(62)}`];
    const pathOf = (name: string): string =>
      join(target, 'packs', name.slice(0, 2), `${name}.pack`);
    for (const name of [gone, cut]) makeWith(join(pathOf(name), '..'), `${name}.pack`);
    const catalog = new Database(join(target, 'catalog.sqlite'));
    const checksum = rowChecksum('packs', [99, gone, 1, 0]);
    catalog.prepare('INSERT INTO packs VALUES (99, ?, 1, 0, ?)').run(gone, checksum);
    catalog.prepare('INSERT INTO retired VALUES (?, 0, 1)').run(cut);
    catalog.close();
    expect((await store.backup(target)).packs).toMatchObject({ copied: 0, kept: 2, removed: 2 });
    expect([existsSync(pathOf(gone)), existsSync(pathOf(cut))]).toEqual([false, false]);
    await expectBackup(target, [1, 2]);
  });

  test('beside captures of another process has whole snapshots only', async () => {
    const directory = newPath();
    const work = newPath();
    mkdirSync(work);
    const task = { directory, timeline: 't', first: 1, count: 1000, work };
    const child = startChild(task);
    await child.said('captured', 2);
    await using store = await openUnmanaged(directory);
    const target = newPath();
    const counts: number[] = [];
    for (let run = 1; run <= 4; run++) {
      await child.said('captured', 2 + 3 * run);
      counts.push((await store.backup(target)).snapshots);
      const seeds = Array.from({ length: counts.at(-1) ?? 0 }, (_, i) => i + 1);
      await expectBackup(target, seeds);
    }
    await child.kill();
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    expect(counts[0]).toBeLessThan(counts[3] ?? 0);
  });

  test('can be made of a store that is only read', async () => {
    const store = await storeOf([1]);
    await store.close();
    const before = storeState(store.directory);
    const reader = await openStore(store.directory, { readOnly: true });
    const target = newPath();
    await reader.backup(target);
    expect(storeState(store.directory)).toEqual(before);
    await expectBackup(target, [1]);
  });

  test('by a reader that is out of date does not take the place of a whole one', async () => {
    const store = await storeOf([1, 2]);
    const target = newPath();
    await store.backup(target);
    const third = await store.timeline('t').capture({ images: dump(3) });
    await store.timeline('t').capture({ images: dump(4) });
    const reader = await openStore(store.directory, { readOnly: true });
    await third.remove();
    await store.collect({ wasteThreshold: 0 });
    // Nothing is damaged: what this one knows of is in other packs now.
    await expect(reader.backup(target)).rejects.toThrow();
    await expectBackup(target, [1, 2]);
  });

  test('of a store without snapshots is one without', async () => {
    const store = await storeOf([]);
    const target = newPath();
    expect(await store.backup(target)).toMatchObject({ snapshots: 0, packs: { copied: 0 } });
    await expectBackup(target, []);
  });

  test('reports packs one after the other, up to all', async () => {
    const store = await storeOf([1, 2]);
    const seen: unknown[] = [];
    await store.backup(newPath(), { onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([
      { phase: 'packs', done: 1, total: 2 },
      { phase: 'packs', done: 2, total: 2 },
    ]);
  });
});

function packFiles(directory: string): string[] {
  const packs = join(directory, 'packs');
  return readdirSync(packs).flatMap((prefix) =>
    readdirSync(join(packs, prefix)).map((name) => join(packs, prefix, name)),
  );
}

/** Nobody else may read any of it. */
function expectModes(directory: string): void {
  const modes = describeTree(directory, { topMode: true }).map((line) => line.split(' ')[1]);
  for (const mode of modes) expect(['0700', '0600', '0400']).toContain(mode);
  expect((statSync(directory).mode & 0o7777).toString(8)).toBe('700');
}

describe('damage of the store', () => {
  test('is reported, and what is left of a pack is saved where nothing better is', async () => {
    const closed = await makeClosedStore(newPath);
    const [first = '', second = ''] = closed.packs;
    const whole = newPath();
    await using store = await openUnmanaged(closed.directory);
    await store.backup(whole);
    const good = readFileSync(first);
    const bytes = Buffer.from(good);
    bytes.writeUInt8(bytes.readUInt8(200) ^ 1, 200);
    chmodSync(first, 0o600);
    writeFileSync(first, bytes);
    rmSync(second);
    const target = newPath();
    const report = await store.backup(target);
    expect(report.damagedPacks).toMatchObject([
      { file: first, inBackup: 'damaged', message: 'its SHA-256 is not its name' },
      { file: second, inBackup: 'missing', message: 'the pack is missing' },
    ]);
    const copied = first.replace(closed.directory, target);
    expect(readFileSync(copied).equals(bytes)).toBe(true);
    expect(existsSync(second.replace(closed.directory, target))).toBe(false);
    // A backup that was whole stays whole.
    expect(await store.backup(whole)).toMatchObject({ damagedPacks: [], packs: { kept: 3 } });
    await using kept = await openUnmanaged(whole);
    expect((await kept.verify()).problems).toEqual([]);
    // Once the packs are back, the next backup mends the damaged one.
    writeFileSync(first, good);
    cpSync(second.replace(closed.directory, whole), second);
    expect(await store.backup(target)).toMatchObject({ damagedPacks: [], packs: { copied: 2 } });
    await using mended = await openUnmanaged(target);
    expect((await mended.verify()).problems).toEqual([]);
    for (const [i, id] of closed.ids.entries()) {
      await expectRestores(mended.snapshot(id), closed.dumps[i] ?? '');
    }
  });

  test('of a row of its catalog is reported', async () => {
    const closed = await makeClosedStore(newPath);
    const catalog = new Database(join(closed.directory, 'catalog.sqlite'));
    catalog.exec("UPDATE snapshots SET note = 'x' WHERE sequence = 2");
    catalog.close();
    await using store = await openUnmanaged(closed.directory);
    const { problems } = await store.backup(newPath());
    expect(problems).toEqual([expect.stringMatching(/damaged row .* of table snapshots/)]);
  });
});

describe('a target', () => {
  test.each<[string, (path: string) => Promise<void>]>([
    ['a store of its own', makeStore],
    ['a file', makeFile],
    ['a link to a directory', linkToDirectory],
    ['a link to nowhere', linkToNowhere],
    ['a directory with something in it', makeStranger],
    ['packs that belong to nobody', makePacks],
    ['a catalog that belongs to nobody', makeCatalog],
  ])('that is or has %s is refused, and left alone', async (_, make) => {
    const store = await storeOf([1]);
    const target = newPath();
    await make(target);
    const before = describeTree(join(target, '..'), { topMode: false });
    await expectFailure(() => store.backup(target), { code: 'EXISTS' });
    expect(describeTree(join(target, '..'), { topMode: false })).toEqual(before);
  });

  test('in or of the store itself is misuse, and one in nothing is not found', async () => {
    const store = await storeOf([1]);
    const link = newPath();
    symlinkSync(store.directory, link);
    for (const target of [store.directory, join(store.directory, 'x'), join(link, 'x'), '']) {
      await expect(store.backup(target)).rejects.toThrow(TypeError);
    }
    await expectFailure(() => store.backup(join(newPath(), 'x')), { code: 'NOT_FOUND' });
    await expect(store.backup(5 as unknown as string)).rejects.toThrow(TypeError);
  });

  test.each(['packs', 'staging', 'index', 'packs/ab'])(
    'whose %s leads elsewhere gets nothing written there',
    async (name) => {
      const store = await storeOf([1, 2]);
      const target = newPath();
      await store.backup(target);
      const elsewhere = newPath();
      mkdirSync(elsewhere);
      const prefixes = readdirSync(join(target, 'packs'));
      const path = join(target, name === 'packs/ab' ? `packs/${prefixes[0] ?? ''}` : name);
      rmSync(path, { recursive: true });
      symlinkSync(elsewhere, path);
      await expectFailure(() => store.backup(target), { code: 'EXISTS' });
      expect(readdirSync(elsewhere)).toEqual([]);
    },
  );

  test('with a link in the place of a pack gets the pack, and the link is gone', async () => {
    const store = await storeOf([1]);
    const target = newPath();
    await store.backup(target);
    const [pack = ''] = packFiles(target);
    const elsewhere = newPath();
    writeFileSync(elsewhere, 'mine');
    rmSync(pack);
    symlinkSync(elsewhere, pack);
    await store.backup(target);
    expect(readFileSync(elsewhere, 'utf8')).toBe('mine');
    await expectBackup(target, [1]);
  });

  test('that was captured into is not written over', async () => {
    const store = await storeOf([1, 2]);
    const target = newPath();
    await store.backup(target);
    const copy = await openUnmanaged(target);
    await copy.timeline('t').capture({ images: dump(5) });
    await copy.close();
    await expectFailure(() => store.backup(target), { code: 'EXISTS', message: /what the store/ });
    // As many in both, and others.
    await store.timeline('t').capture({ images: dump(6) });
    await store.timeline('t').capture({ images: dump(7) });
    await expectFailure(() => store.backup(target), { code: 'EXISTS', message: /what the store/ });
    await expectBackup(target, [1, 2, 5]);
  });

  test('of collections that a lost catalog knew is brought up to date after a repair', async () => {
    const store = await storeOf([1, 2, 3]);
    const target = newPath();
    for (const snapshot of store.timeline('t').list().slice(0, 2)) {
      await snapshot.remove();
      await store.collect({ wasteThreshold: 0 });
    }
    await store.backup(target);
    await store.close();
    for (const suffix of ['', '-wal', '-shm']) {
      rmSync(join(store.directory, `catalog.sqlite${suffix}`), { force: true });
    }
    await SnapshotStore.repair(store.directory);
    const repaired = await openStore(store.directory);
    await repaired.timeline('t').capture({ images: dump(4) });
    await repaired.backup(target);
    await expectBackup(target, [3, 4]);
  });

  test('that somebody has opened, or backs up into, is LOCKED', async () => {
    const store = await storeOf([1]);
    const target = newPath();
    await store.backup(target);
    const before = storeState(target);
    const other = await openUnmanaged(target);
    await expectFailure(() => store.backup(target), { code: 'LOCKED' });
    await other.close();
    expect(storeState(target)).toEqual(before);
    const both = await Promise.allSettled([store.backup(target), store.backup(target)]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const failed = both.find((result) => result.status === 'rejected');
    expect(failed?.reason).toMatchObject({ code: 'LOCKED' });
    await expectBackup(target, [1]);
  });

  test('with a -wal that a dead process left loses nothing of it', async () => {
    const store = await storeOf([1]);
    const target = newPath();
    await store.backup(target);
    // Of another process: SQLite's locks are this process's own.
    const task = { directory: target, timeline: 'u', first: 1, count: 1, work: newPath() };
    mkdirSync(task.work);
    const child = startChild({ ...task, stay: true });
    await child.said('captured');
    await child.kill();
    expect(statSync(join(target, 'catalog.sqlite-wal')).size).toBeGreaterThan(0);
    await expectFailure(() => store.backup(target), { code: 'EXISTS', message: /: u/ });
    await using copy = await openUnmanaged(target);
    await expectRestores(copy.snapshot('u@1'), dump(1));
  });
});

async function makeStore(path: string): Promise<void> {
  const store = await openUnmanaged(path, { create: true });
  await store.timeline('t').capture({ images: dump(8) });
  await store.close();
}

function makeWith(path: string, name: string): void {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, name), 'x');
}

function makeFile(path: string): Promise<void> {
  writeFileSync(path, 'x');
  return Promise.resolve();
}

function makeStranger(path: string): Promise<void> {
  makeWith(path, 'x');
  return Promise.resolve();
}

function makePacks(path: string): Promise<void> {
  makeWith(join(path, 'packs', 'ab'), 'y');
  return Promise.resolve();
}

function makeCatalog(path: string): Promise<void> {
  makeWith(path, 'catalog.sqlite');
  return Promise.resolve();
}

function linkToNowhere(path: string): Promise<void> {
  symlinkSync('nowhere', path);
  return Promise.resolve();
}

function linkToDirectory(path: string): Promise<void> {
  const directory = newPath();
  mkdirSync(directory);
  symlinkSync(directory, path);
  return Promise.resolve();
}
