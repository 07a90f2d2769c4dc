/** An incremental dump on top of a snapshot is what it is on top of its parent's directory. */
import { hash } from 'node:crypto';
import { cpSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePagemap, PE_PARENT, PE_PRESENT } from '../../src/criu/index.ts';
import type { FilePath } from '../../src/files/files.ts';
import { confirmUnchanged, openImageDirectory } from '../../src/images/index.ts';
import { watchedFiles } from '../support/faulty-files.ts';
import { fixture } from '../support/fixtures.ts';
import {
  entryNamed,
  flatFilesOf,
  type MadeRun,
  makeImageDirectory,
  makeIncrementalDump,
  openEntry,
  parentOf,
  readEntry,
} from '../support/image-directories.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** A space of one process. */
function space(runs: readonly MadeRun[]) {
  return [{ name: 'pagemap-1', pagesId: 1, runs }];
}

/** Digests by name: comparing bytes one by one takes a hundred times as long. */
function digestsOf(files: ReadonlyMap<string, Uint8Array>): string[][] {
  return Array.from(files, ([name, bytes]) => [name, hash('sha256', bytes)]);
}

/** A copy of one directory of a chain, where its link leads nowhere. */
function alone(path: string): string {
  const copy = join(newPath(), 'alone');
  cpSync(path, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

describe('a real chain', () => {
  it.each(['4.1', '4.2'])('of CRIU %s is the same on top of snapshots, to the byte', (version) => {
    let parent = openImageDirectory(fixture(`chain-${version}/1`));
    let files = flatFilesOf(parent);
    for (const number of [2, 3]) {
      const path = fixture(`chain-${version}/${number}`);
      const throughDisk = openImageDirectory(path);
      const expected = flatFilesOf(throughDisk);
      for (const place of [path, alone(path)]) {
        const child = openImageDirectory(place, { parent: parentOf(parent) });
        expect(child.chainDepth).toBe(0);
        expect(child.spaces).toEqual(throughDisk.spaces);
        const flat = flatFilesOf(child, files);
        expect(digestsOf(flat)).toEqual(digestsOf(expected));
        confirmUnchanged(child);
      }
      parent = openImageDirectory(path, { parent: parentOf(parent) });
      files = expected;
    }
  });

  it('inherits exactly the pages that its own pages files lack, in few runs', () => {
    const parent = parentOf(openImageDirectory(fixture('chain-4.2/1')));
    const child = openImageDirectory(fixture('chain-4.2/2'), { parent });
    for (const entry of child.entries.filter(({ space }) => space !== undefined)) {
      const file = join(child.path, Buffer.from(entry.name).toString());
      const inherited = entry.inherited?.length.reduce((sum, length) => sum + length, 0) ?? 0;
      expect(inherited * 4096 + readFileSync(file).length).toBe(entry.sizeBytes);
      const own = decodePagemap(readFileSync(join(child.path, `${entry.space?.name ?? ''}.img`)));
      const inParent = own.flags.filter((flags) => (flags & PE_PARENT) !== 0).length;
      expect(entry.inherited?.length.length ?? 0).toBeLessThanOrEqual(inParent);
    }
  });

  it('reads nothing below the parent link but the inventory', () => {
    const root = newPath();
    cpSync(fixture('chain-4.2'), root, { recursive: true, verbatimSymlinks: true });
    const parent = parentOf(openImageDirectory(join(root, '2')));
    const looks: string[] = [];
    const files = watchedFiles((call, [path]) => {
      if (call === 'open' || call === 'lstat') looks.push((path as FilePath).toString());
    });
    const child = openImageDirectory(join(root, '3'), { files, parent });
    for (const entry of child.entries) {
      if (entry.kind === 'file' && entry.inherited === undefined) readEntry(entry);
    }
    confirmUnchanged(child, files);
    const below = looks.filter((path) => path.startsWith(root) && !path.startsWith(`${root}/3`));
    // Looked at, and entered twice: to look at its inventory, and to open it.
    expect(below).toEqual([`${root}/2`, `${root}/2`, `${root}/2`]);
  });
});

describe('a made dump on top of a snapshot', () => {
  const pages = fc.array(
    fc.record({
      start: fc.integer({ min: 0, max: 20 }),
      count: fc.integer({ min: 1, max: 4 }),
      flags: fc.constantFrom(4, 6),
    }),
    { maxLength: 6 },
  );
  const generations = ['flags-absent', 'count-in-field-2', 'count-in-field-5'] as const;

  it('is the same as through the chain on disk, for any history of writes', () => {
    fc.assert(
      fc.property(
        fc.array(pages, { minLength: 2, maxLength: 4 }),
        fc.array(fc.constantFrom(0, 0, 0, 1, 2), { minLength: 4, maxLength: 4 }),
        fc.constantFrom(4096 as const, 16384 as const, 65536 as const),
        (history, upgrades, pageBytes) => {
          const root = newPath();
          const step = pageBytes / 4096;
          const memory = new Map<number, { seed: number; flags: number }>();
          let age = 0;
          let previous: string | undefined;
          let parent: ReturnType<typeof openImageDirectory> | undefined;
          let files = new Map<string, Uint8Array>();
          history.forEach((writes, seed) => {
            // CRIU is upgraded on the way, never downgraded: before 3.5 a snapshot forgets flags.
            age = Math.min(2, age + (upgrades[seed] ?? 0));
            const generation = generations[age] ?? 'count-in-field-5';
            for (const { start, count, flags } of writes) {
              for (let i = 0; i < count; i++) memory.set(start + i, { seed: seed + 1, flags });
            }
            const runs = [...memory]
              .toSorted((a, b) => a[0] - b[0])
              .map(([page, { seed: one, flags }]) => ({
                start: page * step,
                count: 1,
                seed: one,
                flags: generation === 'flags-absent' ? PE_PRESENT : flags,
              }));
            const made = { spaces: space(runs), generation, pageBytes };
            const full = makeImageDirectory(join(root, `full-${seed}`), made);
            const target = join(root, `chain-${seed}`);
            previous = previous === undefined ? full : makeIncrementalDump(previous, full, target);
            const throughDisk = openImageDirectory(previous, { pageBytes });
            const options = parent && { parent: parentOf(parent) };
            const child = openImageDirectory(previous, { ...options, pageBytes });
            const flat = flatFilesOf(child, files);
            expect(digestsOf(flat)).toEqual(digestsOf(flatFilesOf(throughDisk)));
            expect(child.spaces).toEqual(throughDisk.spaces);
            parent = child;
            files = flat;
          });
          rmSync(root, { recursive: true });
        },
      ),
      { numRuns: 60 },
    );
  });

  const full = [
    { start: 16, count: 4, flags: 6 },
    { start: 20, count: 4 },
    { start: 100, count: 2 },
  ];
  const parent = parentOf(
    openImageDirectory(makeImageDirectory(newPath(), { spaces: space(full) })),
  );
  const child = () =>
    makeImageDirectory(newPath(), {
      parent: '../gone',
      spaces: space([
        { start: 10, count: 1, seed: 2 },
        { start: 17, count: 6, flags: PE_PARENT },
        { start: 23, count: 1, seed: 2 },
        { start: 100, count: 2, flags: PE_PARENT },
      ]),
    });

  it('says where its pages are in the snapshot, in runs that span differences of flags', () => {
    const directory = openImageDirectory(child(), { parent });
    const { inherited } = entryNamed(directory, 'pages-1.img');
    expect(inherited).toEqual({
      start: Float64Array.of(1, 8),
      length: Float64Array.of(6, 2),
      parentPage: Float64Array.of(1, 8),
    });
    const { starts, counts, flags } = decodePagemap(
      readEntry(entryNamed(directory, 'pagemap-1.img')),
    );
    expect(Array.from(starts)).toEqual([10, 17, 20, 100]);
    expect(Array.from(counts)).toEqual([1, 3, 4, 2]);
    expect(Array.from(flags)).toEqual([4, 6, 4, 4]);
  });

  it('is restored at once where the flags of the snapshot are not known', () => {
    const spaces = new Map(
      [...parent.spaces].map(([name, { runStart, runLength }]) => [name, { runStart, runLength }]),
    );
    const directory = openImageDirectory(child(), { parent: { ...parent, spaces } });
    const { starts, flags } = decodePagemap(readEntry(entryNamed(directory, 'pagemap-1.img')));
    expect(Array.from(starts)).toEqual([10, 17, 100]);
    expect(Array.from(flags)).toEqual([4, 4, 4]);
  });

  it('refuses to read pages that are not its own', () => {
    const reader = openEntry(entryNamed(openImageDirectory(child(), { parent }), 'pages-1.img'));
    const page = new Uint8Array(4096);
    reader.read(page, 0);
    reader.read(page, 7 * 4096);
    reader.read(new Uint8Array(0), 4096);
    for (const position of [4096, 6 * 4096, 8 * 4096, 10 * 4096 - 4096, 1]) {
      expect(() => reader.read(page, position), `at ${position}`).toThrow(RangeError);
    }
    expect(() => reader.read(new Uint8Array(8192), 6 * 4096)).toThrow(/inherited/);
    reader.close();
  });

  it('may be a pre-dump, on top of one', () => {
    const first = makeImageDirectory(newPath(), {
      imageVersion: 0,
      uptimeUs: 1n,
      spaces: space(full),
    });
    const runs = [{ start: 100, count: 2, flags: PE_PARENT }];
    const made = { imageVersion: 0, uptimeUs: 2n, spaces: space(runs) };
    const second = openImageDirectory(makeImageDirectory(newPath(), made), {
      parent: parentOf(openImageDirectory(first)),
    });
    expect(second).toMatchObject({ kind: 'pre-dump', dumpUptimeUs: 2n });
    expect(entryNamed(second, 'pages-1.img').inherited?.parentPage).toEqual(Float64Array.of(8));
  });

  it('has the page size of the snapshot where none of its own pages tells', () => {
    const made = { pageBytes: 65536, spaces: space([{ start: 32, count: 3, seed: 1 }]) } as const;
    const first = openImageDirectory(makeImageDirectory(newPath(), made));
    const runs = [{ start: 48, count: 2, flags: PE_PARENT }];
    const second = openImageDirectory(makeImageDirectory(newPath(), { spaces: space(runs) }), {
      parent: parentOf(first),
    });
    expect(second.pageBytes).toBe(65536);
    expect(second.spaces[0]?.pageCount).toBe(32);
    expect(entryNamed(second, 'pages-1.img').inherited?.parentPage).toEqual(Float64Array.of(16));
  });

  const links: [string, string | Buffer][] = [
    ['nowhere', '../gone'],
    ['to itself', 'parent'],
    ['back to the dump', '.'],
    ['to a file', 'inventory.img'],
    ['to a directory that is no dump', '/proc/self'],
    ['to what is not UTF-8', Buffer.from([0xff])],
  ];

  it.each(links)('does not care for a link that leads %s', (_, target) => {
    const path = child();
    rmSync(join(path, 'parent'));
    symlinkSync(target, join(path, 'parent'));
    const directory = openImageDirectory(path, { parent });
    expect(directory.spaces[0]?.pageCount).toBe(10);
    confirmUnchanged(directory);
  });

  it('does not care for a link into a loop of links', () => {
    const root = newPath();
    for (const [name, next] of [
      ['1', '../2'],
      ['2', '../1'],
    ] as const) {
      const runs = [{ start: 100, count: 2, flags: PE_PARENT }];
      makeImageDirectory(join(root, name), { parent: next, spaces: space(runs) });
    }
    expect(() => openImageDirectory(join(root, '1'))).toThrow(/form a loop/);
    const directory = openImageDirectory(join(root, '1'), { parent });
    expect(entryNamed(directory, 'pages-1.img').inherited?.length).toEqual(Float64Array.of(2));
  });
});
