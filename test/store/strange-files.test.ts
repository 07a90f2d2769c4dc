/**
 * Things in packs/ that are no packs: whatever else the store does, it passes them over, and leaves
 * them where they are.
 */
import { lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { SnapshotStore } from '../../src/index.ts';
import {
  captureMemory,
  expectMemory,
  firstMemory,
  laterMemory,
} from '../support/collected-stores.ts';
import type { Memory } from '../support/made-memory.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

const STRANGERS: readonly [string, (path: string) => void][] = [
  ['0', (path) => writeFileSync(path, 'kept by hand')],
  ['empty', (path) => mkdirSync(path)],
  ['full/of', (path) => writeFileSync(path, 'something')],
  ['link', (path) => symlinkSync('nowhere', path)],
  ['ab/notes.txt', (path) => writeFileSync(path, 'not a pack')],
  [`ab/ab${'0'.repeat(62)}.pack`, (path) => mkdirSync(path)],
  [`ab/ab${'1'.repeat(62)}.pack/inside`, (path) => writeFileSync(path, 'deep')],
  ['ab/link.pack', (path) => symlinkSync('nowhere', path)],
  ['ab/loop.pack', (path) => symlinkSync('loop.pack', path)],
];

test('what is no pack in packs/ is no hindrance to anything, and stays', async () => {
  const [directory, target] = [newPath(), newPath()];
  const memories: Memory[] = [firstMemory(100)];
  for (let i = 1; i < 4; i++) memories.push(laterMemory(memories[i - 1] as Memory, i));
  await (async () => {
    await using store = await openStore(directory);
    for (const memory of memories) await captureMemory(store, newPath, memory);
  })();
  const paths = STRANGERS.map(([name, make]) => {
    const path = join(directory, 'packs', name);
    mkdirSync(dirname(path), { recursive: true });
    make(path);
    return path;
  });
  await using store = await openStore(directory);
  await store.snapshot('t@2').remove();
  memories.push(laterMemory(memories[3] as Memory, 9));
  await captureMemory(store, newPath, memories[4] as Memory);
  expect((await store.verify()).problems).toEqual([]);
  const trial = await store.collect({ wasteThreshold: 0, dryRun: true });
  const report = await store.collect({ wasteThreshold: 0 });
  expect(report).toMatchObject({ complete: true, damage: [], deadPages: trial.deadPages });
  expect(report.unlinkedBytes).toBeGreaterThan(0);
  const files = paths.filter((path) => /packs\/0$|of$|txt$/.test(path));
  expect(report.unknownPacks).toEqual(files.sort());
  await store.backup(target);
  await using copy = await openStore(target, { readOnly: true });
  for (const each of [store, copy]) {
    for (const i of [0, 2, 3, 4]) {
      await expectMemory(each.snapshot(`t@${i + 1}`), memories[i], newPath);
    }
  }
  for (const path of paths) lstatSync(path);
  await SnapshotStore.repair(directory, { dryRun: true });
  const repaired = await store.repair();
  expect(repaired.snapshots.lost).toEqual([]);
});
