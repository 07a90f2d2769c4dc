/**
 * Worker threads: the same snapshots with any number of them, and nothing lost or left behind when
 * they fail, are stopped in the middle, or die.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type * as workerThreads from 'node:worker_threads';
import { describe, expect, test, vi } from 'vitest';
import type { SnapshotStore } from '../../src/index.ts';
import { openDescriptors } from '../support/doors.ts';
import { expectFailure, failureOf } from '../support/failures.ts';
import { makeLargeDump, MEBIBYTE_PAGES } from '../support/large-dumps.ts';
import { type Memory, randomPages, withBytes, writeDump } from '../support/made-memory.ts';
import { packsOf, pageBytesOf } from '../support/store-contents.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { storeState } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const FOUR_MIB = 4 * 1024 * 1024;

/** Every worker that was started, so that a test can end one. */
const started = vi.hoisted((): workerThreads.Worker[] => []);

vi.mock('node:worker_threads', async (importOriginal) => {
  const original = await importOriginal<typeof workerThreads>();
  class RecordedWorker extends original.Worker {
    constructor(...parameters: ConstructorParameters<typeof workerThreads.Worker>) {
      super(...parameters);
      started.push(this);
    }
  }
  return { ...original, Worker: RecordedWorker };
});

/** Two processes of several slices, of which every seventh page changes from moment to moment. */
function memoryAt(moment: number): Memory {
  const pages = randomPages(16, 3000, 1);
  for (let address = 16; moment > 0 && address < 3016; address += 7) {
    const page = pages.get(address) ?? Buffer.alloc(4096);
    pages.set(address, withBytes(page, address % 4000, Uint8Array.of(moment, 3)));
  }
  for (let address = 100; address < 110; address++) pages.set(address, Buffer.alloc(4096));
  const spaces = new Map([
    ['pagemap-1', pages],
    ['pagemap-2', randomPages(16, 600 + moment, 2)],
  ]);
  return { spaces, files: new Map() };
}

const dumps = [0, 1, 2].map(memoryAt);

function dump(moment: number): string {
  return writeDump(newPath(), dumps[moment] ?? memoryAt(moment));
}

/** Aborts, or fails, as soon as a capture reports that pages have been kept. */
function onFirstPages(action: () => void): { onProgress: () => void } {
  let isFirst = true;
  return {
    onProgress: () => {
      if (isFirst) action();
      isFirst = false;
    },
  };
}

/**
 * How many files are open once workers have closed what they were told to close, but for packs:
 * each worker keeps those open that it has read, whenever that was.
 */
async function settledDescriptors(): Promise<number> {
  await delay(100);
  return openDescriptors((path) => !path.endsWith('.pack'));
}

test('any number of workers gives the same snapshots, in packs of the same sizes', async () => {
  const takenAt = new Date(0);
  const outcomes = [];
  for (const workers of [0, 1, 2, 3]) {
    const store = await openStore(newPath(), { workers });
    const snapshots = [];
    for (const moment of [0, 1, 2]) {
      const images = dump(moment);
      snapshots.push(await store.timeline('t').capture({ images, takenAt }));
      rmSync(images, { recursive: true });
    }
    const packs = await packsOf(store.directory);
    outcomes.push({
      digests: snapshots.map(({ digest }) => digest),
      pages: packs.map(pageBytesOf),
      frames: packs.map(({ frames }) => frames),
      recipes: packs.map(({ manifest }) => manifest.entries.map(({ content }) => content?.recipe)),
    });
    for (const [moment, snapshot] of snapshots.entries()) {
      await expectRestores(snapshot, dump(moment));
    }
    expect((await store.verify()).problems).toEqual([]);
    await store.close();
    rmSync(store.directory, { recursive: true });
  }
  for (const outcome of outcomes.slice(1)) expect(outcome).toEqual(outcomes[0]);
});

describe('with two workers', () => {
  /** Fails unless a store takes captures as if nothing had been. */
  async function expectGoesOn(store: SnapshotStore): Promise<void> {
    const images = dump(2);
    await expectRestores(await store.timeline('t').capture({ images }), images);
    expect((await store.verify()).problems).toEqual([]);
    const own = readdirSync(join(store.directory, 'staging'));
    expect(readdirSync(join(store.directory, 'staging', own[0] ?? ''))).toEqual([]);
  }

  test.each(['capture', 'restore', 'verify'])(
    'one that dies fails a %s, not the store',
    async (what) => {
      const store = await openStore(newPath(), { workers: 2 });
      const snapshot = await store.timeline('t').capture({ images: dump(0) });
      const before = storeState(store.directory);
      const target = newPath();
      const images = dump(1);
      const died: unknown[] = [];
      // Whichever gets a task first, dies of it.
      for (const worker of started) {
        const post = worker.postMessage.bind(worker);
        worker.postMessage = (order: { type: string }) => {
          post(order);
          if (order.type === 'task') void worker.terminate();
        };
      }
      const operation = {
        capture: () => store.timeline('other').capture({ images }),
        restore: () => snapshot.restore(target),
        verify: () => store.verify(),
      }[what];
      await operation?.().catch((error: unknown) => died.push(error));
      expect(died[0]).toMatchObject({
        code: 'STORAGE',
        message: expect.stringContaining('worker'),
      });
      if (what !== 'capture') expect(storeState(store.directory)).toEqual(before);
      // The other one may be dying as well, or have got no task yet.
      await Promise.all(started.map((worker) => worker.terminate()));
      await expectGoesOn(store);
    },
  );

  test('an abort in the middle leaves the store as it was', async () => {
    const store = await openStore(newPath(), { workers: 2 });
    await store.timeline('t').capture({ images: dump(0) });
    const before = storeState(store.directory);
    const images = dump(1);
    let descriptors = 0;
    for (let round = 0; round < 4; round++) {
      const controller = new AbortController();
      const options = { signal: controller.signal, ...onFirstPages(() => controller.abort()) };
      const capture = () => store.timeline('t').capture({ images }, options);
      await expectFailure(capture, { code: 'ABORTED' });
      expect(storeState(store.directory)).toEqual(before);
      if (round === 1) descriptors = await settledDescriptors();
    }
    expect(await settledDescriptors()).toBeLessThanOrEqual(descriptors);
    await expectGoesOn(store);
  });

  test('images that vanish in the middle fail the capture, and nothing else', async () => {
    const store = await openStore(newPath(), { workers: 2 });
    await store.timeline('t').capture({ images: dump(0) });
    const before = storeState(store.directory);
    const images = dump(1);
    const options = onFirstPages(() => rmSync(images, { recursive: true }));
    const error = await failureOf(() => store.timeline('t').capture({ images }, options));
    expect(error.code).toBe('INCOMPLETE');
    expect(error.message).toContain(images);
    expect(storeState(store.directory)).toEqual(before);
    await expectGoesOn(store);
  });

  test('captures of several timelines at once, and restores beside them, are whole', async () => {
    const store = await openStore(newPath(), { workers: 2 });
    const first = dump(0);
    const base = await store.timeline('base').capture({ images: first });
    const names = ['a', 'b', 'c', 'd'];
    const sources = names.map((_, i) => dump(i % 3));
    const captures = names.map((name, i) =>
      store.timeline(name).capture({ images: sources[i] ?? '' }),
    );
    const restores = [1, 2].map(async () => {
      const target = newPath();
      await base.restore(target);
    });
    const snapshots = await Promise.all(captures);
    await Promise.all(restores);
    for (const [i, snapshot] of snapshots.entries()) {
      await expectRestores(snapshot, sources[i] ?? '');
    }
    await expectRestores(base, first);
    expect((await store.verify()).problems).toEqual([]);
  });

  test('closing waits for what runs, and ends the workers', async () => {
    const directory = newPath();
    const store = await openStore(directory, { workers: 2 });
    const count = started.length;
    const images = dump(0);
    const capture = store.timeline('t').capture({ images });
    const closing = store.close();
    const { id } = await capture;
    await closing;
    expect(started.length - count).toBe(2);
    expect(started.slice(count).map(({ threadId }) => threadId)).toEqual([-1, -1]);
    const again = await openStore(directory);
    await expectRestores(again.snapshot(id), images);
  });

  describe('that have not been needed yet', () => {
    /** What a capture of images that are not whole starts, before it fails. */
    async function startedBy(store: SnapshotStore, pageBytes: readonly number[]): Promise<number> {
      const count = started.length;
      const images = newPath();
      mkdirSync(images);
      for (const [i, bytes] of pageBytes.entries()) {
        writeFileSync(join(images, `pages-${i + 1}.img`), '');
        truncateSync(join(images, `pages-${i + 1}.img`), bytes);
      }
      const error = await failureOf(() => store.timeline('t').capture({ images }));
      expect(error.code).toBe('INVALID_IMAGE');
      return started.length - count;
    }

    test('none is started by opening', async () => {
      const count = started.length;
      const store = await openStore(newPath(), { workers: 2 });
      expect(started.length).toBe(count);
      await store.close();
      expect(existsSync(store.directory)).toBe(true);
    });

    test('all start as soon as a capture of 4 MiB of pages begins, each once', async () => {
      const store = await openStore(newPath(), { workers: 2 });
      expect(await startedBy(store, [])).toBe(0);
      expect(await startedBy(store, [FOUR_MIB - 1])).toBe(0);
      expect(await startedBy(store, [FOUR_MIB - 4096, 4096])).toBe(2);
      expect(await startedBy(store, [2 * FOUR_MIB])).toBe(0);
    });

    test('none starts for the calling thread alone', async () => {
      const store = await openStore(newPath(), { workers: 0 });
      expect(await startedBy(store, [FOUR_MIB])).toBe(0);
    });
  });
});

test('the calling thread is free while workers capture (printed, not judged)', async () => {
  const images = makeLargeDump(newPath(), 96 * MEBIBYTE_PAGES);
  const store = await openStore(newPath(), { workers: 2 });
  // Starting workers from TypeScript is not what is measured.
  await store.timeline('warm').capture({ images: dump(0) });
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const snapshot = await store.timeline('t').capture({ images });
  loop.disable();
  const [longest, mean] = [loop.max, loop.mean].map((ns) => (ns / 1e6).toFixed(1));
  process.stderr.write(`event loop during a capture of 96 MiB: ${longest} ms, mean ${mean} ms\n`);
  expect(snapshot.sizes.new.pages).toBeGreaterThanOrEqual(96 * MEBIBYTE_PAGES);
});
