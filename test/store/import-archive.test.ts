/**
 * Archives of container engines as snapshots: a real container of podman, however its exports come,
 * and the layouts of the other engines. What is restored is what the archive holds.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Progress, Snapshot, SnapshotStore } from '../../src/index.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectFailure, failureOf } from '../support/failures.ts';
import { listTree } from '../support/listing.ts';
import { chunksOf, importableWith } from '../support/made-archives.ts';
import {
  containerdShop,
  crioShop,
  extract,
  shop,
  shopFile,
  shopFiles,
  shopUpper,
} from '../support/shop-archives.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { expectSameTree } from '../support/trees.ts';

const newPath = temporaryPaths();

async function* streamOf(bytes: Uint8Array, sizes?: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunksOf(bytes, sizes)) {
    yield chunk;
    await Promise.resolve();
  }
}

function written(bytes: Uint8Array): string {
  const path = newPath();
  writeFileSync(path, bytes);
  return path;
}

async function newStore(): Promise<SnapshotStore> {
  return await openStore(newPath(), { workers: 0 });
}

/** Restores images and files; without holes, which a tar does not keep. */
async function restored(snapshot: Snapshot): Promise<{ images: string; files: string }> {
  const [images, files] = [newPath(), newPath()];
  await snapshot.restore(images, { files });
  return { images, files };
}

/** The directory itself is one that its owner can enter, which podman's is not. */
function expectSameImages(images: string, number: number): void {
  expectSameTree(images, expectedShop(number).images, { topMode: false });
}

interface ExpectedShop {
  readonly images: string;
  readonly listing: readonly string[];
}

const known = new Map<number, ExpectedShop>();

/** What GNU tar makes of an export. */
function expectedShop(number: number): ExpectedShop {
  const found = known.get(number);
  if (found !== undefined) return found;
  const images = join(extract(shop(number), newPath()), 'checkpoint');
  const listing = listTree(shopFiles(number, newPath()), { holes: false });
  known.set(number, { images, listing });
  return { images, listing };
}

/** Fails unless a snapshot is what an export of the shop holds. */
async function expectShop(snapshot: Snapshot, number: number): Promise<void> {
  const { images, files } = await restored(snapshot);
  expectSameImages(images, number);
  expect(listTree(files, { holes: false })).toEqual(expectedShop(number).listing);
}

describe('files of another host that an archive has', () => {
  async function restoredWith(hostFiles: Record<string, Uint8Array>): Promise<string> {
    const store = await openStore(newPath(), { workers: 0 });
    const path = newPath();
    const archive = importableWith(
      readFileSync(join(makeDump(newPath(), 1), 'inventory.img')),
      { name: 'etc/', type: '5', mode: 0o755 },
      { name: 'etc/hosts', content: 'of the other host'.repeat(999), mode: 0o640 },
      { name: 'etc/more', type: '1', link: 'etc/hosts' },
      { name: 'etc/name', type: '1', link: 'etc/hosts' },
      { name: 'etc/other', content: 'of the container'.repeat(999) },
      { name: 'etc/resolv.conf', type: '2', link: '/run/resolv.conf' },
    );
    writeFileSync(path, archive);
    const snapshot = await store.timeline('t').import(path);
    const files = newPath();
    const report = await snapshot.restore(newPath(), { files, hostFiles });
    expect(report.files?.missingHostFiles).toEqual([]);
    expect(readFileSync(join(files, 'etc/other'), 'utf8')).toBe('of the container'.repeat(999));
    return files;
  }

  test('are what they were, unless the caller puts others there', async () => {
    const files = await restoredWith({});
    expect(readFileSync(join(files, 'etc/hosts'), 'utf8')).toBe('of the other host'.repeat(999));
    expect(readlinkSync(join(files, 'etc/resolv.conf'))).toBe('/run/resolv.conf');
  });

  test('are those of the caller, in place of files, links and more names', async () => {
    const files = await restoredWith({
      '/etc/hosts': Buffer.from('hosts'),
      '/etc/name': Buffer.from('name'),
      '/etc/resolv.conf': Buffer.from('resolv'),
      '/etc': Buffer.from('a directory, passed over'),
      '/etc/none': Buffer.from('passed over'),
    });
    const found = readdirSync(join(files, 'etc')).map((name) => {
      const path = join(files, 'etc', name);
      const { mode } = lstatSync(path);
      const text = name === 'other' ? '' : readFileSync(path, 'utf8');
      return `${name} ${(mode & 0o7777).toString(8)} ${text}`;
    });
    expect(found.sort()).toEqual([
      'hosts 640 hosts',
      'more 640 hosts',
      expect.stringMatching(/^name \d+ name$/),
      expect.stringMatching(/^other \d+ $/),
      'resolv.conf 644 resolv',
    ]);
  });
});

describe('an export of podman', () => {
  const tar = readFileSync(shop(1));
  const zstd = (): Buffer => execFileSync('zstd', ['-qc'], { input: tar, maxBuffer: 1 << 28 });

  test.each<[string, () => string | AsyncGenerator<Uint8Array>]>([
    ['as a file', () => shop(1)],
    ['as a file in gzip', () => written(gzipSync(tar))],
    ['as a file in zstd', () => written(zstd())],
    ['as a stream', () => streamOf(tar)],
    ['as a stream of tiny chunks in zstd', () => streamOf(zstd(), [1, 7, 513, 64])],
    ['as a stream of chunks that no header fits in', () => streamOf(tar, [511, 100])],
  ])('%s comes back as its images and files', async (_name, archive) => {
    const store = await newStore();
    await expectShop(await store.timeline('t').import(archive()), 1);
    expect(readdirSync(join(store.directory, 'staging')).length).toBe(1);
    expect((await store.verify()).problems).toEqual([]);
  });

  test('gives its labels, and those of the caller before them', async () => {
    const store = await newStore();
    const labels = { mine: 'yes', 'org.criu.checkpoint.engine.name': 'other' };
    const takenAt = new Date(1000);
    const timeline = store.timeline('t');
    const first = await timeline.import(shop(1));
    const config = JSON.parse(
      execFileSync('tar', ['-xOf', shop(1), 'config.dump'], { encoding: 'utf8' }),
    ) as Record<string, string>;
    expect(first.labels).toMatchObject({
      'org.criu.checkpoint.engine.name': 'podman',
      'org.criu.checkpoint.container.name': config['name'],
      'org.criu.checkpoint.container.id': config['id'],
      'org.criu.checkpoint.rootfsImageName': config['rootfsImageName'],
      'org.criu.checkpoint.runtime.name': config['runtime'],
    });
    const second = await timeline.import(shop(2), { labels, takenAt });
    expect(second.labels).toMatchObject(labels);
    expect(second.takenAt).toEqual(takenAt);
  });

  test('costs little when the one before it is known', async () => {
    const store = await newStore();
    const timeline = store.timeline('t');
    await timeline.import(shop(1));
    for (const number of [2, 3]) {
      const snapshot = await timeline.import(shop(number));
      const [before, after] = [number - 1, number].map((at) => shopFile(at, 'data/db/table'));
      let changed = 0;
      for (let at = 0; at < after!.length; at += 4096) {
        if (!after!.subarray(at, at + 4096).equals(before!.subarray(at, at + 4096))) changed += 1;
      }
      expect(changed).toBeGreaterThan(0);
      const { stored, logical } = snapshot.sizes;
      const beyond = stored.bytes - 4096 * changed;
      expect(beyond / logical.bytes).toBeLessThan(0.02);
    }
    await expectShop(store.snapshot('t@2'), 2);
    await expectShop(store.snapshot('t@3'), 3);
  });

  test('is told of while it is read, up to its end', async () => {
    const store = await newStore();
    const seen: Progress[] = [];
    const onProgress = (progress: Progress): void => void seen.push(progress);
    await store.timeline('t').import(shop(1), { onProgress });
    const reading = seen.filter(({ phase }) => phase === 'archive');
    expect(reading.length).toBeGreaterThan(5);
    expect(reading.every(({ done, total }) => done < total && total === tar.length)).toBe(true);
  });

  test('may be read through a link, and is a file', async () => {
    const store = await newStore();
    const link = newPath();
    symlinkSync(shop(1), link);
    expect((await store.timeline('t').import(link)).sequence).toBe(1);
    const fifo = newPath();
    execFileSync('mkfifo', [fifo]);
    const timeline = store.timeline('u');
    const missing = { code: 'NOT_FOUND', file: newPath() } as const;
    await expectFailure(() => timeline.import(missing.file), missing);
    await expectFailure(() => timeline.import(fifo), { code: 'INVALID_IMAGE', file: fifo });
    await expect(timeline.import('')).rejects.toThrow(TypeError);
    await expect(timeline.import(5 as unknown as string)).rejects.toThrow(TypeError);
  });

  test('is refused without rights to write, and by a store that is closed', async () => {
    const { directory } = await newStore();
    const reader = await openStore(directory, { readOnly: true });
    await expectFailure(() => reader.timeline('t').import(shop(1)), { code: 'READ_ONLY' });
    const store = await newStore();
    await store.close();
    await expectFailure(() => store.timeline('t').import(shop(1)), { code: 'CLOSED' });
  });

  test('fails with whatever its stream fails with', async () => {
    const store = await newStore();
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield tar.subarray(0, 100_000);
      await Promise.resolve();
      throw Object.assign(new Error('the pipe broke'), { code: 'EPIPE', syscall: 'read' });
    };
    const error = await failureOf(() => store.timeline('t').import(failing()));
    expect(error).toMatchObject({ code: 'STORAGE' });
    expect(error.message).toContain('the pipe broke');
    expect(store.timelines()).toEqual([]);
  });
});

describe('an archive of another engine', () => {
  const pod = {
    'org.criu.checkpoint.container.name': 'counter',
    'org.criu.checkpoint.pod.name': 'shop-0',
    'org.criu.checkpoint.pod.namespace': 'trade',
  };

  test('of CRI-O is its images, its files and the labels of its pod', async () => {
    const store = await newStore();
    const snapshot = await store.timeline('t').import(streamOf(crioShop(newPath())));
    expect(snapshot.labels).toMatchObject({ 'org.criu.checkpoint.engine.name': 'cri-o', ...pod });
    await expectShop(snapshot, 1);
  });

  test('of containerd is its images, and its layer without names of whiteouts', async () => {
    const store = await newStore();
    const snapshot = await store.timeline('t').import(streamOf(containerdShop(newPath())));
    const engine = { 'org.criu.checkpoint.engine.name': 'containerd' };
    expect(snapshot.labels).toMatchObject({ ...engine, ...pod });
    const { images, files } = await restored(snapshot);
    expectSameImages(images, 1);
    // The attributes of overlayfs are not in a layer, but for the one that it has a name for.
    const isOpaque = (line: string): boolean => line.includes('trusted.overlay.opaque');
    const plain = (line: string): Record<string, unknown> => {
      const { xattrs: _, ...facts } = JSON.parse(line) as Record<string, unknown>;
      // The whiteouts were put into the layer just now, and into their directories.
      const isNew = /^\.?\/?srv\/(keep|drop|keep\/deleted.txt)$/.test(String(facts['path']));
      return isNew ? { ...facts, mtime: '' } : facts;
    };
    const [actual, expected] = [files, shopUpper(newPath())].map((directory) =>
      listTree(directory, { holes: false }),
    );
    // A layer says nothing of the root.
    expect(actual!.slice(1).map(plain)).toEqual(expected!.slice(1).map(plain));
    expect(actual!.filter(isOpaque).length).toBe(1);
  });
});

describe('a directory of a checkpoint', () => {
  test('of Docker is captured as it is, with what its runtime keeps there', async () => {
    const directory = join(extract(shop(1), newPath()), 'checkpoint');
    mkdirSync(join(directory, 'criu.work'));
    writeFileSync(join(directory, 'criu.work/dump.log'), 'log\n');
    const store = await newStore();
    const snapshot = await store.timeline('t').import(directory);
    const images = newPath();
    await snapshot.restore(images);
    expectSameTree(images, directory);
  });

  test('of runc may continue an archive', async () => {
    const store = await newStore();
    const timeline = store.timeline('t');
    const first = await timeline.import(shop(1));
    const directory = newPath();
    cpSync(join(extract(shop(2), newPath()), 'checkpoint'), directory, { recursive: true });
    const second = await timeline.import(directory);
    expect(second.parentId).toBe(first.id);
    const images = newPath();
    await second.restore(images);
    expectSameTree(images, directory, { topMode: false });
  });
});
