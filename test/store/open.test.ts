/** Opening, creating and closing a store, and what stands in the way of that. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { SnapshotStore, OpenOptions } from '../../src/index.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { runChild } from '../support/children.ts';
import { expectFailure } from '../support/failures.ts';
import { watchedFiles } from '../support/faulty-files.ts';
import { canMount, mountBind } from '../support/mounts.ts';
import { openRaw } from '../support/made-catalogs.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { storeState } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { describeTree } from '../support/trees.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

/** Rewrites format.json of a closed store, with a right checksum. */
async function rewriteFormat(directory: string, change: object): Promise<void> {
  const file = join(directory, 'format.json');
  const { checksum, ...format } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  expect(checksum).toMatch(/^[0-9a-f]{16}$/);
  const changed = { ...format, ...change };
  const bytes = new TextEncoder().encode(JSON.stringify(changed));
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  const hex = Buffer.from(digest).toString('hex').slice(0, 16);
  rmSync(file);
  writeFileSync(file, JSON.stringify({ ...changed, checksum: hex }));
}

async function closedStore(): Promise<string> {
  const directory = newPath();
  const store = await openUnmanaged(directory, { create: true });
  await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
  await store.close();
  return directory;
}

describe('creating a store', () => {
  test('makes directories that nobody else may enter, whatever the umask', async () => {
    const umask = process.umask(0);
    onTestFinished(() => void process.umask(umask));
    const directory = join(newPath(), 'below', 'it');
    const store = await openStore(directory);
    await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    const lines = describeTree(directory).slice(1);
    expect(lstatSync(directory).mode & 0o777).toBe(0o700);
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) expect(line).toMatch(/^(directory 0700|file 0[46]00) /);
  });

  test('takes an empty directory, and narrows its mode', async () => {
    const directory = newPath();
    mkdirSync(directory, { mode: 0o755 });
    await openStore(directory);
    expect(lstatSync(directory).mode & 0o777).toBe(0o700);
  });

  test('opens the store that is there already, with all that is in it', async () => {
    const directory = await closedStore();
    const before = storeState(directory);
    const store = await openStore(directory);
    expect(store.timeline('t').list()).toHaveLength(1);
    expect(storeState(directory).rows).toEqual(before.rows);
  });

  test('refuses a directory with something else in it, and leaves it alone', async () => {
    const directory = newPath();
    mkdirSync(directory, { mode: 0o755 });
    writeFileSync(join(directory, 'letter'), 'x');
    const before = describeTree(directory);
    const open = () => openUnmanaged(directory, { create: true });
    await expectFailure(open, { code: 'EXISTS', file: directory, message: /letter/ });
    expect(describeTree(directory)).toEqual(before);
  });

  test('refuses what is no directory', async () => {
    const file = newPath();
    writeFileSync(file, 'x');
    const open = (path: string) => () => openUnmanaged(path, { create: true });
    await expectFailure(open(file), { code: 'NOT_FOUND', file, message: /not a directory/ });
    await expectFailure(open(join(file, 'below')), { code: 'STORAGE', message: /ENOTDIR/ });
    expect(readFileSync(file, 'utf8')).toBe('x');
  });

  test('goes on where a creation was cut off', async () => {
    const directory = newPath();
    for (const name of ['packs', 'leases', 'staging/0']) {
      mkdirSync(join(directory, name), { recursive: true });
    }
    writeFileSync(join(directory, 'leases', '0.lease'), '');
    writeFileSync(join(directory, 'staging', '0', '1.json'), '{');
    const store = await openStore(directory);
    const images = makeDump(newPath(), 1);
    await expectRestores(await store.timeline('t').capture({ images }), images);
    expect(readdirSync(join(directory, 'staging'))).toHaveLength(1);
  });

  test.each([/format\.json$/, /catalog\.sqlite$/, /packs$/, /\.lease$/, /1\.json$/])(
    'joins a creator that was faster, if only before the first call with %s',
    async (moment) => {
      const task = { timeline: 't', first: 0, count: 0, work: newPath() };
      const directory = newPath();
      let isMade = false;
      const files = watchedFiles((_, [path]) => {
        if (isMade || !moment.test(String(path))) return;
        isMade = true;
        runChild({ ...task, directory });
      });
      const store = await openStore(directory, { files });
      expect(isMade).toBe(true);
      const images = makeDump(newPath(), 1);
      await expectRestores(await store.timeline('t').capture({ images }), images);
    },
  );

  test('refuses file systems on which SQLite is not safe, unless told otherwise', async () => {
    const files = { ...nodeFiles, space: () => ({ freeBytes: 2 ** 40, type: 0x6969 }) };
    const directory = newPath();
    const open = (options: OpenOptions) =>
      openUnmanaged(directory, { create: true, files, ...options });
    await expectFailure(() => open({}), { code: 'STORAGE', file: directory, message: /NFS/ });
    expect(readdirSync(directory)).toEqual([]);
    const store = await open({ anyFileSystem: true });
    await store.close();
  });

  test('refuses a disk that is almost full', async () => {
    const files = { ...nodeFiles, space: () => ({ freeBytes: 1000, type: 0xef53 }) };
    const directory = newPath();
    const open = () => openUnmanaged(directory, { create: true, files });
    await expectFailure(open, { code: 'STORAGE', file: directory, message: /1000 bytes are free/ });
    expect(readdirSync(directory)).toEqual([]);
  });

  // SQLite's own limit is 512 bytes.
  test('ends with an error, not in a loop, when a path is too long for SQLite', async () => {
    const root = newPath();
    const directory = join(root, ...Array.from({ length: 8 }, () => 'x'.repeat(80)));
    let leases = 0;
    const files = {
      ...nodeFiles,
      open: (...values: Parameters<typeof nodeFiles.open>) => {
        if (values[0].toString().endsWith('.lease') && ++leases > 20) {
          throw new Error('more than 20 leases for one opening');
        }
        return nodeFiles.open(...values);
      },
    };
    const open = () => openUnmanaged(directory, { create: true, files });
    await expectFailure(open, { code: 'STORAGE' });
    expect(leases).toBeLessThan(20);
  });
});

describe('opening a store', () => {
  test('finds none where there is none, and makes nothing', async () => {
    const directory = newPath();
    const open = (options: OpenOptions = {}) => openUnmanaged(directory, options);
    await expectFailure(open, { code: 'NOT_FOUND', file: directory });
    await expectFailure(() => open({ readOnly: true }), { code: 'NOT_FOUND', file: directory });
    expect(existsSync(directory)).toBe(false);
    mkdirSync(directory);
    await expectFailure(open, { code: 'NOT_FOUND', file: directory });
    await expectFailure(() => open({ readOnly: true }), { code: 'NOT_FOUND', file: directory });
    expect(readdirSync(directory)).toEqual([]);
  });

  test('is possible twice, and each sees what the other commits', async () => {
    const directory = newPath();
    const first = await openStore(directory);
    const second = await openStore(directory);
    const images = makeDump(newPath(), 1);
    const snapshot = await first.timeline('t').capture({ images });
    await expectRestores(second.snapshot(snapshot.id), images);
    const next = await second.timeline('t').capture({ images: makeDump(newPath(), 2) });
    expect(first.timeline('t').latest()?.id).toBe(next.id);
    expect(next).toMatchObject({ sequence: 2, parentId: snapshot.id });
  });

  test('follows a symbolic link to the store', async () => {
    const directory = await closedStore();
    const link = newPath();
    symlinkSync(directory, link);
    const store = await openStore(link);
    expect(store.directory).toBe(directory);
    expect(store.timelines()).toHaveLength(1);
  });

  test.each<[string, OpenOptions, typeof RangeError | typeof TypeError]>([
    ['compressionLevel 0', { compressionLevel: 0 }, RangeError],
    ['compressionLevel 20', { compressionLevel: 20 }, RangeError],
    ['compressionLevel 1.5', { compressionLevel: 1.5 }, RangeError],
    ['cacheBytes -1', { cacheBytes: -1 }, RangeError],
    ['cacheBytes NaN', { cacheBytes: Number.NaN }, RangeError],
    ['cacheBytes Infinity', { cacheBytes: Infinity }, RangeError],
    ['cacheBytes as text', { cacheBytes: '5' as unknown as number }, TypeError],
    ['lockTimeoutMs -1', { lockTimeoutMs: -1 }, RangeError],
    ['create and readOnly', { create: true, readOnly: true }, TypeError],
  ])('is misuse with %s', async (_, options, expected) => {
    const directory = newPath();
    const open = () => openUnmanaged(directory, { create: true, ...options });
    await expect(open()).rejects.toThrow(expected);
    expect(existsSync(directory)).toBe(false);
  });

  test('is misuse without a path', async () => {
    for (const path of ['', undefined, 5]) {
      await expect(openUnmanaged(path as string)).rejects.toThrow(TypeError);
    }
  });

  test('works with caches of no bytes', async () => {
    const store = await openStore(newPath(), { cacheBytes: 0 });
    const images = makeDump(newPath(), 1, 400);
    await expectRestores(await store.timeline('t').capture({ images }), images);
    expect((await store.timeline('t').capture({ images })).sizes.new.pages).toBe(0);
  });

  test.each([
    ['a newer version', { version: 2 }, /version 2/],
    ['an unknown feature', { features: ['encryption'] }, /'encryption'/],
  ])('refuses a store of %s, and leaves it as it is', async (_, change, message) => {
    const directory = await closedStore();
    await rewriteFormat(directory, change);
    const before = describeTree(directory);
    for (const options of [{}, { create: true }, { readOnly: true }]) {
      const file = join(directory, 'format.json');
      const open = () => openUnmanaged(directory, options);
      await expectFailure(open, { code: 'UNSUPPORTED_VERSION', file, message });
    }
    expect(describeTree(directory)).toEqual(before);
  });
});

describe('a store opened for reading', () => {
  test('lists, restores and verifies, and changes nothing on the disk', async () => {
    const directory = await closedStore();
    const before = describeTree(directory);
    const store = await openStore(directory, { readOnly: true });
    const [snapshot] = store.timeline('t').list();
    await snapshot?.restore(newPath());
    expect((await store.verify()).problems).toEqual([]);
    const capture = () => store.timeline('t').capture({ images: makeDump(newPath(), 2) });
    await expectFailure(capture, { code: 'READ_ONLY', file: directory });
    await expectFailure(() => snapshot?.remove(), { code: 'READ_ONLY' });
    await store.close();
    expect(describeTree(directory)).toEqual(before);
  });

  test('takes no lock away from another handle of the same process', async () => {
    const writer = await openStore(newPath());
    await writer.timeline('t').capture({ images: makeDump(newPath(), 1) });
    const { ino } = lstatSync(join(writer.directory, 'catalog.sqlite'));
    const locks = () =>
      readFileSync('/proc/locks', 'utf8')
        .split('\n')
        .filter((line) => line.includes(`${process.pid} `) && line.includes(`:${ino} `));
    expect(locks()).not.toEqual([]);
    const before = locks().length;
    await (await openStore(writer.directory, { readOnly: true })).close();
    expect(locks()).toHaveLength(before);
  });

  test('leaves no temporary directory behind', async () => {
    const directory = await closedStore();
    const temporary = newPath();
    mkdirSync(temporary);
    vi.stubEnv('TMPDIR', temporary);
    const store = await openStore(directory, { readOnly: true });
    expect(readdirSync(temporary)).toHaveLength(1);
    await store.close();
    expect(readdirSync(temporary)).toEqual([]);
    vi.unstubAllEnvs();
  });

  test('can be one that another handle has open, with its last commits in the -wal', async () => {
    const writer = await openStore(newPath());
    const images = makeDump(newPath(), 1);
    const { id } = await writer.timeline('t').capture({ images });
    expect(lstatSync(join(writer.directory, 'catalog.sqlite-wal')).size).toBeGreaterThan(0);
    const reader = await openStore(writer.directory, { readOnly: true });
    await expectRestores(reader.snapshot(id), images);
  });

  test('can be one that others commit to all the time', async () => {
    const writer = await openStore(newPath());
    const images = makeDump(newPath(), 1);
    const { id } = await writer.timeline('t').capture({ images });
    const raw = openRaw(join(writer.directory, 'catalog.sqlite'));
    let commits = 0;
    const files = {
      ...nodeFiles,
      copyApart: (from: string, to: string) => {
        nodeFiles.copyApart(from, to);
        raw.prepare('INSERT INTO leases VALUES (?, 0, 1)').run(`lease ${++commits}`);
      },
    };
    const reader = await openStore(writer.directory, { readOnly: true, files });
    // The catalog and its log, once each: what grew meanwhile is not waited for.
    expect(commits).toBe(2);
    await expectRestores(reader.snapshot(id), images);
  });

  test.skipIf(!canMount)('may be on a read-only file system', async () => {
    const directory = await closedStore();
    const mounted = newPath();
    mountBind(directory, mounted, 'ro');
    expect(() => chmodSync(mounted, 0o700)).toThrow(/EROFS/);
    const store = await openStore(mounted, { readOnly: true });
    await store.timeline('t').latest()?.restore(newPath());
    expect((await store.verify()).problems).toEqual([]);
    await store.close();
    const open = () => openUnmanaged(mounted);
    await expectFailure(open, { code: 'READ_ONLY', file: mounted, message: /read-only/ });
  });
});

describe('closing a store', () => {
  test('gives back its lease and its staging, and is the same when done twice', async () => {
    const store = await openStore(newPath());
    await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    const leases = () =>
      readdirSync(join(store.directory, 'leases')).filter((name) => name.endsWith('.lease'));
    expect(leases()).toHaveLength(1);
    await Promise.all([store.close(), store.close()]);
    await store.close();
    expect(leases()).toEqual([]);
    expect(readdirSync(join(store.directory, 'staging'))).toEqual([]);
  });

  test('waits for what is running', async () => {
    const store = await openStore(newPath());
    const images = makeDump(newPath(), 1, 2000);
    const running = store.timeline('t').capture({ images });
    await store.close();
    const { id } = await running;
    const again = await openStore(store.directory);
    await expectRestores(again.snapshot(id), images);
  });

  test('happens at the end of an `await using` block', async () => {
    const directory = newPath();
    let outside: SnapshotStore | undefined;
    {
      await using store = await openUnmanaged(directory, { create: true });
      outside = store;
      expect(store.timelines()).toEqual([]);
    }
    await expectFailure(() => outside.timelines(), { code: 'CLOSED', file: directory });
  });

  test('leaves no descriptor open', async () => {
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    for (let i = 0; i < 3; i++) {
      const store = await openUnmanaged(newPath(), { create: true });
      const snapshot = await store.timeline('t').capture({ images: makeDump(newPath(), i) });
      await snapshot.restore(newPath());
      await store.verify();
      await store.close();
    }
    expect(descriptors()).toBe(before);
  });
});
