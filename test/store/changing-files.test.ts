/**
 * Container files that change while they are captured: noticed, tried again, and in the end
 * refused by name; a racing container never leads the capture out of its tree.
 */
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { StoreError } from '../../src/index.ts';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { expectFiles, isRoot, listingOf, nextStamp } from '../support/captured-files.ts';
import { openFilesStore, python } from '../support/captured-files.ts';
import { expectFailure } from '../support/failures.ts';
import { watchedFiles } from '../support/faulty-files.ts';
import { storeState } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const SECRET: ReadonlySet<string> = new Set(['/etc/passwd', '/etc/shadow']);

const MADE = `
os.mkdir('a'); os.mkdir('d'); os.mkdir('d/e')
for i in range(4): write(f'a/{i}', noise(i, 100000))
write('d/e/shadow', b'own'); write('d/passwd', b'own'); write('z', b'end')`;

/** A door that changes the tree before, or after, a file of it is read, so many times. */
function changingDoor(change: () => void, when: 'before' | 'after', times: number): Files {
  const suspects = new Set<number>();
  let left = times;
  return {
    ...nodeFiles,
    openRegular: (path) => {
      const fd = nodeFiles.openRegular(path);
      suspects.add(fd);
      return fd;
    },
    close: (fd) => {
      suspects.delete(fd);
      nodeFiles.close(fd);
    },
    read: (fd, target, position) => {
      const isIt = suspects.has(fd) && left > 0;
      if (isIt && when === 'before') change();
      const count = nodeFiles.read(fd, target, position);
      if (isIt && when === 'after') change();
      if (isIt) left -= 1;
      return count;
    },
  };
}

describe('a file that changes while it is read', () => {
  const CHANGES: readonly (readonly [string, (file: string) => void])[] = [
    ['grows', (file) => appendFileSync(file, 'more')],
    ['is cut off', (file) => execFileSync('truncate', ['-s', '-5000', file])],
    ['is overwritten', (file) => writeFileSync(file, 'other', { flag: 'r+' })],
    ['gets another mode', (file) => execFileSync('chmod', ['600', file])],
  ];

  describe.each(CHANGES)('and %s', (_, change) => {
    test.each(['before', 'after'] as const)('%s a read, is read again', async (when) => {
      const upper = python(newPath(), MADE);
      const changeIt = (): void => {
        nextStamp();
        change(join(upper, 'a/0'));
      };
      const { capture } = await openFilesStore(newPath, { files: changingDoor(changeIt, when, 1) });
      const snapshot = await capture(upper);
      await expectFiles(snapshot, listingOf(upper), newPath);
    });

    test('again and again, is named, and nothing is stored', async () => {
      const upper = python(newPath(), MADE);
      const file = join(upper, 'a/0');
      const changeIt = (): void => {
        nextStamp();
        change(file);
      };
      const { capture, store } = await openFilesStore(newPath, {
        files: changingDoor(changeIt, 'after', Infinity),
      });
      const before = storeState(store.directory);
      await expectFailure(() => capture(upper), { code: 'INCOMPLETE', file });
      expect(storeState(store.directory)).toEqual(before);
    });

    test('again and again, is captured by whoever accepts that', async () => {
      const upper = python(newPath(), MADE);
      const changeIt = (): void => {
        nextStamp();
        change(join(upper, 'a/0'));
      };
      const files = changingDoor(changeIt, 'after', Infinity);
      const { capture } = await openFilesStore(newPath, { files });
      const snapshot = await capture(upper, { acceptChanges: true });
      const others = (lines: readonly string[]): string[] =>
        lines.filter((line) => !line.includes('"a/0"'));
      const restored = newPath();
      await snapshot.restore(newPath(), { files: restored });
      expect(others(listingOf(restored))).toEqual(others(listingOf(upper)));
      expect(listingOf(restored)).toHaveLength(listingOf(upper).length);
      // And it is not taken for unchanged by the next capture.
      const next = await openFilesStoreAgain(capture, upper);
      await expectFiles(next, listingOf(upper), newPath);
    });
  });

  async function openFilesStoreAgain(
    capture: Awaited<ReturnType<typeof openFilesStore>>['capture'],
    upper: string,
  ): Promise<Awaited<ReturnType<typeof capture>>> {
    // A file without pages of its own to read cannot be changed by the door.
    writeFileSync(join(upper, 'a/0'), '');
    for (const i of [1, 2, 3]) rmSync(join(upper, `a/${i}`));
    for (const name of ['d/e/shadow', 'd/passwd', 'z']) writeFileSync(join(upper, name), '');
    return await capture(upper);
  }

  test('by another process in a loop is whole, or named', async () => {
    const upper = python(newPath(), MADE);
    const program = `while :; do echo line >> ${upper}/a/0; done`;
    const writer = spawn('/bin/sh', ['-c', program], { stdio: 'ignore' });
    onTestFinished(() => void writer.kill('SIGKILL'));
    const { capture, store } = await openFilesStore(newPath, { workers: 2 });
    for (let i = 0; i < 3; i++) {
      await delay(5);
      const attempt = async (): Promise<unknown> => await capture(upper);
      await expectFailure(attempt, { code: 'INCOMPLETE', file: join(upper, 'a/0') });
      const snapshot = await capture(upper, { acceptChanges: true });
      const files = newPath();
      await snapshot.restore(newPath(), { files });
      expect(listingOf(files)).toHaveLength(listingOf(upper).length);
    }
    writer.kill('SIGKILL');
    await new Promise((resolve) => writer.once('close', resolve));
    await expectFiles(await capture(upper), listingOf(upper), newPath);
    expect((await store.verify()).problems).toEqual([]);
  });
});

/** The n-th call of a walk or a read in the tree is preceded by a change, once. */
async function raceAt(
  calls: number,
  change: (upper: string) => void,
): Promise<{ outcome: string; isDone: boolean }> {
  const upper = python(newPath(), MADE);
  nextStamp();
  let left = Infinity;
  const files = watchedFiles(() => {
    left -= 1;
    if (left === 0) change(upper);
  });
  const openRegular: Files['openRegular'] = (path) => {
    const fd = files.openRegular(path);
    const place = nodeFiles.readlink(`/proc/self/fd/${fd}`).toString();
    expect(SECRET.has(place), place).toBe(false);
    return fd;
  };
  const door = { ...files, openRegular };
  const { capture } = await openFilesStore(newPath, { files: door });
  left = calls;
  try {
    const snapshot = await capture(upper);
    const isDone = left <= 0;
    left = Infinity;
    const restored = newPath();
    await snapshot.restore(newPath(), { files: restored });
    const text = listingOf(restored).join('\n');
    return { outcome: text === listingOf(upper).join('\n') ? 'new' : 'old', isDone };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return { outcome: error.code, isDone: left <= 0 };
  }
}

describe.skipIf(!isRoot)('a tree that changes under the walk', () => {
  const CHANGES: readonly (readonly [string, (upper: string) => void])[] = [
    ['a file vanishes', (upper) => rmSync(join(upper, 'd/e/shadow'))],
    ['a directory vanishes', (upper) => rmSync(join(upper, 'd'), { recursive: true })],
    [
      'a directory becomes a link to /etc',
      (upper) => {
        renameSync(join(upper, 'd'), `${upper}-moved`);
        symlinkSync('/etc', join(upper, 'd'));
      },
    ],
    [
      'a file becomes a link to /etc/passwd',
      (upper) => {
        rmSync(join(upper, 'd/passwd'));
        symlinkSync('/etc/passwd', join(upper, 'd/passwd'));
      },
    ],
    [
      'a file becomes a fifo',
      (upper) => {
        rmSync(join(upper, 'd/passwd'));
        execFileSync('mkfifo', [join(upper, 'd/passwd')]);
      },
    ],
    [
      'a file becomes a device',
      (upper) => {
        rmSync(join(upper, 'd/passwd'));
        execFileSync('mknod', [join(upper, 'd/passwd'), 'c', '1', '5']);
      },
    ],
    [
      'a file becomes a directory',
      (upper) => {
        rmSync(join(upper, 'd/passwd'));
        mkdirSync(join(upper, 'd/passwd'));
      },
    ],
  ];

  test.each(CHANGES)('so that %s, at any moment, is captured as one state', async (_, change) => {
    const outcomes = new Set<string>();
    for (let calls = 1, isDone = true; isDone; calls += 89) {
      const race = await raceAt(calls, change);
      isDone = race.isDone;
      outcomes.add(race.outcome);
    }
    // It is tried again, and there is only one change.
    expect([...outcomes].filter((outcome) => outcome !== 'new' && outcome !== 'old')).toEqual([]);
    expect(outcomes).toContain('new');
  });

  test('again and again is INCOMPLETE, with a path in it', async () => {
    const upper = python(newPath(), MADE);
    const files: Files = {
      ...nodeFiles,
      openRegular: (path) => {
        if (path.toString().endsWith('/passwd')) {
          rmSync(join(upper, 'd/passwd'));
          symlinkSync('/etc/passwd', join(upper, 'd/passwd'));
          try {
            return nodeFiles.openRegular(path);
          } finally {
            rmSync(join(upper, 'd/passwd'));
            writeFileSync(join(upper, 'd/passwd'), 'own');
          }
        }
        return nodeFiles.openRegular(path);
      },
    };
    const { capture, store } = await openFilesStore(newPath, { files });
    const before = storeState(store.directory);
    const file = join(upper, 'd/passwd');
    for (const acceptChanges of [false, true]) {
      const attempt = (): Promise<unknown> => capture(upper, { acceptChanges });
      await expectFailure(attempt, { code: 'INCOMPLETE', file });
    }
    expect(storeState(store.directory)).toEqual(before);
  });
});
