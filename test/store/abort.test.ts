/**
 * Aborts at every moment, and progress: a stopped operation leaves the store, and the place that
 * it was to fill, as they were.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { OperationOptions, Progress, SnapshotStore } from '../../src/index.ts';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { expectFailure, failureOf } from '../support/failures.ts';
import { watchedFiles } from '../support/faulty-files.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { storeState } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** A door that fires a signal at the n-th call after arming. */
class AbortingFiles {
  readonly files: Files;
  #left = 0;
  #controller = new AbortController();

  constructor() {
    this.files = watchedFiles(() => {
      this.#left -= 1;
      if (this.#left === 0) this.#controller.abort();
    });
  }

  /** A signal that fires at the n-th call from now on. */
  arm(calls: number): AbortSignal {
    this.#left = calls;
    this.#controller = new AbortController();
    return this.#controller.signal;
  }
}

/**
 * Runs `operation` with a signal that fires at the n-th call of the door, for n = 1, 1 + step, …
 * until it runs to its end without having noticed; returns how often it was stopped.
 */
async function abortEverywhere(
  door: AbortingFiles,
  step: number,
  operation: (signal: AbortSignal) => Promise<unknown>,
  afterAbort: () => void,
): Promise<number> {
  let stopped = 0;
  for (let calls = 1; calls < 10_000; calls += step) {
    const signal = door.arm(calls);
    try {
      await operation(signal);
      if (!signal.aborted) return stopped;
    } catch (error) {
      expect(error).toMatchObject({ code: 'ABORTED', name: 'AbortError' });
      stopped += 1;
      afterAbort();
    }
  }
  throw new Error('the operation never ends');
}

describe('a capture', () => {
  test('that is aborted at any call of the door leaves the store as it was', async () => {
    const door = new AbortingFiles();
    const store = await openStore(newPath(), { files: door.files });
    await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    let state = storeState(store.directory);
    const images = makeDump(newPath(), 2);
    const capture = async (signal: AbortSignal): Promise<void> => {
      await store.timeline('t').capture({ images }, { signal });
      state = storeState(store.directory);
    };
    const stopped = await abortEverywhere(door, 3, capture, () => {
      expect(storeState(store.directory)).toEqual(state);
    });
    expect(stopped).toBeGreaterThan(20);
    const sequences = store
      .timeline('t')
      .list()
      .map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.map((_, i) => i + 1));
    for (const snapshot of store.timeline('t').list().slice(1)) {
      await expectRestores(snapshot, images);
    }
    expect((await store.verify()).problems).toEqual([]);
  });

  test('that waits for another of its timeline can be aborted', async () => {
    const directory = newPath();
    const store = await openStore(directory);
    const controller = new AbortController();
    const holding = store.timeline('t').capture(
      { images: makeDump(newPath(), 1) },
      {
        onProgress: () => {
          controller.abort();
        },
      },
    );
    const other = await openStore(directory);
    const waiting = other
      .timeline('t')
      .capture({ images: makeDump(newPath(), 2) }, { signal: controller.signal });
    await expectFailure(() => waiting, { code: 'ABORTED' });
    await holding;
    expect(store.timeline('t').list()).toHaveLength(1);
  });

  test('that is aborted after the commit has happened all the same', async () => {
    const store = await openStore(newPath());
    const controller = new AbortController();
    const { signal } = controller;
    const images = makeDump(newPath(), 1);
    const snapshot = await store.timeline('t').capture({ images }, { signal });
    controller.abort();
    await expectRestores(snapshot, images);
  });

  test('gives the reason of the signal as the cause', async () => {
    const store = await openStore(newPath());
    const signal = AbortSignal.abort(new Error('enough'));
    const capture = () =>
      store.timeline('t').capture({ images: makeDump(newPath(), 1) }, { signal });
    expect((await failureOf(capture)).cause).toMatchObject({ message: 'enough' });
  });

  test('whose listener throws fails with that, and leaves the store as it was', async () => {
    const store = await openStore(newPath());
    await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    const before = storeState(store.directory);
    const onProgress = (): void => {
      throw new SyntaxError('by the listener');
    };
    const images = makeDump(newPath(), 2);
    await expect(store.timeline('t').capture({ images }, { onProgress })).rejects.toThrow(
      SyntaxError,
    );
    expect(storeState(store.directory)).toEqual(before);
  });
});

describe('a restore', () => {
  test('that is aborted at any call of the door leaves nothing behind', async () => {
    const door = new AbortingFiles();
    const store = await openStore(newPath(), { files: door.files });
    const snapshot = await store.timeline('t').capture({ images: makeDump(newPath(), 1, 1500) });
    const place = newPath();
    mkdirSync(place);
    let count = 0;
    const restore = async (signal: AbortSignal): Promise<void> => {
      await snapshot.restore(join(place, String(++count)), { signal });
    };
    const before = () => readdirSync(place).filter((name) => name !== String(count));
    const stopped = await abortEverywhere(door, 1, restore, () => {
      expect(existsSync(join(place, String(count)))).toBe(false);
      expect(before().filter((name) => name.startsWith('.'))).toEqual([]);
    });
    expect(stopped).toBeGreaterThan(10);
  });
});

describe('verify', () => {
  test('can be aborted', async () => {
    const door = new AbortingFiles();
    const store = await openStore(newPath(), { files: door.files });
    await store.timeline('t').capture({ images: makeDump(newPath(), 1, 1500) });
    const verify = (signal: AbortSignal) => store.verify({ signal });
    const stopped = await abortEverywhere(door, 1, verify, () => undefined);
    expect(stopped).toBeGreaterThan(5);
  });
});

describe('progress', () => {
  async function progressOf(
    run: (options: OperationOptions) => Promise<unknown>,
  ): Promise<Map<string, Progress[]>> {
    const phases = new Map<string, Progress[]>();
    const onProgress = (progress: Progress): void => {
      phases.set(progress.phase, [...(phases.get(progress.phase) ?? []), progress]);
    };
    await run({ onProgress });
    return phases;
  }

  /** Never back, never beyond the total, one total, the end at the end. */
  function expectSteady(reports: readonly Progress[] | undefined, total?: number): void {
    const last = reports?.at(-1);
    expect(last?.done).toBe(last?.total);
    if (total !== undefined) expect(last?.total).toBe(total);
    let before = 0;
    for (const report of reports ?? []) {
      expect(report.done).toBeGreaterThanOrEqual(before);
      expect(report.total).toBe(last?.total);
      before = report.done;
    }
  }

  async function storeWithDump(): Promise<{ store: SnapshotStore; images: string }> {
    return { store: await openStore(newPath()), images: makeDump(newPath(), 1, 1500) };
  }

  test('of capture, restore and verify only rises, and ends with all', async () => {
    const { store, images } = await storeWithDump();
    const timeline = store.timeline('t');
    const capture = await progressOf((options) => timeline.capture({ images }, options));
    const snapshot = store.snapshot('t');
    const { bytes } = snapshot.sizes.logical;
    expectSteady(capture.get('pages'), bytes);
    expect(capture.get('pages')?.length).toBeGreaterThan(5);
    const restore = await progressOf((options) => snapshot.restore(newPath(), options));
    expectSteady(restore.get('files'), bytes);
    const verify = await progressOf((options) => store.verify(options));
    expectSteady(verify.get('packs'), 1);
    expectSteady(verify.get('snapshots'), 1);
  });

  test('of a capture that fails does not say that all was done', async () => {
    const { store, images } = await storeWithDump();
    const signal = AbortSignal.abort();
    const reports: Progress[] = [];
    const onProgress = (progress: Progress) => void reports.push(progress);
    await failureOf(() => store.timeline('t').capture({ images }, { signal, onProgress }));
    expect(reports.filter(({ done, total }) => done === total)).toEqual([]);
  });
});

test('the temporary directory of a restore is beside the target, and hidden', async () => {
  const made: string[] = [];
  const files = watchedFiles((call, [path]) => {
    if (call === 'mkdir') made.push(String(path));
  });
  expect(Object.keys(files)).toEqual(Object.keys(nodeFiles));
  const store = await openStore(newPath(), { files });
  const snapshot = await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
  made.length = 0;
  const target = newPath();
  await snapshot.restore(target);
  expect(made.map((path) => dirname(path))).toEqual([dirname(target)]);
  expect(basename(made[0] ?? '')).toMatch(/^\..*\.partial$/);
});
