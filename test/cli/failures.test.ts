/** What goes wrong: one line on standard error, nothing on standard output, and its own status. */
import { closeSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { fixture } from '../support/fixtures.ts';
import { storeState } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { expectFailure, run, startCommand } from './program.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();
const images = fixture('zoo-4.2/001');
const store = newPath();

async function makeStore(path: string): Promise<void> {
  const open = await openUnmanaged(path, { create: true });
  await open.timeline('zoo').capture({ images });
  await open.close();
}

beforeAll(() => makeStore(store));

describe('wrong usage ends with status 2:', () => {
  test.each([
    ['an unknown command', /unknown command 'lst' \(Did you mean list\?\)/, ['lst']],
    ['no store', /required option '--store <dir>' not specified/, ['list']],
    ['an empty store', /the directory of a store/, ['list', '--store', '']],
    ['an unknown option', /unknown option '--jsn'/, ['list', '--store', store, '--jsn']],
    ['a missing argument', /missing required argument/, ['show', '--store', store]],
    ['too many arguments', /too many arguments/, ['stats', '--store', store, 'zoo']],
    ['an unknown level', /Allowed choices are/, ['verify', '--store', store, '--level', 'all']],
    ['no time at all', /number of seconds/, ['verify', '--store', store, '--max-seconds', '0']],
    ['a size that is none', /number of bytes/, ['verify', '--store', store, '--max-bytes', '5X']],
    ['a backup into the store', /store itself/, ['backup', '--store', store, store]],
    ['a bad name', /'a b' cannot name a timeline/, ['list', '--store', store, 'a b']],
  ])('%s', async (_, message, args) => {
    await expectFailure({ status: 2, message }, ...args);
  });

  test.each([
    ['a label without a value', /A label is KEY=VALUE/, ['--label', 'x']],
    ['a label without a key', /A label is KEY=VALUE/, ['--label', '=x']],
    ['a label twice', /two labels 'x'/, ['--label', 'x=1', '--label', 'x=2']],
    ['a time that is none', /A time is like/, ['--taken-at', 'yesterday']],
    ['a time out of range', /A time is like/, ['--taken-at', '2026-13-01T00:00:00Z']],
  ])('a capture with %s', async (_, message, args) => {
    const newStore = newPath();
    await expectFailure(
      { status: 2, message },
      'capture',
      '--store',
      newStore,
      'a',
      images,
      ...args,
    );
    expect(() => readdirSync(newStore)).toThrow('ENOENT');
  });

  test('no command at all, which shows the help on standard error', async () => {
    const { status, stdout, stderr } = await run();
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('Usage: criu-timeline');
  });
});

describe('a failure ends with status 1:', () => {
  test.each([
    ['no such store', /no store there \(\/nowhere\)/, ['list', '--store', '/nowhere']],
    ['no such timeline', /no timeline is called 'ape'/, ['list', '--store', store, 'ape']],
    ['no such snapshot', /no snapshot is called 'zoo@2'/, ['show', '--store', store, 'zoo@2']],
    ['no images', /image directory \(\/nowhere\)/, ['capture', '--store', store, 'a', '/nowhere']],
    [
      'no such parent',
      /called 'b@1'/,
      ['capture', '--store', store, 'a', images, '--parent', 'b@1'],
    ],
    ['a target in use', /target is not empty/, ['restore', '--store', store, 'zoo', store]],
    [
      'the same with --json',
      /target is not empty/,
      ['restore', '--store', store, 'zoo', store, '--json'],
    ],
    ['no store in a directory', /holds no store/, ['capture', '--store', images, 'a', images]],
    ['a name of many lines', /no store there \(\/a\\u\{a\}b\)/, ['list', '--store', '/a\nb']],
  ])('%s', async (_, message, args) => {
    const before = storeState(store);
    await expectFailure({ status: 1, message }, ...args);
    expect(storeState(store)).toEqual(before);
  });

  test('standard output on a full disk', async () => {
    const full = openSync('/dev/full', 'w');
    const { ended } = startCommand(['list', '--store', store], full);
    closeSync(full);
    const message = /^criu-timeline: cannot write to standard output: ENOSPC[^\n]*\n$/;
    const { status, stderr } = await ended;
    expect(stderr).toMatch(message);
    expect(status).toBe(1);
  });
});

test('a reader of standard output that has gone is no failure', async () => {
  const { child, ended } = startCommand(['show', '--store', store, 'zoo']);
  child.stdout?.destroy();
  expect(await ended).toMatchObject({ status: 0, stderr: '' });
});

describe('a damaged pack ends with status 3:', () => {
  const damaged = newPath();

  beforeAll(async () => {
    await makeStore(damaged);
    const packs = join(damaged, 'packs');
    const [name = ''] = readdirSync(packs, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.pack'),
    );
    flipByte(join(packs, name), 5000);
  });

  test('verify prints a line for each problem', async () => {
    const { status, stdout, stderr } = await run('verify', '--store', damaged);
    expect({ status, stderr }).toEqual({ status: 3, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines.at(-1)).toMatch(/^1 pack and 1 snapshot verified .*: \d+ problems?$/);
    expect(lines.length).toBeGreaterThan(1);
    const losses = lines.findIndex((line) => line.startsWith('lost: '));
    for (const line of lines.slice(0, losses)) expect(line).toMatch(/^CORRUPT: .*\.pack/);
    expect(lines[losses]).toMatch(/^lost: [0-9A-Z]{26} {2}zoo@1 {2}partly$/);
    for (const line of lines.slice(losses + 1, -1)) {
      expect(line).toMatch(/^ {2}\S+( \S+)? {2}[\d.]+ k?M?B in \d+ pieces?, first at (byte|0x)/);
    }
  });

  test('verify prints a document with all problems', async () => {
    const { status, stdout } = await run('verify', '--store', damaged, '--json');
    const report = JSON.parse(stdout) as { problems: object[] };
    expect(status).toBe(3);
    expect(report.problems[0]).toMatchObject({ code: 'CORRUPT' });
  });

  test('restore leaves nothing behind', async () => {
    const parent = newPath();
    const message = /\.pack/;
    await expectFailure({ status: 3, message }, 'restore', '--store', damaged, 'zoo', parent);
    expect(() => readdirSync(parent)).toThrow('ENOENT');
  });
});

function flipByte(path: string, offset: number): void {
  const fd = openSync(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    readSync(fd, byte, 0, 1, offset);
    byte[0] = (byte[0] ?? 0) ^ 0x10;
    writeSync(fd, byte, 0, 1, offset);
  } finally {
    closeSync(fd);
  }
}
