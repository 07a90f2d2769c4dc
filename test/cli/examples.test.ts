/** The programs in examples/ do what their first lines say. */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  truncateSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { fixture } from '../support/fixtures.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { expectSameTree } from '../support/trees.ts';
import { startProgram, type Ended } from './program.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();
const store = newPath();
const dumps = [1, 2, 3].map((number) => fixture(`zoo-4.2/00${number}`));
const days = [1, 2, 3].map((day) => new Date(`2026-01-0${day}T10:00:00Z`));

async function runExample(name: string, ...args: string[]): Promise<Ended> {
  return await startProgram(`examples/${name}.ts`, args).ended;
}

beforeAll(async () => {
  const open = await openUnmanaged(store, { create: true });
  for (const [index, images] of dumps.entries()) {
    await open.timeline('zoo').capture({ images, takenAt: days[index] });
  }
  await open.close();
});

test('demo shows that a dump and an archive come back as they were', async () => {
  const { status, stdout, stderr } = await runExample('demo');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^ +total +8116\.9 kB/m);
  expect(stdout).toMatch(/ times smaller\.$/m);
  expect(stdout).toMatch(/^The restored directory is identical to the original/m);
  expect(stdout).toMatch(/It is byte for byte the one that was imported\.\n$/);
});

test('step-back restores the snapshot of a time', async () => {
  const target = newPath();
  const { status, stdout } = await runExample(
    'step-back',
    store,
    'zoo',
    '2026-01-02T23:59Z',
    target,
  );
  expect(stdout).toContain('zoo@2, taken at 2026-01-02T10:00:00.000Z');
  expect(status).toBe(0);
  expectSameTree(target, dumps[1] ?? '');
});

test('recover passes over damaged snapshots', async () => {
  const damaged = newPath();
  const target = newPath();
  cpSync(store, damaged, { recursive: true });
  const open = await openUnmanaged(damaged);
  const [, , last] = open.timeline('zoo').list();
  await open.close();
  truncatePackOfSize(damaged, last?.sizes.stored.bytes ?? 0);
  const { status, stdout, stderr } = await runExample('recover', damaged, 'zoo', target);
  expect(stderr).toMatch(/^zoo@3 is damaged: /);
  expect(stdout).toBe('Restored zoo@2, taken at 2026-01-02T10:00:00.000Z\n');
  expect(status).toBe(0);
  expectSameTree(target, dumps[1] ?? '');
});

test('ticker captures dumps as they appear, and stops at Ctrl-C', async () => {
  const spool = newPath();
  const newStore = newPath();
  mkdirSync(spool);
  cpSync(dumps[0] ?? '', join(spool, 'a'), { recursive: true });
  cpSync(dumps[1] ?? '', join(spool, '.b'), { recursive: true });
  utimesSync(join(spool, 'a/inventory.img'), 0, 1_000_000);
  const { child, ended } = startProgram('examples/ticker.ts', [newStore, 'zoo', spool, '0.05']);
  onTestFinished(() => void child.kill('SIGKILL'));
  const text: string[] = [];
  child.stdout?.on('data', (data) => text.push(String(data)));
  while (!text.join('').includes('a is now zoo@1')) await delay(5);
  cpSync(dumps[2] ?? '', join(spool, '.c'), { recursive: true });
  renameSync(join(spool, '.c'), join(spool, 'c'));
  while (!text.join('').includes('c is now zoo@2')) await delay(5);
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ status: 0, stderr: '' });
  const open = await openUnmanaged(newStore);
  const list = open.timeline('zoo').list();
  expect(list.map(({ labels }) => labels['dump'])).toEqual(['a', 'c']);
  expect(list[0]?.takenAt).toEqual(new Date(1_000_000_000));
  await open.close();
});

function truncatePackOfSize(directory: string, bytes: number): void {
  const packs = join(directory, 'packs');
  const paths = readdirSync(packs, { recursive: true, encoding: 'utf8' })
    .map((name) => join(packs, name))
    .filter((path) => path.endsWith('.pack') && statSync(path).size === bytes);
  expect(paths).toHaveLength(1);
  for (const path of paths) truncateSync(path, bytes - 1);
}
