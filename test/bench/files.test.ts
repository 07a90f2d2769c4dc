/** The suite on files: what it makes follows from a seed, and its tables say what was measured. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { archivesIn } from '../../bench/files/archives.ts';
import type { Step, StepsRun } from '../../bench/files/measure.ts';
import { presentSteps } from '../../bench/files/tables.ts';
import {
  appendLog,
  changeSmallFiles,
  smallFilePath,
  writeSmallFiles,
} from '../../bench/generate/files.ts';
import { writePodmanArchives } from '../../bench/generate/podman-archive.ts';
import { REDIS, resized } from '../../bench/generate/workloads.ts';
import { SnapshotStore } from '../../src/index.ts';
import { filesBelow } from '../support/made-archives.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const FILES = { count: 60, directories: 7 };

function newDirectory(): string {
  const path = newPath();
  mkdirSync(path);
  return path;
}

describe('small files', () => {
  test('are the same wherever they are made, and all different, of 1 to 3000 bytes', () => {
    const [first, second] = [newDirectory(), newDirectory()];
    for (const path of [first, second]) writeSmallFiles(path, FILES);
    const texts = filesBelow(first);
    expect(filesBelow(second)).toEqual(texts);
    expect(new Set(Object.values(texts)).size).toBe(FILES.count);
    const sizes = Object.values(texts).map((text) => text.length);
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(3000);
    expect(new Set(sizes).size).toBeGreaterThan(FILES.count / 2);
  });

  test.each([1, 7])('lie in %i directories', (directories) => {
    const path = newDirectory();
    writeSmallFiles(path, { count: 60, directories });
    expect(readdirSync(join(path, 'srv'))).toHaveLength(directories);
    expect(Object.keys(filesBelow(path))).toHaveLength(60);
  });

  test('change as many as asked for, others with each version, and nothing else', () => {
    const path = newDirectory();
    writeSmallFiles(path, FILES);
    const before = filesBelow(path);
    const seen = new Set<string>();
    for (const version of [1, 2, 3]) {
      const changed = changeSmallFiles(path, FILES, { count: 5, version });
      const now = filesBelow(path);
      const differing = Object.keys(now).filter((name) => now[name] !== before[name]);
      expect(differing).toEqual(changed.map((index) => smallFilePath(index, FILES)).sort());
      expect(new Set(changed).size).toBe(5);
      seen.add(changed.map((index) => now[smallFilePath(index, FILES)]).join());
      Object.assign(before, now);
    }
    expect(seen.size).toBe(3);
  });

  test('all change when more are asked for than there are', () => {
    const path = newDirectory();
    writeSmallFiles(path, { count: 3, directories: 1 });
    const changed = changeSmallFiles(path, { count: 3, directories: 1 }, { count: 10, version: 1 });
    expect(changed).toEqual([0, 1, 2]);
  });
});

test('a log grows by whole lines, which go on where it ended', () => {
  const [whole, grown] = [join(newDirectory(), 'log'), join(newDirectory(), 'log')];
  const line = appendLog(grown, 0, 5000);
  const before = readFileSync(grown, 'latin1');
  expect(before.length).toBeGreaterThanOrEqual(5000);
  expect(before.length).toBeLessThan(5200);
  const end = appendLog(grown, line, 3000);
  const after = readFileSync(grown, 'latin1');
  expect(after.startsWith(before)).toBe(true);
  expect(after.endsWith('\n')).toBe(true);
  expect(after.trimEnd().split('\n')).toHaveLength(end);
  expect(new Set(after.trimEnd().split('\n')).size).toBe(end);
  appendLog(whole, 0, statSync(grown).size);
  expect(readFileSync(whole, 'latin1')).toBe(after);
});

describe('made-up archives of podman', () => {
  const container = { workload: resized(REDIS, 40), files: FILES, logBytes: 20_000 };

  test('are the same whenever they are made, and change from one to the next', async () => {
    const [first, second] = [newPath(), newPath()];
    for (const path of [first, second]) await writePodmanArchives(path, container, 3);
    expect(readdirSync(first)).toEqual(['001.tar', '002.tar', '003.tar']);
    const texts = filesBelow(first);
    const others = filesBelow(second);
    for (const name of Object.keys(texts)) expect(texts[name] === others[name]).toBe(true);
    expect(new Set(Object.values(texts)).size).toBe(3);
  });

  test('can be imported, and come back byte for byte', async () => {
    const made = newPath();
    await writePodmanArchives(made, container, 2);
    const store = await SnapshotStore.open(newPath(), { create: true });
    try {
      for (const archive of archivesIn(made)) {
        const snapshot = await store.timeline('made').import(archive);
        const exported = newPath();
        await snapshot.export(exported, { compression: 'none' });
        expect(readFileSync(exported).equals(readFileSync(archive))).toBe(true);
      }
    } finally {
      await store.close();
    }
  });
});

test('archives of a directory are told by their names, and sorted', () => {
  const path = newDirectory();
  const names = ['b.tar.zst', 'a.tar', 'c.tar.gz', 'd.tar.txt', 'tar', 'e.img'];
  for (const name of names) writeFileSync(join(path, name), '');
  const expected = ['a.tar', 'b.tar.zst', 'c.tar.gz'].map((name) => join(path, name));
  expect(archivesIn(path)).toEqual(expected);
});

describe('the tables of steps', () => {
  const step = (name: string, isRestored: boolean): Step => {
    return { name, original: '/o', dump: { name, path: '/o' }, isRestored };
  };
  const steps = [step('first', false), step('second', true)];
  const run = (first: number, second: number, insideMs?: number): StepsRun => {
    const more = insideMs === undefined ? {} : { insideMs };
    const peak = { peakBytes: 5e6 };
    return {
      stored: [
        { milliseconds: first, addedBytes: 8e6, ...peak, ...more },
        { milliseconds: second, addedBytes: first * 1000, ...more },
      ],
      restored: [undefined, { milliseconds: second, copyMs: 500, ...more }],
    };
  };
  const runs = new Map([
    ['ours', [run(2000, 1000, 900), run(4000, 1000, 900)]],
    ['ours, otherwise', [run(1, 1, 1), run(1, 1, 1)]],
    ['peer', [run(1000, 1000), run(2000, 1000)]],
  ]);

  test('hold steps against the first, and ours against peers, run by run', () => {
    const { tables, plots } = presentSteps({ title: 'T', steps, runs });
    expect(tables.map(({ title }) => title)).toEqual([
      'T: storing',
      'T: bytes added',
      'T: ours beside peers, storing',
      'T: restoring',
    ]);
    const [storing, added, ratio, restoring] = tables.map(({ rows }) => rows);
    expect(storing).toHaveLength(5);
    expect(storing![0]).toMatchObject({
      subject: 'ours',
      'first, s': '3.00 (2.00-4.00)',
      'second / first': '0.38 (0.25-0.50)',
      'peak MB': '5',
    });
    expect(storing![1]).toMatchObject({ 'first, s': '0.90 (0.90-0.90)' });
    expect(added![2]).toMatchObject({ subject: 'peer', 'first, MB': '8.000' });
    expect(ratio).toHaveLength(1);
    expect(ratio![0]).toMatchObject({
      'ours / that of': 'peer',
      'first, time': '2.00 (2.00-2.00)',
      'second, bytes': '2.000 (2.000-2.000)',
    });
    expect(restoring![4]).toMatchObject({ subject: 'peer', 'second, x cp -a': '2.00 (2.00-2.00)' });
    expect(plots.map(({ title }) => title)).toContain('T: restoring, second');
  });

  test('say MB/s where the bytes of the source are known, and n/a for unknown peaks', () => {
    const one = new Map([['ours', [{ ...run(2000, 1000), restored: [undefined, undefined] }]]]);
    const sourceBytes = [4e6, 4e6];
    const { tables } = presentSteps({ title: 'T', steps, runs: one, sourceBytes });
    expect(tables[0]!.rows[0]).toMatchObject({ 'first, MB/s': '2', 'second, MB/s': '4' });
    expect(tables.at(-1)!.rows[0]).toMatchObject({ 'peak MB': 'n/a' });
  });
});
