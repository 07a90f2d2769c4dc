/** Where a restore goes: absent, empty, mount points; what it refuses, and what it leaves there. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import type { Snapshot } from '../../src/index.ts';
import { expectFailure } from '../support/failures.ts';
import { FaultyFiles, systemError, watchedFiles } from '../support/faulty-files.ts';
import { makeDump } from '../support/made-dumps.ts';
import { canMount, mountBind, mountMemory } from '../support/mounts.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { describeTree, expectSameTree } from '../support/trees.ts';

const newPath = temporaryPaths();

/** A snapshot with a subdirectory, and its original. */
async function madeSnapshot(): Promise<{ snapshot: Snapshot; images: string }> {
  const images = makeDump(newPath(), 1);
  mkdirSync(join(images, 'below'));
  writeFileSync(join(images, 'below', 'file'), 'x');
  const store = await openStore(newPath());
  return { snapshot: await store.timeline('t').capture({ images }), images };
}

describe('a target', () => {
  test('may be absent or an empty directory, of which nothing stays but the name', async () => {
    const { snapshot, images } = await madeSnapshot();
    const target = newPath();
    await snapshot.restore(target);
    expectSameTree(target, images);
    const empty = newPath();
    mkdirSync(empty, { mode: 0o700 });
    await snapshot.restore(empty, { sync: true });
    expectSameTree(empty, images);
  });

  test('may be a relative path, and one with a slash at its end', async () => {
    const { snapshot, images } = await madeSnapshot();
    const target = newPath();
    await snapshot.restore(`${target}/`);
    expectSameTree(target, images);
  });

  test('may have a name as long as the system allows', async () => {
    const { snapshot, images } = await madeSnapshot();
    const target = join(newPath(), '..', 'x'.repeat(255));
    await snapshot.restore(target);
    expectSameTree(target, images);
  });

  test('that is not empty is refused, and stays as it is', async () => {
    const { snapshot } = await madeSnapshot();
    const target = makeDump(newPath(), 7);
    const before = describeTree(target);
    const restore = () => snapshot.restore(target);
    await expectFailure(restore, { code: 'EXISTS', file: target, message: /not empty/ });
    expect(describeTree(target)).toEqual(before);
  });

  test('that is a file or a link is refused, and stays as it is', async () => {
    const { snapshot } = await madeSnapshot();
    const [file, empty, toEmpty, dangling] = [newPath(), newPath(), newPath(), newPath()];
    writeFileSync(file, 'x');
    mkdirSync(empty);
    symlinkSync(empty, toEmpty);
    symlinkSync('nowhere', dangling);
    for (const target of [file, toEmpty, dangling]) {
      await expectFailure(() => snapshot.restore(target), { code: 'EXISTS', file: target });
    }
    expect(readFileSync(file, 'utf8')).toBe('x');
    expect(readdirSync(empty)).toEqual([]);
  });

  test('in a directory that is not there is refused', async () => {
    const { snapshot } = await madeSnapshot();
    const missing = newPath();
    const restore = () => snapshot.restore(join(missing, 'target'));
    await expectFailure(restore, { code: 'NOT_FOUND', file: missing });
  });

  test('inside the store itself is misuse', async () => {
    const store = await openStore(newPath());
    const snapshot = await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    const link = newPath();
    symlinkSync(store.directory, link);
    const cache = readdirSync(join(store.directory, 'cache'));
    for (const target of [join(store.directory, 'cache', 'x'), join(link, 'x')]) {
      await expect(snapshot.restore(target)).rejects.toThrow(TypeError);
    }
    expect(readdirSync(join(store.directory, 'cache'))).toEqual(cache);
  });

  test('that is no path is misuse', async () => {
    const { snapshot } = await madeSnapshot();
    for (const target of ['', undefined, 5]) {
      await expect(snapshot.restore(target as string)).rejects.toThrow(TypeError);
    }
  });

  test('that comes to be there meanwhile is refused at the end, and stays as it is', async () => {
    const { snapshot } = await madeSnapshot();
    const target = newPath();
    let made = false;
    const onProgress = (): void => {
      if (made) return;
      made = true;
      mkdirSync(target);
      writeFileSync(join(target, 'other'), 'x');
    };
    const restore = () => snapshot.restore(target, { onProgress });
    await expectFailure(restore, { code: 'EXISTS', file: target, message: /meanwhile/ });
    expect(readdirSync(target)).toEqual(['other']);
    const left = readdirSync(join(target, '..')).filter((name) => name.endsWith('.partial'));
    expect(left).toEqual([]);
  });

  test('does not show itself before it is complete', async () => {
    const target = newPath();
    const seen = new Set<string>();
    const files = watchedFiles((call) => {
      if (call === 'write') seen.add(readdirSync(join(target, '..')).join());
    });
    const store = await openStore(newPath(), { files });
    const snapshot = await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    seen.clear();
    await snapshot.restore(target);
    expect(seen.size).toBeGreaterThan(0);
    const name = target.split('/').at(-1) ?? '';
    for (const names of seen) expect(names.split(',')).not.toContain(name);
  });

  test('may be restored into by two at once: one wins, and it is whole', async () => {
    const { snapshot, images } = await madeSnapshot();
    const target = newPath();
    const both = await Promise.allSettled([snapshot.restore(target), snapshot.restore(target)]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expectSameTree(target, images);
  });
});

describe.skipIf(!canMount)('a target that is a mount point', () => {
  test('of a file system in memory is filled in place', async () => {
    const { snapshot, images } = await madeSnapshot();
    const target = newPath();
    mountMemory(target, 2000);
    const { dev } = statSync(target);
    await snapshot.restore(target);
    expectSameTree(target, images, { topMode: false });
    expect(statSync(target).dev).toBe(dev);
    await expectFailure(() => snapshot.restore(target), { code: 'EXISTS', file: target });
  });

  test('of a directory of the same file system is filled in place', async () => {
    const { snapshot, images } = await madeSnapshot();
    const [source, target] = [newPath(), newPath()];
    mkdirSync(source);
    mountBind(source, target);
    await snapshot.restore(target);
    expectSameTree(source, images, { topMode: false });
    expectSameTree(target, images, { topMode: false });
  });

  test('is filled in place when its path has blanks in it', async () => {
    const { snapshot, images } = await madeSnapshot();
    const source = newPath();
    const target = `${newPath()} with blanks and \\ and ä`;
    mkdirSync(source);
    mountBind(source, target);
    await snapshot.restore(target);
    expectSameTree(source, images, { topMode: false });
  });

  test('gets its inventory last, and is empty again after a failure', async () => {
    const target = newPath();
    mountMemory(target, 2000);
    const inventories: boolean[] = [];
    const files = watchedFiles((call, [path]) => {
      if (call !== 'chmod' && call !== 'open') return;
      if (call === 'open' && !String(path).startsWith(target)) return;
      inventories.push(readdirSync(target).includes('inventory.img'));
    });
    const store = await openStore(newPath(), { files });
    const snapshot = await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    inventories.length = 0;
    const onProgress = ({ done, total }: { done: number; total: number }): void => {
      if (done === total) throw new SyntaxError('at the very end');
    };
    await expect(snapshot.restore(target, { onProgress })).rejects.toThrow(SyntaxError);
    expect(readdirSync(target)).toEqual([]);
    expect(inventories.length).toBeGreaterThan(3);
    expect(inventories).not.toContain(true);
    await snapshot.restore(target, { sync: true });
    expect(readdirSync(target)).toContain('inventory.img');
  });

  test('that is not empty is refused', async () => {
    const { snapshot } = await madeSnapshot();
    const target = newPath();
    mountMemory(target, 2000);
    writeFileSync(join(target, 'other'), 'x');
    await expectFailure(() => snapshot.restore(target), { code: 'EXISTS', file: target });
    expect(readdirSync(target)).toEqual(['other']);
  });

  test('is closed to everybody else until it is filled, and then as it was', async () => {
    const target = newPath();
    mountMemory(target, 2000);
    chmodSync(target, 0o1777);
    chownSync(target, 65534, 65533);
    const seen = new Set<string>();
    const files = watchedFiles((call) => {
      if (call === 'write' || call === 'rename') seen.add(describeOwner(target));
    });
    const store = await openStore(newPath(), { files });
    const snapshot = await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    seen.clear();
    await snapshot.restore(target, { sync: true });
    expect([...seen]).toEqual(['0 65533 700']);
    expect(describeOwner(target)).toBe('65534 65533 1777');
  });

  test('is as it was after a failure at any call, and empty', async () => {
    const target = newPath();
    mountMemory(target, 2000);
    chmodSync(target, 0o2770);
    chownSync(target, 65534, 65533);
    const faulty = new FaultyFiles();
    const store = await openStore(newPath(), { files: faulty.files });
    const snapshot = await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    const calls = ['chmod', 'open', 'setOwner', 'write', 'rename', 'sync'] as const;
    let failures = 0;
    for (let nth = 1, isDone = false; !isDone; nth++) {
      faulty.arm({ calls, nth, code: 'EIO' });
      try {
        await snapshot.restore(target, { sync: true });
        isDone = faulty.disarm() === undefined;
      } catch (error) {
        const failed = faulty.disarm();
        expect(error, failed).toMatchObject({ name: 'StoreError' });
        expect(readdirSync(target), failed).toEqual([]);
        expect(describeOwner(target), failed).toBe('65534 65533 2770');
        failures += 1;
      }
    }
    expect(failures).toBeGreaterThan(20);
  });

  test('that somebody put something into just before it was closed is refused', async () => {
    const target = newPath();
    mountMemory(target, 2000);
    chmodSync(target, 0o777);
    let isArmed = false;
    const files = watchedFiles((call) => {
      if (call === 'chmod' && isArmed) symlinkSync('/etc', join(target, 'below'));
      if (call === 'chmod') isArmed = false;
    });
    const store = await openStore(newPath(), { files });
    const snapshot = await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    isArmed = true;
    await expectFailure(() => snapshot.restore(target), { code: 'EXISTS', file: target });
    expect(readdirSync(target)).toEqual(['below']);
    expect(describeOwner(target)).toBe('0 0 777');
  });

  test('that cannot be made private is refused, and says so', async () => {
    const target = newPath();
    mountMemory(target, 2000);
    chownSync(target, 65534, 65534);
    const files: Files = {
      ...nodeFiles,
      setOwner: () => {
        throw systemError('EPERM', 'chown');
      },
    };
    const store = await openStore(newPath(), { files });
    const snapshot = await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    const expected = { code: 'STORAGE', file: target, message: /make private.*EPERM/ } as const;
    await expectFailure(() => snapshot.restore(target), expected);
    expect(readdirSync(target)).toEqual([]);
  });

  function describeOwner(path: string): string {
    const { uid, gid, mode } = statSync(path);
    return `${uid} ${gid} ${(mode & 0o7777).toString(8)}`;
  }
});
