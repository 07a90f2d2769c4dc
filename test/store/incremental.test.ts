/**
 * Incremental dumps whose parents' directories are gone: their pages are in the snapshot that was
 * captured before. A snapshot that cannot be the parent is refused, and nothing is published.
 */
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { SnapshotStore } from '../../src/index.ts';
import { expectFailure } from '../support/failures.ts';
import { fixture } from '../support/fixtures.ts';
import {
  type DumpOptions,
  expectSameContent,
  type Memory,
  randomPages,
  withBytes,
  writeDump,
} from '../support/made-memory.ts';
import { expectRefused } from '../support/refusals.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { expectSameTree } from '../support/trees.ts';

const newPath = temporaryPaths();

/** Restores a snapshot and compares it with a full dump. */
async function expectFull(store: SnapshotStore, reference: string, full: string): Promise<void> {
  const target = newPath();
  await store.snapshot(reference).restore(target);
  expect(existsSync(join(target, 'parent'))).toBe(false);
  expectSameContent(target, full);
  expect((await store.verify()).problems).toEqual([]);
}

describe.each(['4.1', '4.2'])('a real chain of CRIU %s', (version) => {
  const full = (number: number): string => fixture(`zoo-${version}/00${number}`);

  test('comes out flat and whole though each directory is gone after its capture', async () => {
    const work = newPath();
    const store = await openStore(newPath());
    for (const number of [1, 2, 3]) {
      const images = join(work, String(number));
      mkdirSync(work, { recursive: true });
      cpSync(fixture(`chain-${version}/${number}`), images, {
        recursive: true,
        verbatimSymlinks: true,
      });
      const snapshot = await store.timeline('t').capture({ images });
      expect(snapshot.sequence).toBe(number);
      rmSync(images, { recursive: true });
    }
    for (const number of [1, 2, 3]) await expectFull(store, `t@${number}`, full(number));
    const first = newPath();
    await store.snapshot('t@1').restore(first);
    expectSameTree(first, fixture(`chain-${version}/1`));
    // Whatever becomes of the snapshots before it.
    await store.snapshot('t@1').remove();
    await store.snapshot('t@2').remove();
    await expectFull(store, 't@3', full(3));
  });

  test('is the same whether its parent is read from disk or from the store', async () => {
    const takenAt = new Date(0);
    const digests = [];
    for (const isGone of [false, true]) {
      const work = newPath();
      const store = await openStore(newPath());
      cpSync(fixture(`chain-${version}`), work, { recursive: true, verbatimSymlinks: true });
      for (const number of [1, 2, 3]) {
        const images = join(work, String(number));
        await store.timeline('t').capture({ images, takenAt });
        if (isGone) rmSync(images, { recursive: true });
      }
      digests.push(
        store
          .timeline('t')
          .list()
          .map(({ digest }) => digest),
      );
    }
    expect(digests[1]).toEqual(digests[0]);
  });

  test('without its first dump is refused', async () => {
    const work = join(newPath(), '2');
    const store = await openStore(newPath());
    cpSync(fixture(`chain-${version}/2`), work, { recursive: true, verbatimSymlinks: true });
    const expected = { code: 'INCOMPLETE', message: /parent directory .* is missing/ } as const;
    await expectFailure(() => store.timeline('t').capture({ images: work }), expected);
    expect(store.timelines()).toEqual([]);
  });
});

/** A process of which two pages change, and another one grows. */
function memoryAt(moment: number): Memory {
  const pages = randomPages(16, 600, 1);
  for (const address of [20, 560]) {
    const page = pages.get(address) ?? Buffer.alloc(4096);
    pages.set(address, withBytes(page, 99, Uint8Array.of(moment)));
  }
  const spaces = new Map([
    ['pagemap-1', pages],
    ['pagemap-2', randomPages(16, 5 + moment, 2)],
  ]);
  return { spaces, files: new Map() };
}

function dumpAt(moment: number, options: DumpOptions = {}): string {
  return writeDump(newPath(), memoryAt(moment), options);
}

const runId = (text: string): Record<string, unknown> => ({
  dump_criu_run_id: new TextEncoder().encode(text),
});

describe('a made incremental dump', () => {
  test('goes on from the snapshot that it is told, of any timeline', async () => {
    const store = await openStore(newPath());
    for (const moment of [0, 1, 2]) await store.timeline('a').capture({ images: dumpAt(moment) });
    for (const moment of [0, 1, 2]) {
      const images = dumpAt(5, { on: memoryAt(moment) });
      const parent = `a@${moment + 1}`;
      const snapshot = await store.timeline('b').capture({ images, parent });
      expect(snapshot.parentId).toBe(store.snapshot(parent).id);
      await expectFull(store, snapshot.id, dumpAt(5));
    }
  });

  test('of a pre-dump, of which only the snapshot is left', async () => {
    const store = await openStore(newPath());
    await store.timeline('t').capture({ images: dumpAt(0, { preDump: true }) });
    await store.timeline('t').capture({ images: dumpAt(1, { preDump: true, on: memoryAt(0) }) });
    const images = dumpAt(2, { on: memoryAt(1) });
    expect((await store.timeline('t').capture({ images })).kind).toBe('restorable');
    await expectFull(store, 't@3', dumpAt(2));
  });

  test('finds its parent by the run id that the link leads to, among newer ones', async () => {
    const store = await openStore(newPath());
    const dumps = [0, 1, 2].map((moment) => dumpAt(moment, { inventory: runId(`run ${moment}`) }));
    for (const images of dumps) await store.timeline('t').capture({ images });
    // Only the inventory of the parent is left.
    const parent = dumps[1] ?? '';
    for (const name of ['pagemap-1.img', 'pages-1.img', 'pagemap-2.img', 'pages-2.img']) {
      rmSync(join(parent, name));
    }
    const images = dumpAt(7, { on: memoryAt(1), parent, inventory: runId('run 7') });
    const snapshot = await store.timeline('t').capture({ images });
    expect(snapshot.parentId).toBe(store.snapshot('t@2').id);
    await expectFull(store, 't@4', dumpAt(7, { inventory: runId('run 7') }));
  });

  test.each<[string, DumpOptions, DumpOptions, RegExp]>([
    [
      'of another run than the link leads to',
      { inventory: runId('one') },
      { inventory: runId('two'), parent: 'other' },
      /link leads to another dump: run id other, not one/,
    ],
    [
      'that is the same dump',
      { inventory: runId('one') },
      { inventory: runId('one') },
      /same dump, one/,
    ],
    [
      'that was dumped later',
      { inventory: { dump_uptime: 2000n } },
      { inventory: { dump_uptime: 1000n } },
      /not older than this dump/,
    ],
  ])('refuses a parent %s', async (_, first, second, message) => {
    const store = await openStore(newPath());
    await store.timeline('t').capture({ images: dumpAt(0, first) });
    const parent = second.parent && dumpAt(0, { inventory: runId(second.parent) });
    const images = dumpAt(1, { on: memoryAt(0), ...second, parent });
    const source = { images, parent: 't@1' };
    await expectRefused(store, source, { code: 'INVALID_IMAGE', message });
  });

  test('refuses a parent that lacks an address, or a space', async () => {
    const store = await openStore(newPath());
    await store.timeline('t').capture({ images: dumpAt(0) });
    // Made on top of moment 3, which has pages that moment 0 has not.
    const images = dumpAt(4, { on: memoryAt(3) });
    const message = /page 0x15000 .* in the parent, but/;
    await expectRefused(store, { images, parent: 't@1' }, { code: 'INVALID_IMAGE', message });
    const spaces = new Map([['pagemap-3', randomPages(0, 3, 1)]]);
    const memory = { spaces, files: new Map<string, Buffer>() };
    const other = writeDump(newPath(), memory, { on: memory });
    const absent = /the given snapshot has no pagemap-3/;
    await expectRefused(
      store,
      { images: other, parent: 't@1' },
      { code: 'INVALID_IMAGE', message: absent },
    );
  });

  test('of a parent that was removed is refused, and goes on once it is back', async () => {
    const store = await openStore(newPath());
    const parent = await store.timeline('t').capture({ images: dumpAt(0) });
    await parent.remove();
    const images = dumpAt(1, { on: memoryAt(0) });
    await expectFailure(() => store.timeline('t').capture({ images, parent }), {
      code: 'NOT_FOUND',
    });
    await parent.undelete();
    await expectFull(store, (await store.timeline('t').capture({ images })).id, dumpAt(1));
  });

  test('that has all of its pages needs no parent', async () => {
    const store = await openStore(newPath());
    const nothing = { spaces: new Map(), files: new Map() };
    const images = dumpAt(1, { on: nothing });
    const snapshot = await store.timeline('t').capture({ images });
    rmSync(join(images, 'parent'));
    await expectRestores(snapshot, images);
  });
});
