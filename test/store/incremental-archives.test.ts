/**
 * Incremental dumps in archives: their parents are snapshots of the store, whatever their links
 * say, and what comes out is whole.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PE_PARENT } from '../../src/criu/index.ts';
import type { ImportOptions, Snapshot, SnapshotStore } from '../../src/index.ts';
import { expectFailure } from '../support/failures.ts';
import { fixture } from '../support/fixtures.ts';
import { makeImageDirectory } from '../support/image-directories.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectSameContent } from '../support/made-memory.ts';
import { extract } from '../support/shop-archives.ts';
import { packImages } from '../support/small-archives.ts';
import { openStore } from '../support/stores.ts';
import { storeState } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { expectSameTree } from '../support/trees.ts';

const newPath = temporaryPaths();
const PARENT = '../pre-checkpoint';

async function imported(
  store: SnapshotStore,
  archive: Buffer,
  options: ImportOptions = {},
): Promise<Snapshot> {
  const path = newPath();
  writeFileSync(path, archive);
  return await store.timeline('t').import(path, options);
}

/** The dump of a real chain, as podman packs it; an empty parent is none. */
function link(number: number, parent = PARENT): Buffer {
  const images = fixture(`chain-4.2/${number}`);
  return packImages(newPath(), images, number === 1 || parent === '' ? {} : { parent });
}

async function restored(snapshot: Snapshot): Promise<string> {
  const target = newPath();
  await snapshot.restore(target);
  return target;
}

async function exported(snapshot: Snapshot): Promise<string> {
  const path = newPath();
  await snapshot.export(path, { compression: 'none' });
  return extract(path, newPath());
}

async function newStore(): Promise<SnapshotStore> {
  return await openStore(newPath(), { workers: 0 });
}

describe('a chain of archives', () => {
  test('comes back flat and whole, each as a snapshot that continues the one before', async () => {
    const store = await newStore();
    const snapshots: Snapshot[] = [];
    for (const number of [1, 2, 3]) snapshots.push(await imported(store, link(number)));
    expect(snapshots.map(({ parentId }) => parentId)).toEqual([
      undefined,
      snapshots[0]!.id,
      snapshots[1]!.id,
    ]);
    for (const [i, snapshot] of snapshots.entries()) {
      const images = await restored(snapshot);
      expect(existsSync(join(images, 'parent'))).toBe(false);
      expectSameContent(images, fixture(`zoo-4.2/00${i + 1}`));
    }
    expect((await store.verify()).problems).toEqual([]);
  });

  test('is exported as whole dumps without links, which are imported anywhere', async () => {
    const store = await newStore();
    for (const number of [1, 2, 3]) await imported(store, link(number));
    for (const number of [1, 2, 3]) {
      const snapshot = store.snapshot(`t@${number}`);
      const bundle = await exported(snapshot);
      expect(readdirSync(bundle).sort()).toEqual(['checkpoint', 'config.dump', 'spec.dump']);
      expectSameTree(join(bundle, 'checkpoint'), await restored(snapshot), { topMode: false });
      const archive = newPath();
      await snapshot.export(archive);
      const other = await (await newStore()).timeline('t').import(archive);
      expectSameTree(await restored(other), await restored(snapshot));
    }
  });

  test('may begin with a pre-dump, which is exported as one', async () => {
    const store = await newStore();
    const space = { name: 'pagemap-7', pagesId: 1 };
    const all = { start: 16, count: 10 };
    const changed = { start: 21, count: 5, seed: 99 };
    const kept = { start: 16, count: 5 };
    const before = makeImageDirectory(newPath(), {
      imageVersion: 0,
      spaces: [{ ...space, runs: [all] }],
    });
    const after = makeImageDirectory(newPath(), {
      spaces: [{ ...space, runs: [{ ...kept, flags: PE_PARENT }, changed] }],
    });
    const whole = makeImageDirectory(newPath(), { spaces: [{ ...space, runs: [kept, changed] }] });
    const archive = packImages(newPath(), before, { member: 'pre-checkpoint' });
    const first = await imported(store, archive);
    expect(first.kind).toBe('pre-dump');
    const again = newPath();
    await first.export(again, { compression: 'none' });
    expect(readFileSync(again).equals(archive)).toBe(true);
    const second = await imported(store, packImages(newPath(), after, { parent: PARENT }));
    expectSameContent(await restored(second), whole);
  });

  test('keeps images where an archive has them, whatever they are', async () => {
    const archive = packImages(newPath(), fixture('chain-4.2/1'), { member: 'pre-checkpoint' });
    const snapshot = await imported(await newStore(), archive);
    const again = newPath();
    await snapshot.export(again, { compression: 'none' });
    expect(readFileSync(again).equals(archive)).toBe(true);
  });

  test('continues the snapshot that the caller names', async () => {
    const store = await newStore();
    const first = await imported(store, link(1));
    await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    const second = await imported(store, link(2), { parent: first.id });
    expect(second.parentId).toBe(first.id);
    expectSameContent(await restored(second), fixture('zoo-4.2/002'));
  });
});

describe('an incremental archive is refused', () => {
  async function expectRefused(
    store: SnapshotStore,
    archive: Buffer,
    expected: Parameters<typeof expectFailure>[1],
    options: ImportOptions = {},
  ): Promise<void> {
    const before = storeState(store.directory);
    await expectFailure(() => imported(store, archive, options), expected);
    expect(storeState(store.directory)).toEqual(before);
  }

  test('without its parent, and the error names the link', async () => {
    const store = await newStore();
    const message = /parent.* is missing .*:checkpoint\/parent/;
    await expectRefused(store, link(2), { code: 'INCOMPLETE', message });
    await expectRefused(store, link(2, ''), { code: 'INVALID_IMAGE' });
  });

  test('though its link leads to its parent on this machine', async () => {
    const store = await newStore();
    const archive = link(2, fixture('chain-4.2/1'));
    await expectRefused(store, archive, { code: 'INCOMPLETE', message: /is missing/ });
  });

  test('when its parent has been another dump, or is itself', async () => {
    const store = await newStore();
    await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    await expectRefused(store, link(2), { code: 'INVALID_IMAGE' });
    const first = await imported(store, link(1));
    const second = await imported(store, link(2));
    const message = /not the parent of this dump/;
    await expectRefused(store, link(2), { code: 'INVALID_IMAGE', message }, { parent: second });
    await first.remove();
    await expectRefused(store, link(2), { code: 'NOT_FOUND' }, { parent: first });
  });
});
