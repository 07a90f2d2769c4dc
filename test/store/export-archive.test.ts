/**
 * Snapshots as archives: what was imported comes out member for member and byte for byte, what came
 * from directories as an archive that GNU tar and an import read back.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  createWriteStream,
  existsSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import type { ExportOptions, Snapshot, SnapshotStore } from '../../src/index.ts';
import { expectFailure } from '../support/failures.ts';
import { systemError, watchedFiles } from '../support/faulty-files.ts';
import { listTree } from '../support/listing.ts';
import { decompressed, rawTar } from '../support/made-archives.ts';
import { makeDump } from '../support/made-dumps.ts';
import {
  containerdShop,
  crioShop,
  extract,
  setXattr,
  shop,
  shopUpper,
} from '../support/shop-archives.ts';
import { openStore } from '../support/stores.ts';
import { packFiles } from '../support/store-contents.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { expectSameTree } from '../support/trees.ts';

const newPath = temporaryPaths();

async function newStore(): Promise<SnapshotStore> {
  return await openStore(newPath(), { workers: 0 });
}

/** A new empty directory for an export, so that what is left in it can be seen. */
function newDirectory(): string {
  const path = newPath();
  mkdirSync(path);
  return path;
}

async function exported(snapshot: Snapshot, options: ExportOptions = {}): Promise<Buffer> {
  const path = join(newDirectory(), 'archive');
  await snapshot.export(path, options);
  expect(readdirSync(dirname(path))).toEqual(['archive']);
  return readFileSync(path);
}

async function imported(store: SnapshotStore, archive: Buffer): Promise<Snapshot> {
  const path = newPath();
  writeFileSync(path, archive);
  return await store.timeline('t').import(path);
}

describe('an archive that was imported', () => {
  test('comes out byte for byte, however it is compressed', async () => {
    const store = await newStore();
    for (const number of [1, 2, 3]) await store.timeline('t').import(shop(number));
    for (const number of [1, 2, 3]) {
      const archive = await exported(store.snapshot(`t@${number}`), { compression: 'none' });
      expect(archive.equals(readFileSync(shop(number)))).toBe(true);
    }
    const original = readFileSync(shop(2));
    const unpackers = { gzip: 'gunzip', zstd: 'unzstd' } as const;
    for (const compression of ['gzip', 'zstd'] as const) {
      const archive = await exported(store.snapshot('t@2'), { compression });
      expect(archive.length).toBeLessThan(original.length / 2);
      const limit = { maxBuffer: 1 << 28, input: archive };
      expect(execFileSync(unpackers[compression], ['-c'], limit).equals(original)).toBe(true);
    }
    const usual = await exported(store.snapshot('t@2'));
    expect((await decompressed(usual)).equals(original)).toBe(true);
    expect(usual.subarray(0, 4).toString('hex')).toBe('28b52ffd');
  });

  test('goes to a stream, which is ended', async () => {
    const store = await newStore();
    const snapshot = await store.timeline('t').import(shop(1));
    const path = newPath();
    const stream = createWriteStream(path, { highWaterMark: 1000 });
    await snapshot.export(stream, { compression: 'none' });
    expect(stream.writableFinished).toBe(true);
    expect(readFileSync(path).equals(readFileSync(shop(1)))).toBe(true);
  });

  test('comes out of a store that is only read, and of a removed snapshot', async () => {
    const { directory } = await newStore();
    const store = await openStore(directory, { workers: 0 });
    const snapshot = await store.timeline('t').import(shop(1));
    await snapshot.remove();
    const reader = await openStore(directory, { readOnly: true, workers: 0 });
    const archive = await exported(reader.snapshot('t@1'), { compression: 'none' });
    expect(archive.equals(readFileSync(shop(1)))).toBe(true);
  });

  test('of CRI-O comes out byte for byte', async () => {
    const archive = crioShop(newPath());
    const snapshot = await imported(await newStore(), archive);
    const again = await exported(snapshot, { compression: 'none' });
    expect(again.equals(archive)).toBe(true);
  });

  test('of containerd comes out member for member, its layer equal but for its gzip', async () => {
    const archive = containerdShop(newPath());
    const store = await newStore();
    const again = await exported(await imported(store, archive), { compression: 'none' });
    const [actual, expected] = [again, archive].map((tar) => extract(tar, newPath()));
    for (const bundle of [actual!, expected!]) {
      const layer = join(bundle, 'rootfs-diff.tar');
      writeFileSync(layer, await decompressed(readFileSync(layer)));
      utimesSync(layer, 0, 0);
    }
    for (const bundle of [actual!, expected!]) utimesSync(bundle, 0, 0);
    expect(listTree(actual!)).toEqual(listTree(expected!));
    const namesOf = (tar: Buffer): string =>
      execFileSync('tar', ['-tf', '-'], { input: tar, encoding: 'utf8' });
    expect(namesOf(again)).toBe(namesOf(archive));
  });

  test('keeps members that nobody knows, and volumes', async () => {
    const inventory = readFileSync(join(makeDump(newPath(), 1), 'inventory.img'));
    const archive = rawTar(
      { name: 'checkpoint/inventory.img', content: inventory },
      { name: 'volumes/data.tar', content: rawTar({ name: 'a', content: 'in a volume' }) },
      { name: 'of.tomorrow/x', content: 'unknown', mode: 0o4711, owner: 77 },
      { name: 'empty/', type: '5' },
    );
    const snapshot = await imported(await newStore(), archive);
    expect((await exported(snapshot, { compression: 'none' })).equals(archive)).toBe(true);
  });
});

/** A directory with whatever a tar has its troubles with; needs root. */
function makeUpper(root: string): string {
  mkdirSync(join(root, 'directory'), { recursive: true });
  const long = join(root, 'long'.repeat(40));
  mkdirSync(long);
  writeFileSync(join(long, 'n'.repeat(200)), 'long');
  const latin = Buffer.concat([Buffer.from(`${root}/latin`), Buffer.from([0xe4, 0x0a, 0x3d])]);
  writeFileSync(latin, 'no UTF-8');
  writeFileSync(join(root, 'ünïcode'), Buffer.alloc(10_000, 'u'));
  linkSync(join(root, 'ünïcode'), join(root, 'ünïcode too'));
  symlinkSync('../../' + 'x'.repeat(150), join(root, 'link'));
  lutimesSync(join(root, 'link'), 5, 5.25);
  execFileSync('mkfifo', ['-m', '640', join(root, 'fifo')]);
  execFileSync('mknod', ['-m', '600', join(root, 'device'), 'b', '259', '70000']);
  execFileSync('mknod', ['-m', '0', join(root, 'whiteout'), 'c', '0', '0']);
  linkSync(join(root, 'whiteout'), join(root, 'whiteout too'));
  execFileSync('chown', ['3000000:4000000000', join(root, 'ünïcode')]);
  chmodSync(join(root, 'ünïcode'), 0o6755);
  setXattr(join(root, 'directory'), 'trusted.overlay.opaque', 'y');
  setXattr(join(root, 'ünïcode'), 'user.with = and %', 'value\n');
  setXattr(join(root, 'ünïcode'), 'user.empty', '');
  execFileSync('truncate', ['-s', '3000001', join(root, 'sparse')]);
  execFileSync('touch', ['-d', '1960-01-01 00:00:00.25 UTC', join(root, 'sparse')]);
  return root;
}

const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write('SKIPPED: not root, exports of upper directories\n');

describe('a snapshot of directories', () => {
  test.skipIf(!isRoot)('is an archive that GNU tar unpacks to the same listing', async () => {
    const upper = makeUpper(newPath());
    const images = makeDump(newPath(), 1);
    const store = await newStore();
    const snapshot = await store.timeline('t').capture({ images, files: upper });
    const bundle = extract(await exported(snapshot, { compression: 'none' }), newPath());
    expect(readdirSync(bundle).sort()).toEqual(['checkpoint', 'rootfs-diff.tar']);
    expectSameTree(join(bundle, 'checkpoint'), images);
    const files = extract(join(bundle, 'rootfs-diff.tar'), newPath());
    expect(listTree(files, { holes: false })).toEqual(listTree(upper, { holes: false }));
  });

  test.skipIf(!isRoot)('goes on as the same snapshot when it is imported', async () => {
    const upper = shopUpper(newPath());
    const store = await newStore();
    const images = makeDump(newPath(), 1);
    const snapshot = await store.timeline('t').capture({ images, files: upper });
    const again = await imported(store, await exported(snapshot));
    // The tree is new, and the headers of the archive; all pages are there already.
    expect(again.sizes.new.bytes).toBeLessThan(200_000);
    const [before, after] = [newPath(), newPath()];
    const copies = [newPath(), newPath()] as const;
    await snapshot.restore(copies[0], { files: before });
    await again.restore(copies[1], { files: after });
    expect(listTree(after, { holes: false })).toEqual(listTree(before, { holes: false }));
    expectSameTree(copies[1], copies[0]);
  });

  test('is the same archive each time, and has no files where none were captured', async () => {
    const store = await newStore();
    const images = makeDump(newPath(), 1);
    mkdirSync(join(images, 'criu.work'), { mode: 0o750 });
    writeFileSync(join(images, 'criu.work/dump.log'), 'log\n');
    const snapshot = await store.timeline('t').capture({ images, takenAt: new Date(5000) });
    const archive = await exported(snapshot, { compression: 'none' });
    expect((await exported(snapshot, { compression: 'none' })).equals(archive)).toBe(true);
    const bundle = extract(archive, newPath());
    expect(readdirSync(bundle)).toEqual(['checkpoint']);
    expectSameTree(join(bundle, 'checkpoint'), images);
    const listing = listTree(bundle, { holes: false });
    expect(listing.slice(1).every((line) => line.includes('"mtime": "5000000000"'))).toBe(true);
  });
});

describe('an export to a file', () => {
  test('is made in the staging area, which is cleared after a crash, or apart', async () => {
    const made: string[] = [];
    const files = watchedFiles((call, [path]) => {
      if (call === 'open' && String(path).endsWith('.compressed')) made.push(String(path));
    });
    const store = await openStore(newPath(), { workers: 0, files });
    await imported(store, containerdShop(newPath()));
    await exported(store.snapshot('t@1'));
    const reader = await openStore(store.directory, { readOnly: true, workers: 0, files });
    await exported(reader.snapshot('t@1'));
    const staging = join(store.directory, 'staging');
    expect(made.map((path) => path.startsWith(`${staging}/`))).toEqual([true, true, false, false]);
    expect(readdirSync(staging).flatMap((name) => readdirSync(join(staging, name)))).toEqual([]);
    for (const path of made) expect(existsSync(dirname(path))).toBe(false);
  });

  test('does not replace what comes to be there in the last moment', async () => {
    const path = join(newDirectory(), 'archive');
    const files = watchedFiles((call, [, to]) => {
      if (call === 'link' && to === path) writeFileSync(path, 'mine');
    });
    const store = await openStore(newPath(), { workers: 0, files });
    const snapshot = await store.timeline('t').import(shop(1));
    await expectFailure(() => snapshot.export(path), { code: 'EXISTS', file: path });
    expect(readFileSync(path, 'utf8')).toBe('mine');
    expect(readdirSync(dirname(path))).toEqual(['archive']);
  });

  test('gets there where there are no links, and not over anything', async () => {
    const files: Files = {
      ...nodeFiles,
      link: (from, to) => {
        if (String(from).endsWith('.partial')) throw systemError('EPERM', 'link');
        nodeFiles.link(from, to);
      },
    };
    const store = await openStore(newPath(), { workers: 0, files });
    const snapshot = await store.timeline('t').import(shop(1));
    const archive = await exported(snapshot, { compression: 'none' });
    expect(archive.equals(readFileSync(shop(1)))).toBe(true);
  });
});

describe('an export that cannot be', () => {
  test('finds something in its place, and leaves it there', async () => {
    const store = await newStore();
    const snapshot = await store.timeline('t').import(shop(1));
    const path = newPath();
    writeFileSync(path, 'mine');
    await expectFailure(() => snapshot.export(path), { code: 'EXISTS', file: path });
    expect(readFileSync(path, 'utf8')).toBe('mine');
    const link = newPath();
    symlinkSync('nowhere', link);
    await expectFailure(() => snapshot.export(link), { code: 'EXISTS', file: link });
    const nowhere = join(newPath(), 'a');
    await expectFailure(() => snapshot.export(nowhere), { code: 'STORAGE', message: /ENOENT/ });
    expect(existsSync(dirname(nowhere))).toBe(false);
  });

  test('is misuse when it goes nowhere, or is compressed in no known way', async () => {
    const store = await newStore();
    const snapshot = await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    await expect(snapshot.export('')).rejects.toThrow(TypeError);
    await expect(snapshot.export(5 as unknown as string)).rejects.toThrow(TypeError);
    const packs = join(store.directory, 'packs');
    const before = readdirSync(packs);
    for (const path of [join(packs, 'x'), join(store.directory, 'x')]) {
      await expect(snapshot.export(path)).rejects.toThrow(TypeError);
    }
    expect(readdirSync(packs)).toEqual(before);
    const options = { compression: 'rar' as 'gzip' };
    await expect(snapshot.export(newPath(), options)).rejects.toThrow(RangeError);
  });

  test.each([[{}], [{ compression: 'none' as const }]])(
    'finds a damaged pack, and leaves no file: %j',
    async (options) => {
      const store = await newStore();
      const snapshot = await store.timeline('t').import(shop(1));
      const [pack] = packFiles(store.directory) as [string];
      const bytes = readFileSync(pack);
      // The pages of the table: most of the pack.
      bytes.fill(0xff, bytes.length >> 1, (bytes.length >> 1) + 5000);
      chmodSync(pack, 0o600);
      writeFileSync(pack, bytes);
      const target = newDirectory();
      const reader = await openStore(store.directory, { readOnly: true, workers: 0 });
      const damaged = reader.snapshot(snapshot.id);
      await expectFailure(() => damaged.export(join(target, 'a'), options), { code: 'CORRUPT' });
      expect(readdirSync(target)).toEqual([]);
    },
  );

  test('fails with the stream that it goes to', async () => {
    const store = await newStore();
    const snapshot = await store.timeline('t').import(shop(1));
    let taken = 0;
    const failing = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        taken += chunk.length;
        done(taken > 100_000 ? new Error('the reader went away') : null);
      },
    });
    await expect(snapshot.export(failing)).rejects.toThrow('the reader went away');
    const closing = new Writable({ write: (_chunk, _encoding, done) => done() });
    closing.destroy();
    await expect(snapshot.export(closing)).rejects.toThrow();
  });

  test('stops when its signal fires while its stream takes nothing', async () => {
    const store = await newStore();
    const snapshot = await store.timeline('t').import(shop(1));
    const controller = new AbortController();
    const stuck = new Writable({ write: () => setTimeout(() => controller.abort(), 1) });
    const { signal } = controller;
    await expectFailure(() => snapshot.export(stuck, { signal }), { code: 'ABORTED' });
  });

  test('stops when its signal fires, and leaves no file', async () => {
    const store = await newStore();
    const snapshot = await store.timeline('t').import(shop(1));
    for (const delay of [0, 1, 5]) {
      const target = newDirectory();
      const controller = new AbortController();
      setTimeout(() => controller.abort(), delay);
      const options = { signal: controller.signal, compression: 'gzip' } as const;
      const action = (): Promise<void> => snapshot.export(join(target, 'a'), options);
      await expectFailure(action, { code: 'ABORTED' });
      expect(readdirSync(target)).toEqual([]);
    }
  });
});
