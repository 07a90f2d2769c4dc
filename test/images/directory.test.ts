import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodePagemap, PE_PRESENT } from '../../src/criu/index.ts';
import { confirmUnchanged, openImageDirectory } from '../../src/images/index.ts';
import { fixture } from '../support/fixtures.ts';
import {
  entryNamed,
  filesOf,
  madePage,
  makeImageDirectory,
  openEntry,
  pagesByAddress,
  readEntry,
  textOf,
} from '../support/image-directories.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

const fullDumps = ['zoo-4.1', 'zoo-4.2'].flatMap((name) =>
  readdirSync(fixture(name)).map((one) => `${name}/${one}`),
);

describe('a full dump', () => {
  it.each([...fullDumps, 'chain-4.1/1', 'chain-4.2/1'])('%s reads as it is', (name) => {
    const directory = openImageDirectory(fixture(name));
    expect(directory).toMatchObject({ kind: 'restorable', pageBytes: 4096, chainDepth: 0 });
    expect(directory.criuRunId).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    expect(directory.entries.map((entry) => textOf(entry.name))).toEqual(
      readdirSync(fixture(name)).sort(),
    );
    for (const [file, bytes] of filesOf(directory)) {
      const entry = entryNamed(directory, file);
      expect(Buffer.compare(readEntry(entry), bytes), file).toBe(0);
    }
    confirmUnchanged(directory);
  });

  it('names the memory of its pages files', () => {
    const directory = openImageDirectory(fixture('zoo-4.2/001'));
    const names = ['pagemap-6921', 'pagemap-6925', 'pagemap-shmem-565', 'pagemap-shmem-566'];
    expect(directory.spaces.map((space) => space.name)).toEqual(names);
    const held = directory.entries.flatMap((entry) => entry.space?.name ?? []);
    expect(held.toSorted()).toEqual(names);
    for (const space of directory.spaces) {
      expect(space.runLength.reduce((sum, length) => sum + length, 0)).toBe(space.pageCount);
      expect(Array.from(space.runStart)).toEqual(
        Array.from(space.runStart).toSorted((a, b) => a - b),
      );
    }
  });
});

describe('a made dump', () => {
  const runs = [
    { start: 16, count: 2 },
    { start: 64, count: 3, flags: 6 },
    { start: 2 ** 52 - 16, count: 1 },
  ];

  it.each([4096, 16384, 65536] as const)('has its page size inferred: %d', (pageBytes) => {
    const spaces = [{ name: 'pagemap-1', pagesId: 1, runs }];
    const directory = openImageDirectory(makeImageDirectory(newPath(), { spaces, pageBytes }));
    expect(directory.pageBytes).toBe(pageBytes);
    const step = pageBytes / 4096;
    expect(directory.spaces[0]?.pageCount).toBe(6 * step);
    const pages = pagesByAddress(directory).get('pagemap-1');
    expect(pages?.size).toBe(6 * step);
    for (const [start, page] of pages ?? []) expect(page).toEqual(madePage(start));
  });

  it('joins runs that touch, whatever their flags are', () => {
    const touching = [
      { start: 1, count: 2 },
      { start: 3, count: 4, flags: 6 },
    ];
    const path = makeImageDirectory(newPath(), {
      spaces: [{ name: 'pagemap-1', pagesId: 1, runs: touching }],
    });
    const [space] = openImageDirectory(path).spaces;
    expect(Array.from(space?.runStart ?? [])).toEqual([1]);
    expect(Array.from(space?.runLength ?? [])).toEqual([6]);
  });

  it('may have no pages at all, and is then of 4096-byte pages', () => {
    const path = makeImageDirectory(newPath(), {
      spaces: [{ name: 'pagemap-shmem-4', pagesId: 1, runs: [] }],
    });
    const directory = openImageDirectory(path);
    expect(directory.pageBytes).toBe(4096);
    expect(entryNamed(directory, 'pages-1.img')).toMatchObject({ sizeBytes: 0 });
    expect(directory.spaces).toMatchObject([{ name: 'pagemap-shmem-4', pageCount: 0 }]);
  });

  it('may be a pre-dump', () => {
    const path = makeImageDirectory(newPath(), { imageVersion: 0 });
    const directory = openImageDirectory(path);
    expect(directory.kind).toBe('pre-dump');
    expect(directory.criuRunId).toBeUndefined();
  });

  it('keeps pages files that no pagemap names, unknown files and subdirectories', () => {
    const path = makeImageDirectory(newPath(), {});
    writeFileSync(join(path, 'pages-9.img'), 'whatever');
    mkdirSync(join(path, 'criu.work', 'deep'), { recursive: true, mode: 0o750 });
    writeFileSync(join(path, 'criu.work', 'dump.log'), 'log', { mode: 0o600 });
    chmodSync(join(path, 'criu.work', 'dump.log'), 0o4711);
    writeFileSync(join(path, 'criu.work.txt'), '');
    writeFileSync(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff, 0x80])]), 'raw');
    const directory = openImageDirectory(path);
    const names = directory.entries.map((entry) => Buffer.from(entry.name).toString('latin1'));
    expect(names).toEqual([
      'criu.work',
      'criu.work.txt',
      'criu.work/deep',
      'criu.work/dump.log',
      'inventory.img',
      'pages-9.img',
      '\xff\x80',
    ]);
    expect(entryNamed(directory, 'criu.work')).toMatchObject({ kind: 'directory', mode: 0o750 });
    expect(entryNamed(directory, 'criu.work/dump.log').mode).toBe(0o4711);
    expect(textOf(readEntry(entryNamed(directory, 'criu.work/dump.log')))).toBe('log');
    expect(textOf(readEntry(entryNamed(directory, 'pages-9.img')))).toBe('whatever');
    const raw = directory.entries.at(-1);
    expect(raw && textOf(readEntry(raw))).toBe('raw');
    expect(entryNamed(directory, 'criu.work').source).toBeUndefined();
    confirmUnchanged(directory);
  });

  it('is found through links in its path', () => {
    const path = makeImageDirectory(newPath(), {});
    const link = newPath();
    symlinkSync(path, link);
    expect(openImageDirectory(link).path).toBe(openImageDirectory(path).path);
  });

  it('reads in any slices, in any order, and only within its size', () => {
    const path = makeImageDirectory(newPath(), {
      spaces: [{ name: 'pagemap-1', pagesId: 1, runs: [{ start: 5, count: 3 }] }],
    });
    const entry = entryNamed(openImageDirectory(path), 'pages-1.img');
    expect(readEntry(entry, 1000)).toEqual(readEntry(entry));
    const reader = openEntry(entry);
    const target = new Uint8Array(4096);
    reader.read(target, 8192);
    expect(target).toEqual(madePage(7));
    reader.read(new Uint8Array(0), 12288);
    expect(() => reader.read(target, 8193)).toThrow(RangeError);
    expect(() => reader.read(target, -1)).toThrow(RangeError);
    reader.close();
    reader.close();
    expect(() => reader.read(target, 0)).toThrow(TypeError);
  });

  it('is read with the page size that the caller knows, if it fits', () => {
    const spaces = [{ name: 'pagemap-1', pagesId: 1, runs: [{ start: 16, count: 4 }] }];
    const path = makeImageDirectory(newPath(), { spaces, pageBytes: 16384 });
    expect(openImageDirectory(path, { pageBytes: 16384 }).pageBytes).toBe(16384);
    expect(() => openImageDirectory(path, { pageBytes: 4096 })).toThrow(/65536 bytes.*4 pages/);
    expect(() => openImageDirectory(path, { pageBytes: 5000 as 4096 })).toThrow(RangeError);
    expect(() => openImageDirectory(7 as unknown as string)).toThrow(TypeError);
  });

  it('may have holes where its pages are zero', () => {
    const path = newPath();
    cpSync(fixture('zoo-4.2/001'), path, { recursive: true });
    const pagemap = decodePagemap(readFileSync(join(path, 'pagemap-6921.img')));
    const file = join(path, `pages-${pagemap.pagesId}.img`);
    const { length } = readFileSync(file);
    truncateSync(file, 0);
    truncateSync(file, length);
    const directory = openImageDirectory(path);
    const entry = entryNamed(directory, `pages-${pagemap.pagesId}.img`);
    expect(readEntry(entry).every((byte) => byte === 0)).toBe(true);
    expect(pagemap.flags.every((flags) => (flags & PE_PRESENT) !== 0)).toBe(true);
  });
});
