/** Runs as they are built: what is in them byte by byte, whatever was spilled on the way. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import { MAX_RUN_SEGMENTS } from '../../src/index/format.ts';
import { RunBuilder } from '../../src/index/run-builder.ts';
import { dribblingDoor, openDescriptors } from '../support/doors.ts';
import {
  crowdedPages,
  digestOf,
  finishWork,
  readRun,
  segmentIdentity,
  sortedEntries,
  spread,
  writeRun,
} from '../support/made-runs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const histories = fc
  .array(fc.tuple(fc.nat(1000), crowdedPages), { maxLength: 3 })
  .map((pairs) => new Map(pairs));

describe('a run', () => {
  it('holds every entry once, in order, with the largest prefix of each block', () => {
    fc.assert(
      fc.property(histories, fc.constantFrom(undefined, 1, 7, 100), (segments, capacity) => {
        const path = nextPath();
        writeRun(path, segments, capacity);
        const run = readRun(path);
        const sorted = sortedEntries(segments);
        if (capacity === undefined) {
          // Duplicates go when runs are merged, not before.
          const count = [...segments.values()].flat().length;
          expect(run.entries).toHaveLength(count);
          expect([...new Set(run.entries.map((entry) => JSON.stringify(entry)))]).toHaveLength(
            sorted.length,
          );
        } else if (run.entries.length > capacity) expect(run.entries).toEqual(sorted);
        const last = (i: number) => Math.min(run.entries.length, (i + 1) * 341) - 1;
        expect(run.fences).toEqual(run.fences.map((_, i) => run.entries[last(i)]?.prefix));
        expect(run.segments.toSorted((a, b) => a - b)).toEqual(
          [...segments.keys()].sort((a, b) => a - b),
        );
        expect(spilledBeside(path)).toEqual([]);
      }),
      // Each of these writes hundreds of files, and thousands of entries take minutes to shrink.
      { numRuns: 20, endOnFailure: true },
    );
  });

  it('has fixed bytes', () => {
    const path = nextPath();
    writeRun(path, new Map([[2, [{ prefix: 0x01020304, rest: 0x0506, slot: 9 }]]]));
    const bytes = readFileSync(path);
    const hex = (start: number, end?: number) => bytes.subarray(start, end).toString('hex');
    const sum = (start: number, end: number) => {
      const four = Buffer.alloc(4);
      four.writeUInt32LE(crc32(bytes.subarray(start, end)));
      return four.toString('hex');
    };
    expect(hex(64, 80)).toBe(`0403020109000000060500 00`.replace(' ', '') + sum(64, 76));
    expect(hex(80, 84)).toBe('04030201');
    expect(hex(84, 100)).toBe(Buffer.from(segmentIdentity(2)).toString('hex'));
    const counts = '01000000' + '01000000' + '0100000000000000' + '01000000';
    const magic = Buffer.from('criutlix').toString('hex');
    expect(hex(100)).toBe(magic + counts + sum(0, 64) + sum(80, 132));
    expect(bytes).toHaveLength(136);
  });

  it('of a small capture is a few hundred bytes, and of a large one below 14 bytes a page', () => {
    const sizeOf = (pages: number) => {
      const path = nextPath();
      writeRun(path, new Map([[1, spread(pages)]]));
      return statSync(path).size;
    };
    expect([sizeOf(0), sizeOf(10)]).toEqual([52, 244]);
    expect(sizeOf(100_000) / 100_000).toBeLessThan(13.6);
  });

  it('is the same, one byte at a time', () => {
    const [path, other] = [nextPath(), nextPath()];
    const pages = spread(1000);
    writeRun(path, new Map([[1, pages]]));
    const builder = new RunBuilder(dribblingDoor, { newPath: nextPath });
    builder.beginSegment(segmentIdentity(1));
    for (const { prefix, rest, slot } of pages) builder.add(prefix, rest, slot);
    finishWork(builder.finish(other));
    expect(readFileSync(other).equals(readFileSync(path))).toBe(true);
  });
});

describe('RunBuilder', () => {
  it.each([undefined, 4])('leaves out a segment that was abandoned (capacity %s)', (capacity) => {
    const path = nextPath();
    const builder = new RunBuilder(
      nodeFiles,
      capacity === undefined ? { newPath: nextPath } : { newPath: nextPath, capacity },
    );
    const pages = spread(10);
    for (const number of [1, 2, 3]) {
      builder.beginSegment(segmentIdentity(number));
      for (const { prefix, rest, slot } of pages) {
        if (builder.isFull) finishWork(builder.spill());
        builder.add(prefix, rest, slot);
      }
      if (number === 2) builder.abandonSegment();
    }
    expect([builder.isEmpty, builder.segmentCount, builder.entryCount]).toEqual([false, 3, 30]);
    finishWork(builder.finish(path));
    const run = readRun(path);
    const kept = new Map([1, 3].map((number) => [number, pages]));
    expect(run.entries).toEqual(sortedEntries(kept));
    expect(run.segments.toSorted((a, b) => a - b)).toEqual([1, 3]);
  });

  it('takes the pages of a frame as one by one, as many as there is room for', () => {
    const capacities = fc.constantFrom(undefined, 1, 7, 100);
    fc.assert(
      fc.property(histories, capacities, fc.nat(20), (segments, capacity, before) => {
        const [path, expected] = [nextPath(), nextPath()];
        const options = capacity === undefined ? {} : { capacity };
        const builder = new RunBuilder(nodeFiles, { newPath: nextPath, ...options });
        for (const [number, pages] of segments) {
          builder.beginSegment(segmentIdentity(number));
          const digests = Buffer.concat(pages.map(digestOf));
          const slots = pages.map(({ slot }) => slot);
          for (const { prefix, rest, slot } of pages.slice(0, before)) {
            if (builder.isFull) finishWork(builder.spill());
            builder.add(prefix, rest, slot);
          }
          for (let done = Math.min(before, pages.length); done < pages.length;) {
            if (builder.isFull) finishWork(builder.spill());
            const [first, count] = [done, builder.entryCount];
            done = builder.addPages(digests, slots, first);
            expect(done).toBeGreaterThan(first);
            expect(builder.entryCount - count).toBe(done - first);
            if (done < pages.length) expect(builder.isFull).toBe(true);
          }
        }
        finishWork(builder.finish(path));
        writeRun(expected, segments, capacity);
        expect(readFileSync(path).equals(readFileSync(expected))).toBe(true);
      }),
      { numRuns: 8, endOnFailure: true },
    );
  });

  it('takes none of the pages when it is full, and says where to go on', () => {
    const builder = new RunBuilder(nodeFiles, { newPath: nextPath, capacity: 5 });
    const pages = spread(8);
    const digests = Buffer.concat(pages.map(digestOf));
    const slots = pages.map(({ slot }) => slot + 100);
    builder.beginSegment(segmentIdentity(1));
    expect(builder.addPages(digests, slots, 0)).toBe(5);
    expect(builder.addPages(digests, slots, 5)).toBe(5);
    finishWork(builder.spill());
    expect(builder.addPages(digests, slots, 5)).toBe(8);
    expect(builder.addPages(digests, slots, 8)).toBe(8);
    expect(builder.entryCount).toBe(8);
    const path = nextPath();
    finishWork(builder.finish(path));
    const moved = pages.map((page) => ({ ...page, slot: page.slot + 100 }));
    expect(readRun(path).entries).toEqual(sortedEntries(new Map([[1, moved]])));
  });

  it('is empty when every segment was abandoned, and not when one has no pages', () => {
    const builder = new RunBuilder(nodeFiles, { newPath: nextPath });
    expect(builder.isEmpty).toBe(true);
    builder.beginSegment(segmentIdentity(1));
    builder.abandonSegment();
    expect(builder.isEmpty).toBe(true);
    builder.beginSegment(segmentIdentity(2));
    expect(builder.isEmpty).toBe(false);
  });

  it('refuses more segments than entries can name, and more entries than fit', () => {
    const builder = new RunBuilder(nodeFiles, { newPath: nextPath, capacity: 1 });
    for (let i = 0; i < MAX_RUN_SEGMENTS; i++) builder.beginSegment(segmentIdentity(i));
    expect(() => {
      builder.beginSegment(segmentIdentity(MAX_RUN_SEGMENTS));
    }).toThrow(RangeError);
    const path = nextPath();
    finishWork(builder.finish(path));
    expect(readRun(path).segments).toHaveLength(MAX_RUN_SEGMENTS);
  });

  it('closes its files when its work is given up', () => {
    const before = openDescriptors();
    const builder = new RunBuilder(nodeFiles, { newPath: nextPath });
    builder.beginSegment(segmentIdentity(1));
    for (const { prefix, rest, slot } of spread(100_000)) builder.add(prefix, rest, slot);
    const path = nextPath();
    const work = builder.finish(path);
    while (!existsSync(path)) expect(work.next().done).toBe(false);
    expect(openDescriptors()).toBe(before + 1);
    work.return(undefined);
    expect(openDescriptors()).toBe(before);
  });
});

function spilledBeside(path: string): string[] {
  return readdirSync(dirname(path)).filter((name) => name.startsWith(`${basename(path)}.`));
}
