/** Every command, as a person at a shell meets it: text in, text out. */
import { beforeAll, describe, expect, test } from 'vitest';
import { fixture } from '../support/fixtures.ts';
import { makeImageDirectory } from '../support/image-directories.ts';
import { canMount, mountBind } from '../support/mounts.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { expectSameTree } from '../support/trees.ts';
import { linesOf, run } from './program.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();
const COMMANDS = 'capture list show restore remove undelete pin note prune verify'.split(' ');
const DAY_ONE = '2026-01-01T10:00:00Z';
const DAY_TWO = '2026-01-02T10:00:00.500Z';

describe('on a store of two snapshots, the program', () => {
  const store = newPath();
  const on = (command: string, ...args: string[]) => linesOf(command, '--store', store, ...args);
  let ids: string[] = [];

  beforeAll(async () => {
    const open = await openUnmanaged(store, { create: true });
    const timeline = open.timeline('zoo/1');
    const labels = { reason: 'ticker', note: 'two words', evil: '\u001b[2J' };
    await timeline.capture({ images: fixture('zoo-4.2/001'), takenAt: new Date(DAY_ONE), labels });
    await timeline.capture({ images: fixture('zoo-4.2/002'), takenAt: new Date(DAY_TWO) });
    ids = timeline.list().map(({ id }) => id);
    await open.close();
  });

  test('lists a timeline as an aligned table', async () => {
    const [name, titles, first, second, ...rest] = await on('list', 'zoo/1');
    expect(name).toBe('zoo/1');
    expect(titles?.split(/ {2,}/)).toEqual([
      'SEQ',
      'ID',
      'TAKEN AT',
      'LOGICAL',
      'NEW PAGES',
      'STORED',
      'LABELS',
    ]);
    expect(first).toMatch(
      new RegExp(`^  1  ${ids[0] ?? ''}  ${DAY_ONE} +2\\.7 MB +\\d+ +[\\d.]+ MB`),
    );
    expect(second).toMatch(
      new RegExp(`^  2  ${ids[1] ?? ''}  ${DAY_TWO} +2\\.7 MB +\\d+ +[\\d.]+ kB`),
    );
    expect(first?.indexOf('2.7 MB')).toBe(second?.indexOf('2.7 MB'));
    expect(rest).toEqual([]);
  });

  test('shows labels without what a terminal would obey', async () => {
    const [, , first = ''] = await on('list', 'zoo/1');
    expect(first).toContain('evil=\\u{1b}[2J "note=two words" reason=ticker');
  });

  test.each([
    ['id', () => ids[0] ?? '', 1],
    ['prefix of an id in lower case', () => (ids[1] ?? '').slice(0, 20).toLowerCase(), 2],
    ['timeline', () => 'zoo/1', 2],
    ['sequence', () => 'zoo/1@1', 1],
    ['time', () => `zoo/1@${DAY_ONE}`, 1],
    ['later time', () => 'zoo/1@2026-01-02T11:00:00.499+01:00', 1],
  ])('shows a snapshot called by its %s', async (_, reference, sequence) => {
    const [first] = await on('show', reference());
    expect(first).toMatch(new RegExp(`^snapshot +zoo/1@${sequence}$`));
  });

  test('shows facts, processes as a tree, and images', async () => {
    const text = (await on('show', 'zoo/1@2')).join('\n');
    expect(text).toMatch(new RegExp(`^id +${ids[1] ?? ''}$`, 'm'));
    expect(text).toMatch(new RegExp(`^parent +${ids[0] ?? ''}$`, 'm'));
    expect(text).toMatch(/^digest +[0-9a-f]{64}$/m);
    expect(text).toMatch(/^logical +2\.7 MB in \d+ pages$/m);
    const pids = /Processes\n.*\n {2}(\d+) +3 {2}alive {2}zoo .*\n {4}(\d+) +1 {2}alive {2}zoo /;
    expect(text).toMatch(pids);
    expect(text).toMatch(/^ {2}inventory\.img +\d+ B {2}0644$/m);
    expect(text).toMatch(/^ {2}pages-1\.img +[\d.]+ .B {2}0644 {2}pagemap-\w+-\d+$/m);
  });

  test('restores a snapshot byte for byte', async () => {
    const target = newPath();
    const lines = await on('restore', 'zoo/1@1', target, '--sync');
    expect(lines).toEqual([`${ids[0] ?? ''}  zoo/1@1  restored to ${target}`]);
    expectSameTree(target, fixture('zoo-4.2/001'));
  });

  test.each(['quick', 'packs', 'snapshots'])('verifies at level %s', async (level) => {
    const lines = await on('verify', '--level', level);
    expect(lines).toEqual([`2 packs and 2 snapshots verified at level ${level}: no problems`]);
  });

  test('verifies within a budget, and says what it has left out', async () => {
    const [left = '', summary, ...rest] = await on(
      'verify',
      '--max-bytes',
      '1',
      '--max-seconds',
      '9',
    );
    expect(left).toMatch(/^left out: 1 pack \([\d.]+ [kM]B\), 2 snapshots; .*: (20.*Z|never)$/);
    expect(summary).toBe('1 pack and 0 snapshots verified at level snapshots: no problems');
    expect(rest).toEqual([]);
  });

  test('makes a backup, and brings it up to date', async () => {
    const target = newPath();
    const [first, ...rest] = await on('backup', target);
    expect(first).toMatch(
      /^2 snapshots in \S+: 2 packs copied \(1\.\d MB\), 0 there already, 0 rem/,
    );
    expect(rest).toEqual([]);
    const [again] = await on('backup', target);
    expect(again).toBe(
      `2 snapshots in ${target}: 0 packs copied (0 B), 2 there already, 0 removed`,
    );
    expect(await linesOf('list', '--store', target)).toEqual(await on('list'));
  });

  test('counts what the store holds', async () => {
    const text = (await on('stats')).join('\n');
    expect(text).toMatch(
      /^timelines +1\nsnapshots +2\nlogical +5\.4 MB\nstored +1\.\d MB \(\d+\.\d %\)/,
    );
  });

  test.skipIf(!canMount)('reads from read-only media when it is told to', async () => {
    const media = newPath();
    mountBind(store, media, 'ro');
    const refused = await run('list', '--store', media);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('read-only');
    expect(await linesOf('list', '--store', media, '--read-only')).toEqual(await on('list'));
    const target = newPath();
    await linesOf('restore', '--store', media, '--read-only', 'zoo/1@1', target);
    expectSameTree(target, fixture('zoo-4.2/001'));
  });
});

test('captures into a new store, with labels, a time and a parent of its own', async () => {
  const store = newPath();
  const on = (command: string, ...args: string[]) => linesOf(command, '--store', store, ...args);
  const labels = ['--label', 'a=1', '--label', 'b=x=y'];
  const images = [1, 2, 3].map((number) => fixture(`zoo-4.2/00${number}`));
  const [first = ''] = await on(
    'capture',
    'zoo',
    images[0] ?? '',
    ...labels,
    '--taken-at',
    DAY_ONE,
  );
  expect(first).toMatch(
    /^[0-9A-Z]{26} {2}zoo@1 {2}2\.7 MB logical, \d+ new pages, 1\.\d MB stored$/,
  );
  await on('capture', 'zoo', images[1] ?? '');
  await on('capture', 'zoo', images[2] ?? '', '--parent', 'zoo@1');
  await on('capture', 'branch', images[2] ?? '', '--parent', first.slice(0, 26));
  const open = await openUnmanaged(store);
  const [one, two, three] = open.timeline('zoo').list();
  const branch = open.timeline('branch').latest();
  await open.close();
  expect(one?.labels).toEqual({ a: '1', b: 'x=y' });
  expect(one?.takenAt).toEqual(new Date(DAY_ONE));
  expect([two, three, branch].map((snapshot) => snapshot?.parentId)).toEqual(
    Array(3).fill(one?.id),
  );
  // Not 0: what changed since the parent is a few deltas, of which the index knows nothing.
  expect(branch?.sizes.new).toEqual(three?.sizes.new);
  expect(branch?.sizes.stored.bytes).toBeLessThan((one?.sizes.stored.bytes ?? 0) / 10);
});

test('tells pre-dumps from dumps', async () => {
  const store = newPath();
  const open = await openUnmanaged(store, { create: true });
  await open.timeline('a').capture({ images: makeImageDirectory(newPath(), { imageVersion: 0 }) });
  await open.timeline('a').capture({ images: makeImageDirectory(newPath(), {}) });
  await open.close();
  const [, titles = '', first = '', second = ''] = await linesOf('list', '--store', store);
  expect(titles).toContain('  KIND  ');
  expect([first.includes('  pre-dump  '), second.includes('  pre-dump  ')]).toEqual([true, false]);
});

test('removes and undeletes', async () => {
  const store = newPath();
  const on = (command: string, ...args: string[]) => linesOf(command, '--store', store, ...args);
  expect((await on('capture', 'zoo', fixture('zoo-4.2/001')))[0]).toContain('zoo@1');
  expect((await on('remove', 'zoo@1'))[0]).toMatch(/^\w{26} {2}zoo@1 {2}removed$/);
  expect(await on('list')).toEqual(['zoo', '(no snapshots)']);
  expect(await on('list', 'zoo', '--removed')).toHaveLength(3);
  expect((await on('show', 'zoo@1')).join('\n')).toMatch(/^kind +restorable, removed$/m);
  expect((await on('undelete', 'zoo@1'))[0]).toMatch(/^\w{26} {2}zoo@1 {2}undeleted$/);
  expect(await on('list')).toHaveLength(3);
});

test('says what it can do', async () => {
  const [help, version] = await Promise.all([run('--help'), run('--version')]);
  for (const command of COMMANDS) {
    expect(help.stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  }
  expect(help.stdout).toContain('Exit status: 0 done, 1 failed, 2 wrong usage, 3');
  expect(help.status).toBe(0);
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+/);
  expect(version.status).toBe(0);
});
