/**
 * Imports and exports on a system that fails, and ones that are stopped: at any call of the door
 * the store is as it was, or has the whole snapshot, and a target is complete or not there.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Snapshot, SnapshotStore } from '../../src/index.ts';
import { StoreError } from '../../src/index.ts';
import { openDescriptors } from '../support/doors.ts';
import { expectFailure } from '../support/failures.ts';
import { type Call, EVERY_CALL, FaultyFiles, watchedFiles } from '../support/faulty-files.ts';
import { smallArchive } from '../support/small-archives.ts';
import { storeState } from '../support/store-state.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

const FAULTS: readonly (readonly [string, readonly Call[]])[] = [
  ['ENOSPC', ['write', 'sync', 'rename', 'mkdir', 'link', 'open', 'chmod', 'setMode']],
  ['EIO', EVERY_CALL],
];
/** Calls between two that fail: not all of them, for time. */
const STEPS = { ENOSPC: 1, EIO: 3 } as const;

function writtenArchive(seed: number): string {
  const path = newPath();
  writeFileSync(path, smallArchive(newPath(), seed));
  return path;
}

/** Packs, and their index, are kept open. */
function isNoPack(path: string): boolean {
  return !/\/(packs|index)\//.test(path);
}

function expectStorage(error: unknown, code: string, failed: string): void {
  expect(error, failed).toBeInstanceOf(StoreError);
  expect((error as StoreError).code, `${failed}: ${String(error)}`).toBe('STORAGE');
  expect((error as StoreError).message).toContain(code);
}

/** Runs `work` with every so many-th call failing, until none fails; returns how often it did. */
async function failOften(
  faulty: FaultyFiles,
  [code, calls]: readonly [string, readonly Call[]],
  work: () => Promise<void>,
  check: (error: unknown, failed: string) => void,
): Promise<number> {
  const step = STEPS[code as keyof typeof STEPS];
  for (let nth = 1, failures = 0; nth < 5000; nth += step) {
    faulty.arm({ calls, nth, code });
    const error: unknown = await work().catch((thrown: unknown) => thrown);
    const failed = faulty.disarm();
    if (failed === undefined) {
      expect(error).toBe(undefined);
      return failures;
    }
    if (error !== undefined) {
      failures += 1;
      expectStorage(error, code, failed);
    }
    check(error, failed);
  }
  throw new Error('it never ends');
}

describe.each(FAULTS)('with %s', (code, calls) => {
  test('at a call of an import, the store is as it was', async () => {
    const faulty = new FaultyFiles();
    const store = await openStore(newPath(), { files: faulty.files, workers: 0 });
    const timeline = store.timeline('t');
    await timeline.import(writtenArchive(1));
    const archive = writtenArchive(2);
    let before = storeState(store.directory);
    const descriptors = openDescriptors(isNoPack);
    const work = async (): Promise<void> => {
      await timeline.import(archive);
    };
    const failures = await failOften(faulty, [code, calls], work, (error, failed) => {
      const state = storeState(store.directory);
      if (error !== undefined) expect(state, failed).toEqual(before);
      before = state;
      // What is kept open are packs.
    });
    expect(failures).toBeGreaterThan(5);
    // What runs in the background has files of its own open.
    await store.close();
    expect(openDescriptors(isNoPack)).toBeLessThanOrEqual(descriptors);
    const again = await openStore(store.directory, { workers: 0 });
    expect((await again.verify()).problems).toEqual([]);
  });

  test('at a call of an export, there is no target', async () => {
    const faulty = new FaultyFiles();
    const store = await openStore(newPath(), { files: faulty.files, workers: 0 });
    const snapshot = await store.timeline('t').import(writtenArchive(1));
    const target = newPath();
    mkdirSync(target);
    const work = (): Promise<void> => snapshot.export(join(target, 'a'));
    const failures = await failOften(faulty, [code, calls], work, (error, failed) => {
      // What cannot be removed stays.
      const left = readdirSync(target);
      const isLate = /^removeTree/.test(failed);
      if (error !== undefined && !isLate) expect(left, failed).toEqual([]);
      expect(left.filter((name) => name !== 'a' && !isLate)).toEqual([]);
      for (const name of left) rmSync(join(target, name));
    });
    expect(failures).toBeGreaterThan(2);
  });
});

/** A store, and a signal that fires at the n-th call of its door. */
async function stoppingStore(): Promise<{
  store: SnapshotStore;
  arm: (calls: number) => AbortSignal;
}> {
  let left = 0;
  let controller = new AbortController();
  const files = watchedFiles(() => {
    left -= 1;
    if (left === 0) controller.abort();
  });
  const arm = (calls: number): AbortSignal => {
    left = calls;
    controller = new AbortController();
    return controller.signal;
  };
  return { store: await openStore(newPath(), { files, workers: 0 }), arm };
}

describe('a signal', () => {
  test('at any moment of an import leaves the store as it was', async () => {
    const { store, arm } = await stoppingStore();
    await store.timeline('t').import(writtenArchive(1));
    const archive = writtenArchive(2);
    let stopped = 0;
    for (let calls = 1; calls < 5000; calls += 11) {
      const before = storeState(store.directory);
      const signal = arm(calls);
      const error: unknown = await store
        .timeline('t')
        .import(archive, { signal })
        .catch((thrown: unknown) => thrown);
      if (!signal.aborted) break;
      if (!(error instanceof StoreError)) continue;
      expect(error.code).toBe('ABORTED');
      expect(storeState(store.directory)).toEqual(before);
      stopped += 1;
    }
    expect(stopped).toBeGreaterThan(8);
    expect((await store.verify()).problems).toEqual([]);
  });

  test('at any moment of an export leaves no target', async () => {
    const { store, arm } = await stoppingStore();
    const snapshot: Snapshot = await store.timeline('t').import(writtenArchive(1));
    const target = newPath();
    mkdirSync(target);
    let stopped = 0;
    for (let calls = 1; calls < 5000; calls += 3) {
      const signal = arm(calls);
      const error: unknown = await snapshot
        .export(join(target, 'a'), { signal })
        .catch((thrown: unknown) => thrown);
      if (!signal.aborted) break;
      const left = readdirSync(target);
      if (error instanceof StoreError) {
        expect(error.code).toBe('ABORTED');
        expect(left).toEqual([]);
        stopped += 1;
      } else expect(left).toEqual(['a']);
      for (const name of left) rmSync(join(target, name));
    }
    expect(stopped).toBeGreaterThan(5);
  });

  test('that has fired already stops both before they begin', async () => {
    const { store } = await stoppingStore();
    const signal = AbortSignal.abort();
    const archive = writtenArchive(1);
    const aborted = { code: 'ABORTED' } as const;
    await expectFailure(() => store.timeline('t').import(archive, { signal }), aborted);
    const snapshot = await store.timeline('t').import(archive);
    const target = newPath();
    await expectFailure(() => snapshot.export(target, { signal }), aborted);
    await expectFailure(() => snapshot.export(join(target, 'x'), { signal }), aborted);
  });

  test('ends an import whose stream gives nothing', async () => {
    const { store } = await stoppingStore();
    const controller = new AbortController();
    const { signal } = controller;
    const stuck = async function* (): AsyncGenerator<Uint8Array> {
      yield smallArchive(newPath(), 1).subarray(0, 5000);
      setTimeout(() => controller.abort(), 5);
      await new Promise(() => undefined);
    };
    await expectFailure(() => store.timeline('t').import(stuck(), { signal }), { code: 'ABORTED' });
    expect(store.timelines()).toEqual([]);
  });
});
