/**
 * Directories that change while they are captured, or cannot be read. A change at whatever moment
 * is either noticed, or the snapshot is one of the two states; never a mixture.
 */
import { appendFileSync, chmodSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { symlinkSync, unlinkSync, writeFileSync, cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type SnapshotStore, StoreError } from '../../src/index.ts';
import { expectFailure } from '../support/failures.ts';
import { systemError, watchedFiles, type Call } from '../support/faulty-files.ts';
import { expectCaptures } from '../support/refusals.ts';
import { makeDump } from '../support/made-dumps.ts';
import { openStore } from '../support/stores.ts';
import { storeState } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { describeTree } from '../support/trees.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

/** Kernels stamp files with a clock of some milliseconds: a file must be older to be told apart. */
const STAMP_MS = 12;

const CHANGES: Record<string, (path: string) => void> = {
  'a page is overwritten': (path) => {
    writeFileSync(join(path, 'pages-1.img'), 'other', { flag: 'r+' });
  },
  'a page is overwritten and the time of the file set back': (path) => {
    const { atime, mtime } = statSync(join(path, 'pages-2.img'));
    writeFileSync(join(path, 'pages-2.img'), 'other', { flag: 'r+' });
    utimesSync(join(path, 'pages-2.img'), atime, mtime);
  },
  'a file grows': (path) => {
    appendFileSync(join(path, 'pages-1.img'), Buffer.alloc(4096));
  },
  'a file is removed': (path) => {
    unlinkSync(join(path, 'pages-2.img'));
  },
  'a file is added': (path) => {
    writeFileSync(join(path, 'added'), 'x');
  },
  'a file is replaced by one with the same content': (path) => {
    cpSync(join(path, 'pages-1.img'), join(path, '..', 'same'), { preserveTimestamps: true });
    renameSync(join(path, '..', 'same'), join(path, 'pages-1.img'));
  },
  'a file is replaced by a link': (path) => {
    unlinkSync(join(path, 'pages-1.img'));
    symlinkSync('/etc/passwd', join(path, 'pages-1.img'));
  },
  'a mode changes': (path) => {
    chmodSync(join(path, 'inventory.img'), 0o600);
  },
  'the directory is replaced': (path) => {
    renameSync(path, `${path}-before`);
    makeDump(path, 6);
  },
  'the directory is removed': (path) => {
    rmSync(path, { recursive: true });
  },
};

/** A store whose n-th call from arming on, by a capture, is preceded by a change. */
async function changingStore(change: (path: string) => void) {
  let left = 0;
  let images = '';
  const files = watchedFiles(() => {
    left -= 1;
    if (left === 0) change(images);
  });
  const store = await openStore(newPath(), { files });
  const arm = (path: string, calls: number): void => {
    images = path;
    left = calls;
  };
  return { store, arm, isDone: () => left <= 0 };
}

describe('a capture during which', () => {
  test.each(Object.entries(CHANGES))('%s, at any moment, is no mixture', async (_, change) => {
    const { store, arm, isDone } = await changingStore(change);
    const outcomes = new Map<string, number>();
    // Moments spread over all calls of a capture, which are some 150.
    for (let calls = 1, ended = false; !ended; calls += 7) {
      const images = makeDump(newPath(), 5);
      const before = describeTree(images);
      await delay(STAMP_MS);
      const state = storeState(store.directory);
      arm(images, calls);
      try {
        const snapshot = await store.timeline('t').capture({ images });
        ended = !isDone();
        arm('', 0);
        const target = newPath();
        await snapshot.restore(target);
        const restored = describeTree(target);
        const isOld = restored.join() === before.join();
        if (!isOld) expect(restored).toEqual(describeTree(images));
        count(outcomes, isOld ? 'old' : 'new');
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        expect(error.message).toContain(images);
        expect(storeState(store.directory)).toEqual(state);
        count(outcomes, error.code);
      }
    }
    expect(outcomes.get('INCOMPLETE')).toBeGreaterThan(2);
    // After all is read, a change comes too late to matter.
    expect(outcomes.get('old')).toBeGreaterThan(2);
    for (const code of outcomes.keys()) {
      expect(['INCOMPLETE', 'old', 'new', 'NOT_FOUND', 'INVALID_IMAGE']).toContain(code);
    }
  });
});

function count(outcomes: Map<string, number>, outcome: string): void {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}

describe('a capture of a directory that changes once it has been opened', () => {
  test.each(Object.entries(CHANGES))('is INCOMPLETE when %s', async (title, change) => {
    const images = makeDump(newPath(), 5);
    let armed = false;
    const files = watchedFiles((call, [path]) => {
      // The pack is begun after everything has been checked, before pages are read.
      if (!armed || call !== 'open' || !String(path).endsWith('.pack')) return;
      armed = false;
      change(images);
    });
    const store = await openStore(newPath(), { files });
    await expectCaptures(store, 1);
    await delay(STAMP_MS);
    const before = storeState(store.directory);
    armed = true;
    const named = /directory is/.test(title) ? {} : { file: join(images, changedFile(title)) };
    const capture = () => store.timeline('t').capture({ images });
    await expectFailure(capture, { code: 'INCOMPLETE', message: /changed|place/, ...named });
    expect(storeState(store.directory)).toEqual(before);
    await expectCaptures(store, 2);
  });

  function changedFile(title: string): string {
    if (title.includes('added')) return 'added';
    if (title.includes('mode')) return 'inventory.img';
    return /set back|removed/.test(title) ? 'pages-2.img' : 'pages-1.img';
  }
});

describe('files that cannot be read', () => {
  /** A door that refuses one call on one file. */
  async function refusing(name: string, call: Call, code: string): Promise<SnapshotStore> {
    const suspects = new Set<unknown>();
    let armed = true;
    const files = watchedFiles((called, [subject, how]) => {
      if (!armed || called !== call) return;
      const isIt =
        typeof subject === 'number' ? suspects.has(subject) : String(subject).endsWith(name);
      if (isIt && how !== 'create') throw systemError(code, call);
    });
    const store = await openStore(newPath(), { files });
    armed = false;
    await expectCaptures(store, 1);
    armed = true;
    return store;
  }

  test.each([
    ['inventory.img', 'open', 'EACCES'],
    ['pagemap-7.img', 'open', 'EPERM'],
    ['pages-1.img', 'open', 'EACCES'],
    ['pages-2.img', 'lstat', 'EACCES'],
    ['pages-2.img', 'open', 'EIO'],
  ] as const)('are STORAGE errors that name them: %s, %s, %s', async (name, call, code) => {
    const store = await refusing(name, call, code);
    const images = makeDump(newPath(), 5);
    const before = storeState(store.directory);
    const file = join(images, name);
    const capture = () => store.timeline('t').capture({ images });
    await expectFailure(capture, { code: 'STORAGE', file, message: new RegExp(code) });
    expect(storeState(store.directory)).toEqual(before);
    const healthy = await openStore(store.directory);
    await expectCaptures(healthy, 2);
  });

  test('of the directory itself are STORAGE errors too', async () => {
    const images = makeDump(newPath(), 5);
    const files = watchedFiles((call, [path]) => {
      if (call === 'realpath' && path === images) throw systemError('EACCES', call);
    });
    const store = await openUnmanaged(newPath(), { create: true, files });
    const capture = () => store.timeline('t').capture({ images });
    await expectFailure(capture, { code: 'STORAGE', file: images, message: /EACCES/ });
    await expectCaptures(store, 1);
    await store.close();
  });
});
