/** The page index over real files: every page is found; a damaged run costs only its answers. */
import { readFileSync, renameSync, rmSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import { PageIndex } from '../../src/index/page-index.ts';
import { openDescriptors, recordingDoor } from '../support/doors.ts';
import { systemError } from '../support/faulty-files.ts';
import {
  digestOf,
  type IndexedPage,
  packDigest,
  runBytes,
  writeRun,
} from '../support/made-runs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

/** Pages whose prefixes are spread over all numbers. */
function spread(count: number, seed = 1): IndexedPage[] {
  return Array.from({ length: count }, (_, i) => {
    const prefix = Math.imul(i + 1, 0x9e3779b1 + seed * 2) >>> 0;
    return { prefix, rest: i & 0xffff, segment: seed, slot: i };
  });
}

/** An index over runs of these pages, attached in this order as packs p0, p1 … */
function indexOver(lists: readonly (readonly IndexedPage[])[], cacheBytes = 0, files = nodeFiles) {
  const index = new PageIndex(files, cacheBytes);
  const paths = lists.map((pages, i) => {
    const path = nextPath();
    writeRun(path, pages, packDigest(i));
    expect(index.attach(`p${i}`, packDigest(i), path)).toBe(true);
    return path;
  });
  return { index, paths };
}

/** All hints for a page, by refusing each. */
function hintsFor(index: PageIndex, page: Pick<IndexedPage, 'prefix' | 'rest'>): string[] {
  const hints: string[] = [];
  const found = index.find(digestOf(page), 0, (pack, segment, slot) => {
    hints.push(`${pack} ${segment} ${slot}`);
    return false;
  });
  expect(found).toBe(false);
  return hints;
}

const hint = (pack: number, { segment, slot }: IndexedPage) => `p${pack} ${segment} ${slot}`;

describe('PageIndex', () => {
  it('gives exactly the pages that match, the newest run first, whatever the prefixes', () => {
    // Few prefixes: hundreds of equal ones go on over the edges of blocks.
    const pages = fc.record({
      prefix: fc.oneof(fc.nat(2), fc.constantFrom(0xffffffff, 0x80000000)),
      rest: fc.nat(2),
      segment: fc.nat(3),
      slot: fc.nat(0xffffffff),
    });
    const lists = fc.array(fc.array(pages, { maxLength: 1500, size: 'max' }), { maxLength: 3 });
    fc.assert(
      fc.property(lists, (runs) => {
        const { index } = indexOver(runs);
        for (const prefix of [0, 1, 2, 3, 0x80000000, 0xffffffff]) {
          for (const rest of [0, 1, 2, 3]) {
            const expected = runs.flatMap((run, i) =>
              run
                .filter((page) => page.prefix === prefix && page.rest === rest)
                .map((page) => [i, page] as const),
            );
            const newestFirst = expected.toSorted((a, b) => b[0] - a[0]);
            const hints = hintsFor(index, { prefix, rest });
            expect(hints).toEqual(newestFirst.map(([i, page]) => hint(i, page)));
          }
        }
        index.close();
      }),
      // Thousands of entries take minutes to shrink.
      { numRuns: 15, endOnFailure: true },
    );
  });

  it('finds every page with few blocks of memory, and no page that is not there', () => {
    const runs = [spread(5000, 1), spread(341, 2), [], spread(340, 3)];
    const before = process.memoryUsage().arrayBuffers;
    const { index } = indexOver(runs, 1);
    for (const [i, run] of runs.entries()) {
      for (const page of run) expect(hintsFor(index, page)).toContain(hint(i, page));
      for (const page of run.slice(0, 200)) {
        expect(hintsFor(index, { prefix: page.prefix, rest: page.rest ^ 0x8000 })).toEqual([]);
        expect(hintsFor(index, { prefix: page.prefix ^ 1, rest: page.rest })).toEqual([]);
      }
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024);
    index.close();
  });

  it('goes on after a hint that was refused, and ends at the one that was accepted', () => {
    const same = { prefix: 5, rest: 6 };
    const run = Array.from({ length: 800 }, (_, slot) => ({ ...same, segment: 1, slot }));
    const { index } = indexOver([run, run]);
    const asked: string[] = [];
    const found = index.find(Uint8Array.of(9, ...digestOf(same)), 1, (pack, _segment, slot) => {
      asked.push(pack);
      return pack === 'p0' && slot === 700;
    });
    expect([found, asked.length]).toEqual([true, 800 + 701]);
    expect(asked.slice(0, 800).every((pack) => pack === 'p1')).toBe(true);
    index.close();
  });

  it('reads a block once while it is in memory', () => {
    const { files, calls } = recordingDoor();
    const { index } = indexOver([spread(340 * 10)], 1024 * 1024, files);
    const reads = () => calls.filter(({ name }) => name === 'read').length;
    for (const page of spread(3400)) hintsFor(index, page);
    const before = reads();
    expect(before).toBeLessThan(10 + 4 + 10);
    for (const page of spread(3400)) hintsFor(index, page);
    expect(reads()).toBe(before);
    index.close();
  });

  it('searches more runs than it holds descriptors', () => {
    const before = openDescriptors();
    const runs = Array.from({ length: 70 }, (_, i) => spread(10, i));
    const { index } = indexOver(runs);
    for (const [i, run] of runs.entries())
      expect(hintsFor(index, run[3]!)).toContain(hint(i, run[3]!));
    expect(openDescriptors() - before).toBeLessThanOrEqual(64);
    index.close();
    expect(openDescriptors()).toBe(before);
  });

  it('forgets a run, and takes another in its place', () => {
    const [old, next] = [spread(10, 1), spread(10, 2)];
    const { index, paths } = indexOver([old, spread(10, 3)]);
    const [path] = paths as [string];
    expect(hintsFor(index, old[0]!)).toEqual([hint(0, old[0]!)]);
    const fresh = nextPath();
    writeRun(fresh, next, packDigest(0));
    renameSync(fresh, path);
    expect(index.attach('p0', packDigest(0), path)).toBe(true);
    expect(hintsFor(index, old[0]!)).toEqual([]);
    expect(hintsFor(index, next[0]!)).toEqual([hint(0, next[0]!)]);
    index.detach('p0');
    index.detach('p0');
    expect([index.has('p0'), index.has('p1')]).toEqual([false, true]);
    expect(hintsFor(index, next[0]!)).toEqual([]);
    index.close();
  });
});

describe('attach', () => {
  const run = spread(700);
  const bytes = runBytes(run, packDigest(0));
  const attach = (content: Uint8Array | undefined, index = new PageIndex(nodeFiles, 0)) => {
    const path = nextPath();
    if (content !== undefined) writeFileSync(path, content);
    const attached = index.attach('p0', packDigest(0), path);
    expect(index.has('p0')).toBe(attached);
    index.close();
    return attached;
  };

  it('refuses a run that is missing, empty, cut, longer, or of another pack', () => {
    expect([attach(bytes), attach(undefined), attach(new Uint8Array(0))]).toEqual([
      true,
      false,
      false,
    ]);
    for (const length of [1, 63, 64, 4096, bytes.length - 13, bytes.length - 1]) {
      expect([length, attach(bytes.subarray(0, length))]).toEqual([length, false]);
    }
    expect(attach(Uint8Array.from([...bytes, 0]))).toBe(false);
    expect(attach(runBytes(run, packDigest(1)))).toBe(false);
  });

  it('refuses damaged header and fences, and an absurd number of blocks', () => {
    const edges = [
      ...Array(64).keys(),
      ...Array.from({ length: 20 }, (_, i) => bytes.length - 1 - i),
    ];
    for (const offset of edges) {
      const changed = Uint8Array.from(bytes);
      changed[offset]! ^= 0x80;
      expect([offset, attach(changed)]).toEqual([offset, false]);
    }
  });

  it('takes a run that was put in the place of a damaged one', () => {
    const path = nextPath();
    writeFileSync(path, bytes.subarray(0, 100));
    const index = new PageIndex(nodeFiles, 0);
    expect(index.attach('p0', packDigest(0), path)).toBe(false);
    const fresh = nextPath();
    writeFileSync(fresh, bytes);
    renameSync(fresh, path);
    try {
      expect(index.attach('p0', packDigest(0), path)).toBe(true);
    } finally {
      index.close();
    }
  });

  it('throws when the run cannot be read for another reason', () => {
    const files = {
      ...nodeFiles,
      stat: () => {
        throw systemError('EACCES', 'fstat');
      },
    };
    const path = nextPath();
    writeFileSync(path, bytes);
    const index = new PageIndex(files, 0);
    const error = expect.objectContaining({ code: 'STORAGE', file: path });
    expect(() => index.attach('p0', packDigest(0), path)).toThrow(error);
    index.close();
  });
});

describe('a run that is damaged after it was opened', () => {
  it('answers nothing from its damaged block, says so, and leaves the others alone', () => {
    const shared = spread(1000, 1);
    const { index, paths } = indexOver([shared, shared]);
    const [, path] = paths as [string, string];
    const content = readFileSync(path);
    for (let block = 0; block < 3; block++) content[64 + block * 4096 + 100]! ^= 1;
    writeFileSync(path, content);
    expect(index.has('p1')).toBe(true);
    for (const page of shared) expect(hintsFor(index, page)).toEqual([hint(0, page)]);
    expect([index.has('p0'), index.has('p1')]).toEqual([true, false]);
    // Built again, it serves again.
    writeRun(path, shared, packDigest(1));
    expect(index.attach('p1', packDigest(1), path)).toBe(true);
    expect(hintsFor(index, shared[7]!)).toEqual([hint(1, shared[7]!), hint(0, shared[7]!)]);
    index.close();
  });

  it('says so when it was cut, whatever was in memory before', () => {
    const big = spread(340 * 20, 2);
    const { index, paths } = indexOver([big, spread(340, 1)]);
    index.detach('p1');
    // Every block of the cache is now an intact one of the other run.
    for (const page of big) hintsFor(index, page);
    expect(index.attach('p1', packDigest(1), paths[1]!)).toBe(true);
    truncateSync(paths[1]!, 64);
    hintsFor(index, spread(340, 1)[0]!);
    try {
      expect(index.has('p1')).toBe(false);
    } finally {
      index.close();
    }
  });

  it('throws nothing when its file is gone', () => {
    const runs = Array.from({ length: 66 }, (_, i) => spread(10, i));
    const { index, paths } = indexOver(runs);
    // Its descriptor has been closed for those of the later ones.
    unlinkSync(paths[0]!);
    try {
      expect(hintsFor(index, runs[0]![0]!)).not.toContain(hint(0, runs[0]![0]!));
      expect(index.has('p0')).toBe(false);
    } finally {
      index.close();
      rmSync(paths[1]!);
    }
  });
});
