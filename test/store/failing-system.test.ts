/**
 * A system that fails: every call of the door in turn, with the errors of a full disk, a broken
 * one and a process out of descriptors, while a store is opened, captured into and restored from.
 * After each failure the store opens, is as it was, and takes the next capture.
 */
import { randomFillSync } from 'node:crypto';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { StoreError } from '../../src/index.ts';
import { failureOf } from '../support/failures.ts';
import { type Call, EVERY_CALL, FaultyFiles } from '../support/faulty-files.ts';
import { canMount, mountMemory, resizeMemory } from '../support/mounts.ts';
import { expectCaptures } from '../support/refusals.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { type StoreState, storeState } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

/** The faults that are tried: kinds of calls, and the error of the system. */
const FAULTS: readonly (readonly [string, readonly Call[]])[] = [
  ['ENOSPC', ['write', 'sync', 'rename', 'mkdir', 'link', 'open']],
  ['EIO', EVERY_CALL],
  ['EMFILE', ['open', 'list', 'makeTemporaryDirectory']],
];

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Only what concerns images and the door may go wrong, and only as a StoreError. */
function expectMeant(error: unknown, code: string): void {
  expect(error).toBeInstanceOf(StoreError);
  const { message } = error as StoreError;
  expect((error as StoreError).code, message).toBe('STORAGE');
  expect(message).toContain(code);
}

/**
 * Runs `attempt` with the first call failing, then the second, … until it meets no failure, and
 * `check` after each. What `check` complains of is collected, so that one failing call does not
 * hide the others. Returns how often `attempt` failed: it may survive a fault.
 */
async function failEverywhere(
  faulty: FaultyFiles,
  [code, calls]: readonly [string, readonly Call[]],
  attempt: (nth: number) => Promise<void>,
  check: (error: unknown, failed: string) => Promise<void>,
): Promise<number> {
  const complaints: string[] = [];
  for (let nth = 1, failures = 0; nth < 5000; nth++) {
    faulty.arm({ calls, nth, code });
    const error: unknown = await attempt(nth).catch((thrown: unknown) => thrown);
    const failed = faulty.disarm();
    if (failed === undefined) {
      if (error !== undefined) throw error as Error;
      expect(complaints).toEqual([]);
      return failures;
    }
    if (error !== undefined) failures += 1;
    try {
      if (error !== undefined) expectMeant(error, code);
      await check(error, failed);
    } catch (complaint) {
      complaints.push(`${failed}: ${String(complaint).split('\n', 1).join()}`);
    }
  }
  throw new Error('it never ends');
}

/** Lines that came and went, for a message. */
function changes(before: StoreState, after: StoreState): string {
  const [old, now] = [before, after].map(({ files, rows }) => [...files, ...rows]);
  const gone = (old ?? []).filter((line) => now?.includes(line) !== true);
  const come = (now ?? []).filter((line) => old?.includes(line) !== true);
  return [...gone.map((line) => `- ${line}`), ...come.map((line) => `+ ${line}`)].join(', ');
}

describe.each(FAULTS)('with %s', (code, calls) => {
  test('at any call of a capture, the store is as it was, and takes the next one', async () => {
    const faulty = new FaultyFiles();
    const directory = newPath();
    const store = await openStore(directory, { files: faulty.files });
    await expectCaptures(store, 1);
    let state = storeState(directory);
    const images = makeDump(newPath(), 50);
    const attempt = async (): Promise<void> => {
      await store.timeline('t').capture({ images });
    };
    const failures = await failEverywhere(faulty, [code, calls], attempt, async (error) => {
      const before = state;
      state = storeState(directory);
      if (error !== undefined) expect(changes(before, state)).toBe('');
    });
    expect(failures).toBeGreaterThan(code === 'EMFILE' ? 5 : 10);
    const list = store.timeline('t').list();
    expect(list.map(({ sequence }) => sequence)).toEqual(list.map((_, i) => i + 1));
    const last = list.at(-1);
    if (last !== undefined) await expectRestores(last, images);
    await store.close();
    const again = await openStore(directory);
    await expectCaptures(again, list.length + 1);
    expect((await again.verify()).problems).toEqual([]);
  });

  test('at any call of creating and closing, the next creation goes on', async () => {
    const faulty = new FaultyFiles();
    let directory = newPath();
    let before = openDescriptors();
    const attempt = async (): Promise<void> => {
      directory = newPath();
      const store = await openUnmanaged(directory, { create: true, files: faulty.files });
      await store.close();
    };
    const failures = await failEverywhere(faulty, [code, calls], attempt, async () => {
      const leaked = Math.max(0, openDescriptors() - before);
      before = openDescriptors();
      const store = await openUnmanaged(directory, { create: true });
      await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
      const staging = readdirSync(join(directory, 'staging'));
      const leases = readdirSync(join(directory, 'leases')).sort();
      await store.close();
      const own = leases.filter((name) => name.endsWith('.lease'));
      expect(`${leaked} leaked, ${own.length} leases, ${staging.length} in staging`).toBe(
        '0 leaked, 1 leases, 1 in staging',
      );
    });
    expect(failures).toBeGreaterThan(2);
  });

  test('at any call of opening and closing, nothing is lost', async () => {
    const faulty = new FaultyFiles();
    const directory = newPath();
    const first = await openStore(directory);
    await expectCaptures(first, 1);
    await first.close();
    const state = storeState(directory);
    let before = openDescriptors();
    for (const readOnly of [false, true]) {
      const attempt = async (): Promise<void> => {
        const store = await openUnmanaged(directory, { files: faulty.files, readOnly });
        await store.close();
      };
      await failEverywhere(faulty, [code, calls], attempt, async () => {
        const leaked = Math.max(0, openDescriptors() - before);
        before = openDescriptors();
        expect(`${leaked} leaked`).toBe('0 leaked');
        const store = await openUnmanaged(directory);
        await store.close();
        expect(storeState(directory)).toEqual(state);
      });
    }
  });

  test('at any call of a restore, nothing is left in its place', async () => {
    const faulty = new FaultyFiles();
    const store = await openStore(newPath(), { files: faulty.files });
    const images = makeDump(newPath(), 1, 600);
    const snapshot = await store.timeline('t').capture({ images });
    const place = newPath();
    const target = join(place, 'x', 'target');
    const attempt = async (): Promise<void> => {
      await snapshot.restore(target, { sync: true });
    };
    makeDump(join(place, 'x'), 1);
    const neighbours = readdirSync(join(place, 'x'));
    await failEverywhere(faulty, [code, calls], attempt, async (error) => {
      // When only the last sync fails, everything is in place already.
      if (error === undefined || existsSync(target)) rmSync(target, { recursive: true });
      expect(readdirSync(join(place, 'x'))).toEqual(neighbours);
    });
    rmSync(target, { recursive: true });
    await expectRestores(snapshot, images);
  });
});

describe.skipIf(!canMount)('a real disk that is full', () => {
  test('refuses captures until there is room, and keeps what it has', async () => {
    const mounted = newPath();
    mountMemory(mounted, 3000);
    const directory = join(mounted, 'store');
    let store = await openStore(directory);
    const dumps: string[] = [];
    const captureNext = async (): Promise<void> => {
      const images = makeDump(newPath(), dumps.length + 1, 200);
      await store.timeline('t').capture({ images });
      dumps.push(images);
    };
    const random = makeDump(newPath(), 1000, 24);
    for (const name of ['a', 'b', 'c']) addRandomFile(random, name, 200_000);
    await store.timeline('random').capture({ images: random });
    addRandomFile(random, 'd', 3_000_000);
    const before = storeState(directory);
    const error = await failureOf(() => store.timeline('random').capture({ images: random }));
    expect(error).toMatchObject({ code: 'STORAGE' });
    expect(error.message).toMatch(/ENOSPC/);
    expect(storeState(directory)).toEqual(before);
    await captureNext();

    // Then fill it up with captures that almost fit.
    let full: unknown;
    while (full === undefined) full = await captureNext().catch((thrown: unknown) => thrown);
    expectStorage(full);
    const filled = storeState(directory);
    expectStorage(await captureNext().catch((thrown: unknown) => thrown));
    expect(storeState(directory)).toEqual(filled);
    expect((await store.verify()).problems).toEqual([]);
    await store.close();

    resizeMemory(mounted, 8000);
    store = await openStore(directory);
    await captureNext();
    for (const [i, images] of dumps.entries()) {
      await expectRestores(store.snapshot(`t@${i + 1}`), images);
    }
    expect((await store.verify()).problems).toEqual([]);
    await store.close();
  });

  test('refuses a restore, and leaves nothing of it', async () => {
    const mounted = newPath();
    mountMemory(mounted, 300);
    const store = await openStore(newPath());
    const images = makeDump(newPath(), 1, 400);
    const snapshot = await store.timeline('t').capture({ images });
    const error = await failureOf(() => snapshot.restore(join(mounted, 'target')));
    expect(error).toMatchObject({ code: 'STORAGE' });
    expect(readdirSync(mounted)).toEqual([]);
    // In place of the mount point as well.
    expect(await failureOf(() => snapshot.restore(mounted))).toMatchObject({ code: 'STORAGE' });
    expect(readdirSync(mounted)).toEqual([]);
    resizeMemory(mounted, 4000);
    await snapshot.restore(join(mounted, 'target'));
  });
});

function expectStorage(error: unknown): void {
  expect(error).toBeInstanceOf(StoreError);
  expect(error).toMatchObject({ code: 'STORAGE' });
}

function addRandomFile(directory: string, name: string, bytes: number): void {
  writeFileSync(join(directory, name), randomFillSync(new Uint8Array(bytes)));
}
