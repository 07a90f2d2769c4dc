/** `--json`: every command prints one document that says the same as the library. */
import { beforeAll, expect, test } from 'vitest';
import type { SnapshotStore } from '../../src/index.ts';
import { fixture } from '../support/fixtures.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { treeBytes } from '../support/trees.ts';
import { documentOf } from './program.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();
const store = newPath();
const images = fixture('zoo-4.2/001');
const on = (command: string, ...args: string[]) => documentOf(command, '--store', store, ...args);
let captured: Record<string, unknown> = {};

/** What the library itself says, as JSON. */
async function inLibrary(read: (store: SnapshotStore) => unknown): Promise<unknown> {
  const open = await openUnmanaged(store, { readOnly: true });
  try {
    return JSON.parse(JSON.stringify(await read(open)));
  } finally {
    await open.close();
  }
}

beforeAll(async () => {
  captured = await on('capture', 'zoo', images, '--label', '__proto__=x');
});

test('capture prints the snapshot with its id', async () => {
  expect(captured).toEqual(await inLibrary((open) => open.snapshot('zoo@1')));
  expect(captured['id']).toMatch(/^[0-9A-Z]{26}$/);
  expect(captured['sizes']).toMatchObject({ logical: { bytes: treeBytes(images) } });
  expect(Object.entries(captured['labels'] as object)).toEqual([['__proto__', 'x']]);
});

test('list prints timelines with their snapshots', async () => {
  expect(await on('list')).toEqual({ timelines: [{ name: 'zoo', snapshots: [captured] }] });
  expect(await on('list', 'zoo')).toEqual(await on('list'));
});

test('list of an empty store prints an empty list', async () => {
  const empty = newPath();
  await (await openUnmanaged(empty, { create: true })).close();
  expect(await documentOf('list', '--store', empty)).toEqual({ timelines: [] });
});

test('show prints facts, images and processes', async () => {
  const described = await inLibrary((open) => open.snapshot('zoo').describe());
  const shown = await on('show', 'zoo');
  expect(shown).toEqual({ ...captured, ...(described as object) });
  expect(shown['processes']).toHaveLength(2);
});

test('restore prints the snapshot and the target', async () => {
  const target = newPath();
  expect(await on('restore', 'zoo', target)).toEqual({ snapshot: captured, target });
});

test('remove and undelete print the snapshot as it is then', async () => {
  expect(await on('remove', 'zoo')).toEqual({ ...captured, removed: true });
  expect(await on('undelete', 'zoo@1')).toEqual({ ...captured, removed: false });
});

test('verify prints its report', async () => {
  const report = {
    level: 'quick',
    packs: 1,
    snapshots: 1,
    leftOut: { packs: 0, packBytes: 0, snapshots: 0 },
    unknownPacks: [],
    damagedPacks: [],
    lostSnapshots: [],
    problems: [],
    problemCount: 0,
  };
  expect(await on('verify', '--level', 'quick')).toEqual(report);
});

test('verify says when every pack was last found right', async () => {
  const { oldestVerifiedAt } = await on('verify', '--level', 'packs', '--max-bytes', '1G');
  expect(Date.now() - Date.parse(String(oldestVerifiedAt))).toBeLessThan(60_000);
});

test('backup prints what it copied', async () => {
  const target = newPath();
  const bytes = await inLibrary((open) => open.statistics().storedBytes);
  expect(await on('backup', target)).toEqual({
    target,
    snapshots: 1,
    packs: { copied: 1, copiedBytes: bytes, kept: 0, removed: 0 },
    damagedPacks: [],
    problems: [],
  });
});

test('stats prints exact numbers', async () => {
  expect(await on('stats')).toEqual(await inLibrary((open) => open.statistics()));
});
