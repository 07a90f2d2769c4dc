/**
 * A snapshot whose tree was written by an enemy, with the right checksums: what no import would let
 * by is put in between unpacking and storing. To verify finds it; to restore and to export refuse
 * it, and nothing goes anywhere.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { UnpackedArchive } from '../../src/archives/unpack.ts';
import type { SnapshotStore } from '../../src/index.ts';
import { comparePaths, type SourceNode } from '../../src/tree/entry.ts';
import { expectFailure } from '../support/failures.ts';
import { importableWith } from '../support/made-archives.ts';
import { makeDump } from '../support/made-dumps.ts';
import { bytesOf, plainNode, textOf } from '../support/made-nodes.ts';
import { packFiles } from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

let evil: readonly SourceNode[] = [];

vi.mock(import('../../src/archives/unpack.ts'), async (original) => {
  const actual = await original();
  const unpackArchive: typeof actual.unpackArchive = async (...values) => {
    const unpacked = await actual.unpackArchive(...values);
    return { ...unpacked, nodes: withEvil(unpacked.nodes) };
  };
  return { ...actual, unpackArchive };
});

function withEvil(nodes: UnpackedArchive['nodes']): SourceNode[] {
  const all = new Map(nodes.map((node) => [textOf(node.path), node]));
  for (const node of evil) all.set(textOf(node.path), node);
  return [...all.values()].sort((a, b) => comparePaths(a.path, b.path));
}

const name = (path: string, target: string): SourceNode => ({
  ...plainNode(path, { kind: 'hard', target: bytesOf(target) }),
  content: undefined,
});

/** A store of one snapshot: of an archive with the file `a`, and with these nodes in its tree. */
async function storeOf(...nodes: readonly SourceNode[]): Promise<SnapshotStore> {
  const store = await openStore(newPath(), { workers: 0 });
  const path = newPath();
  const inventory = readFileSync(join(makeDump(newPath(), 1), 'inventory.img'));
  writeFileSync(path, importableWith(inventory, { name: 'a', content: 'of the container' }));
  evil = nodes;
  await store.timeline('t').import(path);
  return store;
}

async function problemsOf(store: SnapshotStore): Promise<unknown[]> {
  const [file] = packFiles(store.directory);
  const { problems } = await store.verify();
  for (const problem of problems) {
    expect(problem).toMatchObject({ file, snapshot: store.snapshot('t@1').id });
  }
  return problems.map(({ code, message }) => `${code} ${message}`);
}

/** Neither images nor files come to be, nor anything else beside them. */
async function expectNotRestored(store: SnapshotStore, message: RegExp): Promise<void> {
  const place = newPath();
  mkdirSync(place);
  const files = join(place, 'files');
  const restore = () => store.snapshot('t@1').restore(join(place, 'images'), { files });
  await expectFailure(restore, { code: 'CORRUPT', message });
  expect(readdirSync(place)).toEqual([]);
}

describe('a tree written by an enemy', () => {
  test('is none where nothing was put in', async () => {
    const store = await storeOf();
    expect(await problemsOf(store)).toEqual([]);
    await store.snapshot('t@1').restore(newPath(), { files: newPath() });
    await store.snapshot('t@1').export(newPath());
  });

  test.each<[string, SourceNode, RegExp]>([
    [
      'a name that leads out',
      { ...plainNode('files/b/../../../c'), content: undefined },
      /not a path inside a tree/,
    ],
    ['a name of an image', name('files/b', 'layouts/archive'), /a name of a file elsewhere/],
    ['a name of what is missing', name('files/b', 'files/aa'), /missing|not made/],
    [
      'a file that is in no directory',
      { ...plainNode('files/x/y'), content: undefined },
      /not (made, or not )?in a directory/,
    ],
  ])('with %s is found, and not restored', async (_name, node, message) => {
    const store = await storeOf(node);
    expect(await problemsOf(store)).toEqual([expect.stringMatching(message)]);
    await expectNotRestored(store, message);
  });

  test('with names that go round in a circle is found, and not exported', async () => {
    const store = await storeOf(name('files/a', 'files/b'), name('files/b', 'files/a'));
    expect(await problemsOf(store)).toEqual([expect.stringMatching(/before its file/)]);
    await expectNotRestored(store, /not made/);
    const place = newPath();
    mkdirSync(place);
    const export_ = () => store.snapshot('t@1').export(join(place, 'archive'));
    await expectFailure(export_, { code: 'CORRUPT', message: /files\/a is one more name of a/ });
    expect(readdirSync(place)).toEqual([]);
  });
});
