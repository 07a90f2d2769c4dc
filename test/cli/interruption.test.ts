/** Ctrl-C in the middle: status 130, and the store is as it was. */
import type { ChildProcess } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { fixture } from '../support/fixtures.ts';
import { makeImageDirectory } from '../support/image-directories.ts';
import { storeState } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { linesOf, startCommand } from './program.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();
const store = newPath();
const bigDump = newPath();
/** Enough work for a second or so, as its pages cannot be compressed. */
const BIG_PAGES = 32_768;

beforeAll(async () => {
  const open = await openUnmanaged(store, { create: true });
  await open.timeline('zoo').capture({ images: fixture('zoo-4.2/001') });
  await open.close();
  const runs = [{ start: 16, count: BIG_PAGES }];
  makeImageDirectory(bigDump, { spaces: [{ name: 'pagemap-7', pagesId: 1, runs }] });
  const pages = Buffer.alloc(BIG_PAGES * 4096);
  writeFileSync(join(bigDump, 'pages-1.img'), randomFillSync(pages));
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s stops a capture, and nothing is left',
  async (name) => {
    const before = storeState(store);
    const args = ['capture', '--store', store, 'zoo', bigDump, '--json'];
    const { child, ended } = startCommand(args);
    await until(child, () => stagedBytes() > 1_000_000);
    child.kill(name);
    // Like npm, which passes on what the terminal has already told everybody.
    child.kill(name);
    expect(await ended).toEqual({
      status: 130,
      stdout: '',
      stderr: 'criu-timeline: the operation was stopped\n',
    });
    expect(storeState(store)).toEqual(before);
    expect(readdirSync(join(store, 'staging'))).toEqual([]);
    expect(readdirSync(join(store, 'leases')).filter((name) => name.endsWith('.lease'))).toEqual(
      [],
    );
  },
);

test('SIGINT stops a restore, and nothing is left', async () => {
  await linesOf('capture', '--store', store, 'big', bigDump);
  const parent = newPath();
  makeImageDirectory(parent, {});
  const target = join(parent, 'target');
  const before = readdirSync(parent);
  const { child, ended } = startCommand(['restore', '--store', store, 'big', target]);
  await until(child, () => readdirSync(parent).length > before.length);
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ status: 130, stdout: '' });
  expect(readdirSync(parent)).toEqual(before);
});

test('SIGINT stops a verification', async () => {
  const { child, ended } = startCommand(['verify', '--store', store]);
  await until(child, () => readdirSync(join(store, 'staging')).length > 0);
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ status: 130, stdout: '' });
});

function stagedBytes(): number {
  const staging = join(store, 'staging');
  const sizes = readdirSync(staging, { recursive: true, encoding: 'utf8' }).map((name) => {
    return statSync(join(staging, name), { throwIfNoEntry: false })?.size ?? 0;
  });
  return Math.max(0, ...sizes);
}

/** Waits for something that a program does while it runs. */
async function until(child: ChildProcess, isTrue: () => boolean): Promise<void> {
  onTestFinished(() => void child.kill('SIGKILL'));
  while (!isTrue()) {
    expect(child.exitCode, 'the program has ended too early').toBe(null);
    await delay(2);
  }
}
