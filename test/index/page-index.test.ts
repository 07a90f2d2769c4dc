/** The page index over real files: every page is found; a damaged run costs only its answers. */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { identityAt } from '../../src/index/format.ts';
import { PageIndex } from '../../src/index/page-index.ts';
import { openDescriptors, recordingDoor } from '../support/doors.ts';
import { systemError } from '../support/faulty-files.ts';
import {
  crowdedPages,
  digestOf,
  type IndexedPage,
  type Segments,
  segmentNumber,
  spread,
  writeRun,
} from '../support/made-runs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const MIB = 1024 * 1024;

/** Writes runs into a new directory; returns it and their paths. */
function writeRuns(runs: readonly Segments[]): { directory: string; paths: string[] } {
  const directory = nextPath();
  mkdirSync(directory);
  const paths = runs.map((segments, i) => {
    const path = join(directory, `${i}.run`);
    writeRun(path, segments);
    return path;
  });
  return { directory, paths };
}

/** An index of a directory, closed when the test is done. */
function openIndex(directory: string, cacheBytes = MIB, files: Files = nodeFiles): PageIndex {
  const index = new PageIndex(files, directory, cacheBytes);
  onTestFinished(() => {
    index.close();
  });
  return index;
}

/** Takes what is in the directory; all segments but `unknown` ones are committed. */
function refresh(index: PageIndex, unknown: readonly number[] = []): string[] {
  return index.refresh((identities, numbers) => {
    for (const [i, number] of segmentNumbers(identities).entries()) {
      if (!unknown.includes(number)) numbers[i] = number;
    }
  });
}

/** The numbers in identities that follow each other. */
function segmentNumbers(identities: Uint8Array): number[] {
  return Array.from({ length: identities.length / 16 }, (_, i) =>
    segmentNumber(identityAt(identities, i)),
  );
}

/** One run for each list of pages, in segments 1, 2 … */
function indexOver(lists: readonly (readonly IndexedPage[])[], cacheBytes?: number, files?: Files) {
  const { directory, paths } = writeRuns(lists.map((pages, i) => new Map([[i + 1, pages]])));
  const index = openIndex(directory, cacheBytes, files);
  expect(refresh(index)).toEqual([]);
  return { index, directory, paths };
}

/** All hints for a page, by refusing each. */
function hintsFor(index: PageIndex, page: Pick<IndexedPage, 'prefix' | 'rest'>): string[] {
  const hints: string[] = [];
  const digests = Uint8Array.of(9, ...digestOf(page));
  const found = index.find(digests, 1, (segment, slot) => {
    hints.push(`${segment}:${slot}`);
    return false;
  });
  expect(found).toBe(false);
  return hints;
}

describe('PageIndex', () => {
  it('gives exactly the pages that match, with and without filters', () => {
    const runs = fc.array(fc.array(crowdedPages, { maxLength: 2 }), { maxLength: 3 });
    fc.assert(
      fc.property(runs, fc.constantFrom(0, MIB), (lists, cacheBytes) => {
        // Segment 11 is the first of the second run.
        const made = lists.map(
          (pages, run) => new Map(pages.map((list, i) => [run * 10 + i + 1, list] as const)),
        );
        const { directory } = writeRuns(made);
        const index = new PageIndex(nodeFiles, directory, cacheBytes);
        refresh(index);
        for (const prefix of [0, 1, 2, 3, 0x80000000, 0xffffffff]) {
          for (const rest of [0, 1, 2, 3]) {
            const expected = made.flatMap((segments) =>
              [...segments].flatMap(([segment, pages]) =>
                pages
                  .filter((page) => page.prefix === prefix && page.rest === rest)
                  .map(({ slot }) => `${segment}:${slot}`),
              ),
            );
            expect(hintsFor(index, { prefix, rest }).sort()).toEqual(expected.sort());
          }
        }
        index.close();
      }),
      // Thousands of entries take minutes to shrink.
      { numRuns: 15, endOnFailure: true },
    );
  });

  it('asks the run of the newest segment first', () => {
    const page = { prefix: 5, rest: 6, slot: 7 };
    const other = { prefix: 0, rest: 0, slot: 0 };
    const { directory } = writeRuns([
      new Map([[3, [page]]]),
      new Map([
        [1, [page]],
        [9, [other]],
      ]),
      new Map([[2, [page]]]),
    ]);
    const index = openIndex(directory);
    refresh(index);
    expect(hintsFor(index, page)).toEqual(['1:7', '3:7', '2:7']);
  });

  it('goes on after a hint that was refused, and ends at the one that was accepted', () => {
    const same = { prefix: 5, rest: 6 };
    const run = Array.from({ length: 800 }, (_, slot) => ({ ...same, slot }));
    const { index } = indexOver([run, run]);
    const asked: number[] = [];
    const found = index.find(digestOf(same), 0, (segment, slot) => {
      asked.push(segment);
      return segment === 1 && slot === 700;
    });
    expect([found, asked.length]).toEqual([true, 800 + 701]);
    expect(asked.slice(0, 800).every((segment) => segment === 2)).toBe(true);
  });

  it('finds every page in little memory, and no page that is not there', () => {
    const lists = [spread(5000, 1), spread(341, 2), [], spread(340, 3)];
    const before = process.memoryUsage().arrayBuffers;
    const { index } = indexOver(lists, 1);
    for (const [i, pages] of lists.entries()) {
      for (const page of pages) {
        expect(hintsFor(index, page)).toContain(`${i + 1}:${page.slot}`);
        expect(hintsFor(index, { prefix: page.prefix, rest: page.rest ^ 0x8000 })).toEqual([]);
        expect(hintsFor(index, { prefix: page.prefix ^ 1, rest: page.rest })).toEqual([]);
      }
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * MIB);
  });

  it('reads a block once while it is in memory, and none for nearly all unknown pages', () => {
    const { files, calls } = recordingDoor();
    const pages = spread(341 * 10);
    const { index } = indexOver([pages], MIB, files);
    const reads = () => calls.filter(({ name }) => name === 'read').length;
    const before = reads();
    for (const page of spread(10_000, 77)) expect(hintsFor(index, page)).toEqual([]);
    expect(reads() - before).toBeLessThanOrEqual(10);
    for (const page of pages) hintsFor(index, page);
    const after = reads();
    expect(after - before).toBe(10);
    for (const page of pages) hintsFor(index, page);
    expect(reads()).toBe(after);
  });

  it('keeps the filters that fit, the smallest first', () => {
    const sizes = [420, 42_000, 4200];
    const lists = sizes.map((size, i) => spread(size, i));
    const { index, directory } = indexOver(lists, Math.ceil(7000 / 0.75));
    const filtered = () =>
      index.runs
        .filter(({ filter }) => filter !== undefined)
        .map(({ trailer }) => trailer.shape.entryCount);
    expect(filtered().sort()).toEqual([420]);
    for (const [i, pages] of lists.entries()) {
      for (const page of pages.slice(0, 50)) {
        expect(hintsFor(index, page)).toContain(`${i + 1}:${page.slot}`);
      }
    }
    // Room for the next one: the largest of these goes.
    rmSync(join(directory, '0.run'));
    refresh(index);
    expect(filtered()).toEqual([4200]);
    for (const seed of [8, 9]) {
      writeRun(join(directory, `${seed}.run`), new Map([[seed, spread(420, seed)]]));
    }
    refresh(index);
    expect(filtered()).toEqual([420, 420]);
  });

  it('searches more runs than it holds descriptors', () => {
    const before = openDescriptors();
    const lists = Array.from({ length: 70 }, (_, i) => spread(10, i));
    const { index } = indexOver(lists);
    for (const [i, pages] of lists.entries())
      expect(hintsFor(index, pages[3]!)).toContain(`${i + 1}:3`);
    expect(openDescriptors() - before).toBeLessThanOrEqual(64);
    index.close();
    expect(openDescriptors()).toBe(before);
  });
});

describe('refresh', () => {
  it('ignores segments that are not committed, until they are', () => {
    const page = { prefix: 1, rest: 2, slot: 3 };
    const both = new Map([1, 2].map((number) => [number, [page]] as const));
    const index = openIndex(writeRuns([both]).directory);
    refresh(index, [2]);
    expect(hintsFor(index, page)).toEqual(['1:3']);
    expect([0, 1, 2, 3].map((number) => index.covers(number))).toEqual([false, true, false, false]);
    refresh(index);
    expect(hintsFor(index, page).sort()).toEqual(['1:3', '2:3']);
    expect(index.covers(2)).toBe(true);
  });

  it('asks for no segment twice once it knows it', () => {
    const index = openIndex(writeRuns([new Map([1, 2].map((n) => [n, []] as const))]).directory);
    const asked: number[] = [];
    const resolveUpTo = (known: number) => (identities: Uint8Array, numbers: Int32Array) => {
      for (const [i, number] of segmentNumbers(identities).entries()) {
        if (numbers[i] === 0) asked.push(number);
        if (number <= known) numbers[i] = number;
      }
    };
    for (const known of [1, 1, 2, 2]) index.refresh(resolveUpTo(known));
    expect(asked.toSorted()).toEqual([1, 2, 2, 2]);
    expect([index.covers(1), index.covers(2), index.covers(0)]).toEqual([true, true, false]);
  });

  it('takes runs that have come, forgets those that have gone, and no other files', () => {
    const [old, next] = [spread(10, 1), spread(10, 2)];
    const { index, directory, paths } = indexOver([old]);
    writeRun(join(directory, 'next.run'), new Map([[2, next]]));
    writeFileSync(join(directory, 'other'), 'not ours');
    unlinkSync(paths[0]!);
    // Its descriptor is open: it answers until the next refresh.
    expect(hintsFor(index, old[0]!)).toEqual(['1:0']);
    expect(refresh(index)).toEqual([]);
    expect([hintsFor(index, old[0]!), hintsFor(index, next[0]!)]).toEqual([[], ['2:0']]);
    expect([index.covers(1), index.covers(2)]).toEqual([false, true]);
    expect(readdirSync(directory)).toContain('other');
  });

  it('refuses a run that is empty, cut, longer, or has any byte outside its blocks changed', () => {
    const { directory, paths } = writeRuns([new Map([[1, spread(700)]])]);
    const bytes = readFileSync(paths[0]!);
    const check = (content: Uint8Array, isGood: boolean, what: string) => {
      const index = new PageIndex(nodeFiles, directory, MIB);
      writeFileSync(paths[0]!, content);
      expect([refresh(index), index.runs.length], what).toEqual(isGood ? [[], 1] : [paths, 0]);
      index.close();
    };
    check(bytes, true, 'whole');
    for (const length of [0, 1, 35, 36, 4096, bytes.length - 13, bytes.length - 1]) {
      check(bytes.subarray(0, length), false, `${length} bytes`);
    }
    check(Uint8Array.from([...bytes, 0]), false, 'a byte more');
    check(Uint8Array.from([0, ...bytes]), false, 'a byte more at the front');
    const filterBytes = 64 * 17;
    const edges = [...Array(filterBytes).keys()].filter((i) => i % 37 === 0);
    for (let i = bytes.length - 36 - 16 - 12; i < bytes.length; i++) edges.push(i);
    for (const offset of edges) {
      const changed = Uint8Array.from(bytes);
      changed[offset]! ^= 0x80;
      check(changed, false, `byte ${offset}`);
    }
  });

  it('throws when the directory or a run cannot be read for another reason', () => {
    const { directory, paths } = writeRuns([new Map([[1, spread(10)]])]);
    const fail = () => {
      throw systemError('EACCES', 'fstat');
    };
    const index = openIndex(directory, MIB, { ...nodeFiles, stat: fail });
    const error = expect.objectContaining({ code: 'STORAGE', file: paths[0] });
    expect(() => refresh(index)).toThrow(error);
  });
});

describe('a run that changes after it was opened', () => {
  it('answers nothing from a damaged block, says so, and leaves the others alone', () => {
    const shared = spread(1000, 1);
    const { index, paths } = indexOver([shared, shared]);
    const content = readFileSync(paths[1]!);
    for (let block = 0; block < 3; block++) content[64 * 24 + block * 4096 + 100]! ^= 1;
    writeFileSync(paths[1]!, content);
    for (const page of shared) expect(hintsFor(index, page)).toEqual([`1:${page.slot}`]);
    // Once, though its end and its filter are as they were.
    expect(refresh(index)).toEqual([paths[1]]);
    expect(index.covers(2)).toBe(false);
    rmSync(paths[1]!);
    expect(refresh(index)).toEqual([]);
    for (const page of shared) expect(hintsFor(index, page)).toEqual([`1:${page.slot}`]);
  });

  it('says that it was cut, whatever was in memory before', () => {
    const big = spread(341 * 20, 2);
    const { index, directory } = indexOver([big]);
    // Every block of the cache is now an intact one of the other run.
    for (const page of big) hintsFor(index, page);
    const path = join(directory, 'cut.run');
    writeRun(path, new Map([[2, spread(341, 1)]]));
    refresh(index);
    truncateSync(path, 64);
    expect(hintsFor(index, spread(341, 1)[0]!)).not.toContain('2:0');
    expect(refresh(index)).toEqual([path]);
  });

  it('is no damage when its file is gone, and is found again under another name', () => {
    const lists = Array.from({ length: 66 }, (_, i) => spread(10, i));
    const { index, paths, directory } = indexOver(lists);
    // Its descriptor has been closed for those of the later ones.
    const closed = index.runs.filter(({ path }) => !hasOpen(path)).map(({ newest }) => newest);
    expect(closed.length).toBeGreaterThan(0);
    const [gone] = closed as [number];
    const page = lists[gone - 1]![0]!;
    const path = join(directory, 'merged.run');
    renameSync(paths[gone - 1]!, path);
    expect(hintsFor(index, page)).not.toContain(`${gone}:0`);
    expect(refresh(index)).toEqual([]);
    expect(hintsFor(index, page)).toContain(`${gone}:0`);
  });
});

function hasOpen(path: string): boolean {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return nodeFiles.readlink(`/proc/self/fd/${fd}`).toString();
    } catch {
      // The descriptor of this listing itself.
      return '';
    }
  });
  return links.includes(path);
}
