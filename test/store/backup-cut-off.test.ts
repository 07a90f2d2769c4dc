/** Backups that are cut off, at every call of the door: by failures, signals and full disks. */
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { StoreError } from '../../src/index.ts';
import { dump, expectBackup, storeOf } from '../support/backups.ts';
import { failureOf } from '../support/failures.ts';
import {
  type Call,
  EVERY_CALL,
  FaultyFiles,
  systemError,
  watchedFiles,
} from '../support/faulty-files.ts';
import { canMount, mountMemory } from '../support/mounts.ts';
import { readCatalog } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

describe('a backup that is cut off', () => {
  test.each<[string, readonly Call[]]>([
    ['EIO', EVERY_CALL],
    ['ENOSPC', ['write', 'sync', 'rename', 'mkdir', 'open']],
  ])('by %s at any call leaves the former one, and the next goes on', async (code, calls) => {
    const faulty = new FaultyFiles();
    const store = await storeOf([1], faulty.files);
    const former = newPath();
    await store.backup(former);
    await store.timeline('t').capture({ images: dump(2) });
    let [failures, nth] = [0, 0];
    for (;;) {
      nth += 1;
      const target = newPath();
      cpSync(former, target, { recursive: true });
      faulty.arm({ calls, nth, code });
      const error: unknown = await store.backup(target).catch((thrown: unknown) => thrown);
      const failed = faulty.disarm();
      if (failed === undefined) break;
      if (error instanceof Error) {
        failures += 1;
        if (!(error instanceof StoreError)) throw error;
        expect(['STORAGE', 'CORRUPT'], error.message).toContain(error.code);
        const list = await listOf(target);
        expect([1, 2], failed).toContain(list);
        // Every third is checked to the last byte: it would take minutes otherwise.
        if (nth % 3 === 0) await expectBackup(target, [1, 2].slice(0, list), false);
        await store.backup(target);
        if (nth % 3 === 1) await expectBackup(target, [1, 2]);
      }
      rmSync(target, { recursive: true });
    }
    expect(nth).toBeGreaterThan(20);
    expect(failures).toBeGreaterThan(15);
  });

  test('at any call, into a new directory, is no store before it is one', async () => {
    const faulty = new FaultyFiles();
    const store = await storeOf([1], faulty.files);
    let failures = 0;
    for (let nth = 1; ; nth++) {
      const target = newPath();
      faulty.arm({ calls: ['write', 'sync', 'rename', 'mkdir', 'open'], nth, code: 'ENOSPC' });
      const error: unknown = await store.backup(target).catch((thrown: unknown) => thrown);
      if (faulty.disarm() === undefined) break;
      expect(error).toBeInstanceOf(StoreError);
      failures += 1;
      if (existsSync(join(target, 'format.json'))) await expectBackup(target, [1]);
      else if (existsSync(target)) {
        expect(await failureOf(() => openUnmanaged(target))).toMatchObject({
          code: expect.stringMatching(/NOT_FOUND|CORRUPT/) as string,
        });
      }
      await store.backup(target);
      await expectBackup(target, [1]);
    }
    expect(failures).toBeGreaterThan(15);
  });

  test('by its signal at any call leaves the former one, and the next goes on', async () => {
    let meet = (): void => undefined;
    const files = watchedFiles(() => meet());
    const store = await storeOf([1], files);
    const former = newPath();
    await store.backup(former);
    await store.timeline('t').capture({ images: dump(2) });
    let aborted = 0;
    for (let nth = 1; ; nth += 2) {
      const target = newPath();
      cpSync(former, target, { recursive: true });
      const controller = new AbortController();
      let count = 0;
      meet = () => {
        count += 1;
        if (count === nth) controller.abort();
      };
      const options = { signal: controller.signal };
      const error: unknown = await store.backup(target, options).catch((thrown: unknown) => thrown);
      meet = () => undefined;
      if (!controller.signal.aborted) break;
      const list = await listOf(target);
      if (error instanceof Error) {
        aborted += 1;
        expect(error).toMatchObject({ code: 'ABORTED' });
        expect(list).toBe(1);
      } else {
        // Too late: it was in place.
        expect(list).toBe(2);
      }
      expect(readdirSync(join(target, 'staging'))).toEqual([]);
      rmSync(target, { recursive: true });
    }
    expect(aborted).toBeGreaterThan(10);
  });

  test('again and again, before it unlinks packs, forgets none of them', async () => {
    let meet = (_: Call, __: readonly unknown[]): void => undefined;
    const store = await storeOf(
      [1, 2],
      watchedFiles((call, values) => meet(call, values)),
    );
    const target = newPath();
    await store.backup(target);
    await store.snapshot('t@1').remove();
    await store.collect({ wasteThreshold: 0 });
    meet = (call, [path]) => {
      if (call === 'unlink' && String(path).startsWith(join(target, 'packs')))
        throw systemError('EIO', 'unlink');
    };
    for (let i = 0; i < 3; i++) {
      expect(await failureOf(() => store.backup(target))).toMatchObject({ code: 'STORAGE' });
    }
    meet = () => undefined;
    expect((await store.backup(target)).packs.removed).toBeGreaterThan(0);
    await expectBackup(target, [2]);
    await store.backup(target);
    const listRetired = 'SELECT pack FROM retired';
    expect(readCatalog(target, (catalog) => catalog.prepare(listRetired).all())).toEqual([]);
  });

  test.skipIf(!canMount)('by a disk that is full is continued when there is room', async () => {
    const store = await storeOf([1, 2, 3]);
    const mounted = newPath();
    mountMemory(mounted, 150);
    const target = join(mounted, 'backup');
    expect(await failureOf(() => store.backup(target))).toMatchObject({ code: 'STORAGE' });
    const other = newPath();
    cpSync(target, other, { recursive: true });
    await store.backup(other);
    await expectBackup(other, [1, 2, 3]);
  });
});

/** How many snapshots a store lists, which must open. */
async function listOf(directory: string): Promise<number> {
  await using store = await openUnmanaged(directory);
  return store.timeline('t').list().length;
}
