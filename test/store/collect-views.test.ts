/** What a capture knows of a store that others collect while its handle learns of that. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { type CollectReport, SnapshotStore } from '../../src/index.ts';
import { captureMemory, expectMemory } from '../support/collected-stores.ts';
import { type Memory, randomPages, writeDump } from '../support/made-memory.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

const program = fileURLToPath(new URL('../support/collect-child.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Collects in another process, while this one does nothing at all. */
function collectElsewhere(directory: string, options: object, ...removed: string[]): CollectReport {
  const typescript = './test/support/typescript.mjs';
  const parameters = ['--import', typescript, '-C', '@criu-timeline/source', program];
  const said = execFileSync(
    process.execPath,
    [...parameters, directory, JSON.stringify(options), ...removed],
    {
      cwd: root,
    },
  );
  return JSON.parse(said.toString()) as CollectReport;
}

function memoryOf(pages: Map<number, Buffer>): Memory {
  return { spaces: new Map([['pagemap-1', pages]]), files: new Map() };
}

test('a capture refers to nothing that goes while its handle learns of a collection', async () => {
  const store = await openStore(newPath(), { workers: 0 });
  const [kept, dead] = [randomPages(16, 600, 1), randomPages(20_000, 600, 2)];
  const doomed = await captureMemory(store, newPath, memoryOf(new Map([...kept, ...dead])));
  const other = await captureMemory(store, newPath, memoryOf(kept));
  await doomed.remove();
  // Condemned, and still there.
  await store.collect({ wasteThreshold: 1, maxBytes: 0 });

  const memory = memoryOf(new Map([...kept, ...randomPages(5000, 6000, 3), ...dead]));
  const images = writeDump(newPath(), memory);
  let report: CollectReport | undefined;
  const onProgress = (): void => {
    if (report !== undefined) return;
    report = collectElsewhere(store.directory, { wasteThreshold: 0, maxMilliseconds: 2500 });
    other.describe();
  };
  const captured = await store.timeline('u').capture({ images }, { onProgress });
  expect(report?.compactedPacks).toBeGreaterThan(0);
  await expectMemory(captured, memory, newPath);
  await store.collect({ wasteThreshold: 0 });
  await expectMemory(captured, memory, newPath);
  expect((await store.verify()).problems).toEqual([]);
});

test('a description finds its packs, though a collection goes on in another process', async () => {
  let meanwhile: (() => void) | undefined;
  const files: Files = {
    ...nodeFiles,
    open: (path, how) => {
      if (String(path).endsWith('.pack')) {
        meanwhile?.();
        meanwhile = undefined;
      }
      return nodeFiles.open(path, how);
    },
  };
  const first = await openStore(newPath());
  const pages = randomPages(16, 100, 1);
  const { id } = await captureMemory(first, newPath, memoryOf(pages));
  const other = memoryOf(new Map([...pages, ...randomPages(5000, 100, 2)]));
  const doomed = await captureMemory(first, newPath, other);
  const kept = await captureMemory(first, newPath, memoryOf(randomPages(5000, 50, 2)));
  await first.snapshot(id).remove();
  await doomed.remove();
  const store = await openStore(first.directory, { files, workers: 0 });
  const snapshot = store.snapshot(kept.id);
  let report: CollectReport | undefined;
  meanwhile = () => {
    report = collectElsewhere(store.directory, { wasteThreshold: 0, maxMilliseconds: 2500 });
  };
  expect(snapshot.describe().images.length).toBeGreaterThan(0);
  expect(report).toMatchObject({ dryRun: false });
  await expectMemory(snapshot, memoryOf(randomPages(5000, 50, 2)), newPath);
});

test('what an unknown pack differs from stays, though it is condemned already', async () => {
  const store = await openUnmanaged(newPath(), { create: true, workers: 0 });
  const { directory } = store;
  const first = randomPages(16, 600, 1);
  const base = await captureMemory(store, newPath, memoryOf(first));
  const memory = memoryOf(new Map([...first, ...randomPages(5000, 3000, 3)]));
  const images = writeDump(newPath(), memory);
  const old = newPath();
  const onProgress = (): void => {
    if (existsSync(old)) return;
    collectElsewhere(directory, { maxMilliseconds: 2500 }, base.id);
    cpSync(join(directory, 'catalog.sqlite'), old);
    cpSync(join(directory, 'catalog.sqlite-wal'), `${old}-wal`);
  };
  const { id } = await store.timeline('t').capture({ images }, { onProgress });
  await store.close();
  for (const suffix of ['', '-wal', '-shm']) {
    rmSync(join(directory, `catalog.sqlite${suffix}`), { force: true });
    if (suffix !== '-shm') cpSync(`${old}${suffix}`, join(directory, `catalog.sqlite${suffix}`));
  }
  await (async () => {
    await using again = await openUnmanaged(directory);
    await again.collect({ wasteThreshold: 0 });
    await again.collect({ wasteThreshold: 0 });
  })();
  await SnapshotStore.repair(directory);
  const mended = await openStore(directory);
  await expectMemory(mended.snapshot(id), memory, newPath);
});

test('a store that is only read does not call damaged what a collection has moved', async () => {
  const directory = newPath();
  const store = await openStore(directory);
  const pages = randomPages(16, 40, 1);
  const first = await captureMemory(store, newPath, memoryOf(pages));
  const half = new Map([...pages].filter(([address]) => address % 2 === 0));
  const second = await captureMemory(store, newPath, memoryOf(half));
  const reader = await openStore(directory, { readOnly: true });
  await first.remove();
  await store.collect({ wasteThreshold: 0 });
  expect((await store.verify()).problems).toEqual([]);
  const failure: unknown = await reader
    .snapshot(second.id)
    .restore(newPath())
    .catch((error: unknown) => error);
  expect(failure).not.toMatchObject({ code: 'CORRUPT' });
});
