/** Merging runs: the result is the union of their entries, whatever overlaps or is dropped. */
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DescriptorPool } from '../../src/files/descriptor-pool.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { mergeRuns, type RunToMerge } from '../../src/index/merge.ts';
import { openRun } from '../../src/index/run-file.ts';
import { openDescriptors } from '../support/doors.ts';
import {
  crowdedPages,
  finishWork,
  readRun,
  type Segments,
  segmentNumber,
  sortedEntries,
  spread,
  writeRun,
} from '../support/made-runs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

/** A run of these segments, as the merge wants it. */
function madeRun(segments: Segments): RunToMerge {
  const path = nextPath();
  writeRun(path, segments);
  const descriptors = new DescriptorPool(nodeFiles, 1);
  const run = openRun({ files: nodeFiles, descriptors }, path, 0);
  descriptors.close();
  if (typeof run === 'string') throw new Error(run);
  return { path, shape: run.trailer.shape, identities: run.identities };
}

function merge(runs: readonly RunToMerge[], isKept: (number: number) => boolean = () => true) {
  const path = nextPath();
  const keep = (identity: Uint8Array) => isKept(segmentNumber(identity));
  return finishWork(mergeRuns(nodeFiles, runs, keep, path));
}

describe('mergeRuns', () => {
  it('gives the entries of all runs, each once, without those of segments that are dropped', () => {
    const pool = fc.array(crowdedPages, { minLength: 4, maxLength: 4 });
    const choice = fc.array(fc.uniqueArray(fc.nat(3), { maxLength: 4 }), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(pool, choice, fc.nat(4), (segments, choices, dropped) => {
        const pagesOf = (numbers: readonly number[]) =>
          new Map(numbers.map((number) => [number, segments[number] ?? []]));
        const merged = merge(
          choices.map((numbers) => madeRun(pagesOf(numbers))),
          (number) => number !== dropped,
        );
        const kept = [...new Set(choices.flat())].filter((number) => number !== dropped);
        const run = readRun(merged.path);
        expect(run.entries).toEqual(sortedEntries(pagesOf(kept)));
        expect(run.segments.toSorted((a, b) => a - b)).toEqual(kept.sort((a, b) => a - b));
        // Merging once more, also with one of its inputs, changes nothing.
        const again = merge([madeRun(pagesOf(choices[0] ?? [])), merged], (n) => n !== dropped);
        expect(readRun(again.path).entries).toEqual(run.entries);
      }),
      { numRuns: 15, endOnFailure: true },
    );
  });

  it('merges sixteen runs of many blocks in slices', () => {
    const numbers = Array.from({ length: 16 }, (_, i) => i);
    const segments = new Map(numbers.map((number) => [number, spread(6000 + number, number)]));
    const runs = numbers.map((n) => madeRun(new Map([[n, segments.get(n) ?? []]])));
    const path = nextPath();
    const work = mergeRuns(nodeFiles, runs, () => true, path);
    let slices = 0;
    while (work.next().done !== true) slices += 1;
    expect(slices).toBeGreaterThanOrEqual(11);
    expect(readRun(path).entries).toEqual(sortedEntries(segments));
    const inputs = runs.reduce((sum, run) => sum + statSync(run.path).size, 0);
    expect(statSync(path).size).toBeLessThanOrEqual(inputs);
  });

  it('names the run that is damaged, and closes all files', () => {
    const before = openDescriptors();
    for (const damage of [
      (path: string) => {
        const bytes = readFileSync(path);
        bytes[bytes.length - 5000]! ^= 1;
        writeFileSync(path, bytes);
      },
      (path: string) => {
        truncateSync(path, 30_000);
      },
    ]) {
      const runs = [1, 2].map((number) => madeRun(new Map([[number, spread(3000, number)]])));
      const { path } = runs[1]!;
      damage(path);
      const error = expect.objectContaining({ code: 'CORRUPT', file: path });
      expect(() => merge(runs)).toThrow(error);
    }
    expect(openDescriptors()).toBe(before);
  });

  it('passes on that a run is gone', () => {
    const run = madeRun(new Map([[1, spread(10)]]));
    const before = openDescriptors();
    const error = expect.objectContaining({ code: 'ENOENT' });
    expect(() => merge([run, { ...run, path: nextPath() }])).toThrow(error);
    expect(openDescriptors()).toBe(before);
  });
});
