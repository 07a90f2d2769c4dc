import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePagemap, PE_LAZY, PE_PARENT, PE_PRESENT } from '../../src/criu/index.ts';
import { confirmUnchanged, openImageDirectory } from '../../src/images/index.ts';
import { fixture } from '../support/fixtures.ts';
import {
  entryNamed,
  filesOf,
  madePage,
  type MadeRun,
  makeImageDirectory,
  makeIncrementalDump,
  memoryOf,
  openEntry,
  pagesByAddress,
  readEntry,
  textOf,
} from '../support/image-directories.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** A space of one process. */
function space(runs: readonly MadeRun[], pagesId = 1) {
  return [{ name: 'pagemap-1', pagesId, runs }];
}

/** Rows of the flat pagemap of a directory. */
function flatRows(path: string): number[][] {
  const directory = openImageDirectory(path);
  const { starts, counts, flags } = decodePagemap(
    readEntry(entryNamed(directory, 'pagemap-1.img')),
  );
  return Array.from(starts, (start, i) => [start, counts[i] ?? 0, flags[i] ?? 0]);
}

describe('a real chain', () => {
  it.each(['4.1', '4.2'])(
    'of CRIU %s has the memory of the full dumps it was made from',
    (version) => {
      for (const number of [1, 2, 3]) {
        const chain = openImageDirectory(fixture(`chain-${version}/${number}`));
        const full = openImageDirectory(fixture(`zoo-${version}/00${number}`));
        expect(chain.chainDepth).toBe(number - 1);
        expect(memoryOf(chain)).toEqual(memoryOf(full));
        const names = (directory: typeof full): string[] =>
          directory.entries.map((entry) => textOf(entry.name));
        expect(names(chain)).toEqual(names(full));
        for (const [name, bytes] of filesOf(full)) {
          const flat = readEntry(entryNamed(chain, name));
          if (!name.startsWith('pagemap-')) expect(Buffer.compare(flat, bytes), name).toBe(0);
          else expectFlat(flat, bytes);
        }
        confirmUnchanged(chain);
      }
    },
  );

  /** The same pages and flags, all present, in the same generation, in as few entries or fewer. */
  function expectFlat(flat: Uint8Array, full: Uint8Array): void {
    const pagemap = decodePagemap(flat);
    const other = decodePagemap(full);
    expect(pagemap).toMatchObject({ pagesId: other.pagesId, generation: other.generation });
    expect(pagemap.flags.every((flags) => (flags & PE_PRESENT) !== 0)).toBe(true);
    expect(pagemap.starts.length).toBeLessThanOrEqual(other.starts.length);
    const byPage = ({ starts, counts, flags }: typeof pagemap): number[][] =>
      Array.from(starts).flatMap((start, i) =>
        Array.from({ length: counts[i] ?? 0 }, (_, page) => [start + page, flags[i] ?? 0]),
      );
    expect(byPage(pagemap)).toEqual(byPage(other));
  }

  it('is made again from full dumps', () => {
    const root = newPath();
    const first = fixture('zoo-4.2/001');
    const second = makeIncrementalDump(first, fixture('zoo-4.2/002'), join(root, '2'));
    const third = makeIncrementalDump(second, fixture('zoo-4.2/003'), join(root, '3'));
    const chain = openImageDirectory(third);
    expect(chain.chainDepth).toBe(2);
    expect(memoryOf(chain)).toEqual(memoryOf(openImageDirectory(fixture('zoo-4.2/003'))));
  });
});

describe('a made chain', () => {
  it('finds pages at any depth, in directories of every generation', () => {
    const root = newPath();
    makeImageDirectory(join(root, '1'), {
      generation: 'flags-absent',
      spaces: space([{ start: 0, count: 10, seed: 1 }], 5),
    });
    makeImageDirectory(join(root, '2'), {
      generation: 'count-in-field-2',
      parent: '../1',
      spaces: space([
        { start: 0, count: 3, flags: PE_PARENT },
        { start: 3, count: 2, seed: 2, flags: 6 },
        { start: 5, count: 5, flags: PE_PARENT },
        { start: 100, count: 1, seed: 2 },
      ]),
    });
    makeImageDirectory(join(root, '3'), {
      generation: 'flags-absent',
      parent: '../2',
      spaces: space([
        { start: 0, count: 8, flags: PE_PARENT },
        { start: 8, count: 1, seed: 3 },
        { start: 9, count: 1, flags: PE_PARENT },
      ]),
    });
    makeImageDirectory(join(root, '4'), {
      generation: 'count-in-field-5',
      parent: '../3',
      spaces: space([
        { start: 1, count: 9, flags: PE_PARENT },
        { start: 20, count: 1, seed: 4, flags: 6 },
      ]),
    });
    const directory = openImageDirectory(join(root, '4'));
    expect(directory.chainDepth).toBe(3);
    const pages = pagesByAddress(directory).get('pagemap-1');
    const seeds = [1, 1, 2, 2, 1, 1, 1, 3, 1];
    seeds.forEach((seed, i) =>
      expect(pages?.get(i + 1), `page ${i + 1}`).toEqual(madePage(i + 1, seed)),
    );
    expect(pages?.get(20)).toEqual(madePage(20, 4));
    expect(pages?.size).toBe(10);
    expect(flatRows(join(root, '4'))).toEqual([
      [1, 2, PE_PRESENT],
      [3, 2, PE_PRESENT | PE_LAZY],
      [5, 5, PE_PRESENT],
      [20, 1, PE_PRESENT | PE_LAZY],
    ]);
    expect(flatRows(join(root, '3'))).toEqual([[0, 10, PE_PRESENT]]);
  });

  it('keeps the bytes of a pagemap that needs no parent', () => {
    const root = newPath();
    makeImageDirectory(join(root, '1'), { spaces: space([{ start: 0, count: 1 }]) });
    const touching = [
      { start: 0, count: 1 },
      { start: 1, count: 1 },
    ];
    makeImageDirectory(join(root, '2'), { parent: '../1', spaces: space(touching) });
    expect(flatRows(join(root, '2'))).toHaveLength(2);
  });

  it('may lead to its parents by absolute links, and lacks the link itself when flat', () => {
    const root = newPath();
    const first = makeImageDirectory(join(root, '1'), { spaces: space([{ start: 0, count: 2 }]) });
    const second = makeImageDirectory(join(root, 'elsewhere', '2'), {
      parent: first,
      spaces: space([{ start: 0, count: 2, flags: PE_PARENT }]),
    });
    const directory = openImageDirectory(second);
    expect(readEntry(entryNamed(directory, 'pages-1.img'))).toHaveLength(8192);
    expect(directory.entries.some((entry) => textOf(entry.name) === 'parent')).toBe(false);
  });

  it('may have pages of 16 KiB', () => {
    const root = newPath();
    const made = { pageBytes: 16384 } as const;
    makeImageDirectory(join(root, '1'), {
      ...made,
      spaces: space([{ start: 16, count: 4, seed: 1 }]),
    });
    const second = makeImageDirectory(join(root, '2'), {
      ...made,
      parent: '../1',
      spaces: space([
        { start: 16, count: 1, seed: 2 },
        { start: 20, count: 3, flags: PE_PARENT },
      ]),
    });
    const directory = openImageDirectory(second);
    expect(directory.pageBytes).toBe(16384);
    const pages = pagesByAddress(directory).get('pagemap-1');
    expect(pages?.size).toBe(16);
    for (const [start, page] of pages ?? [])
      expect(page).toEqual(madePage(start, start < 20 ? 2 : 1));
    expect(flatRows(second)).toEqual([[16, 4, PE_PRESENT]]);
  });

  it('reads from more directories than it keeps files open, in any order', () => {
    const root = newPath();
    const depth = 20;
    makeImageDirectory(join(root, '0'), { spaces: space([{ start: 0, count: depth, seed: 0 }]) });
    for (let i = 1; i < depth; i++) {
      const runs: MadeRun[] = [
        { start: 0, count: i, flags: PE_PARENT },
        { start: i, count: 1, seed: i },
        { start: i + 1, count: depth - i - 1, flags: PE_PARENT },
      ];
      const spaces = space(runs.filter((run) => run.count > 0));
      makeImageDirectory(join(root, String(i)), { parent: `../${i - 1}`, spaces });
    }
    const entry = entryNamed(openImageDirectory(join(root, String(depth - 1))), 'pages-1.img');
    const reader = openEntry(entry);
    for (let step = 0; step < 3 * depth; step++) {
      const page = (step * 7) % depth;
      const target = new Uint8Array(4096);
      reader.read(target, page * 4096);
      expect(target).toEqual(madePage(page, page));
    }
    reader.close();
    expect(readEntry(entry, 5000)).toEqual(readEntry(entry));
  });

  it('is the dump it stands for, for any history of writes', () => {
    const write = fc.array(
      fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 5 })),
      {
        maxLength: 6,
      },
    );
    const generations = fc.constantFrom('flags-absent', 'count-in-field-2', 'count-in-field-5');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(write, generations), { minLength: 2, maxLength: 4 }),
        (history) => {
          const root = newPath();
          const memory = new Map<number, number>();
          let previous: string | undefined;
          history.forEach(([writes, generation], seed) => {
            for (const [start, count] of writes) {
              for (let i = 0; i < count; i++) memory.set(start + i, seed + 1);
            }
            const runs = [...memory].toSorted((a, b) => a[0] - b[0]);
            const spaces = space(
              runs.map(([start, seedOf]) => ({ start, count: 1, seed: seedOf })),
            );
            const full = makeImageDirectory(join(root, `full-${seed}`), { spaces, generation });
            const target = join(root, `chain-${seed}`);
            previous = previous === undefined ? full : makeIncrementalDump(previous, full, target);
            const flat = openImageDirectory(previous);
            expect(memoryOf(flat)).toEqual(memoryOf(openImageDirectory(full)));
          });
          rmSync(root, { recursive: true });
        },
      ),
      { numRuns: 30 },
    );
  });
});
