/** Policies, pins and notes, as a person at a shell meets them. */
import { beforeEach, describe, expect, test } from 'vitest';
import { makeDump } from '../support/made-dumps.ts';
import { storeState } from '../support/store-state.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';
import { documentOf, expectFailure, linesOf } from './program.ts';

const newPath = temporaryPaths();
let store = '';
const on = (command: string, ...args: string[]) => linesOf(command, '--store', store, ...args);

beforeEach(async () => {
  store = newPath();
  const open = await openUnmanaged(store, { create: true });
  for (const day of [19, 20, 21]) {
    const takenAt = new Date(`2026-11-${day}T10:00:00Z`);
    const labels = { day: String(day) };
    await open.timeline('web').capture({ images: makeDump(newPath(), day), takenAt, labels });
  }
  await open.timeline('db').capture({ images: makeDump(newPath(), 1) });
  await open.close();
});

/** The columns of a table's rows that a test looks at: sequence, fate and why. */
const fatesOf = (lines: readonly string[]): string[][] =>
  lines
    .slice(2, -1)
    .map((line) => line.trim().split(/ {2,}/))
    .map((cells) => [cells[0] ?? '', ...cells.slice(-2)]);

describe('prune', () => {
  test('prints what is kept and removed, and why', async () => {
    const lines = await on('prune', 'web', '--keep-last', '1', '--keep-label', 'day=19');
    expect(lines[0]).toBe('web');
    expect(lines[1]?.trim().split(/ {2,}/)).toEqual([
      'SEQ',
      'ID',
      'TAKEN AT',
      'STORED',
      'FATE',
      'BECAUSE',
    ]);
    expect(fatesOf(lines)).toEqual([
      ['1', 'kept', 'label day=19'],
      ['2', 'removed', 'no rule keeps it'],
      ['3', 'kept', 'newest; last 1'],
    ]);
    expect(lines.at(-1)).toBe('1 snapshot removed, 2 kept');
    expect(await on('list', 'web')).toHaveLength(4);
    expect((await on('list', 'web', '--removed'))[2]).toMatch(/^ *2 /);
    await on('undelete', 'web@2');
    expect(await on('list', 'web')).toHaveLength(5);
  });

  test('only says so with --dry-run, even on a store for reading', async () => {
    const before = storeState(store);
    const lines = await on('prune', 'web', '--keep-daily', '2', '--dry-run');
    expect(lines.at(-1)).toBe('1 snapshot would be removed, 2 kept');
    expect(storeState(store)).toEqual(before);
  });

  test('without a name goes through all timelines, each by itself', async () => {
    const lines = await on('prune', '--version-groups', '2:1');
    expect(lines.slice(0, 1)).toEqual(['db']);
    expect(lines.indexOf('web')).toBe(lines.indexOf('') + 1);
    expect(lines.filter((line) => / kept$/.test(line))).toEqual([
      '0 snapshots removed, 1 kept',
      '2 snapshots removed, 1 kept',
    ]);
    expect(lines.join('\n')).toMatch(/removed +version group 1-2\n/);
  });

  test('knows every rule', async () => {
    const rules = 'secondly minutely hourly daily weekly monthly yearly'.split(' ');
    const options = rules.flatMap((rule) => [`--keep-${rule}`, rule === 'hourly' ? '1y' : '1']);
    const lines = await on('prune', 'web', ...options, '--keep-within', '1d', '--max-bytes', '1');
    const reasons = fatesOf(lines).map(([, , because]) => because);
    expect(reasons[2]).toBe(
      'newest; within after 2026-11-20T10:00:00Z; secondly 2026-11-21T10:00:00; ' +
        'minutely 2026-11-21T10:00; hourly 2026-11-21T10; daily 2026-11-21; weekly 2026-W47; ' +
        'monthly 2026-11; yearly 2026',
    );
    expect(reasons.slice(0, 2)).toEqual(Array(2).fill('over the size budget'));
    expect(lines.at(-1)).toMatch(/^2 snapshots removed, 1 kept; .* more than --max-bytes are prot/);
  });

  test('prints the reports of the library as one document', async () => {
    const args = ['--keep-last', '1', '--keep-weekly', '2', '--dry-run'];
    const document = await documentOf('prune', '--store', store, ...args);
    const open = await openUnmanaged(store);
    const policy = { keepLast: 1, keepWeekly: 2 };
    const reports = [];
    for (const timeline of open.timelines()) {
      reports.push(await timeline.prune(policy, { dryRun: true }));
    }
    await open.close();
    expect(document).toEqual({ dryRun: true, timelines: reports });
  });

  test.each([
    [2, /a policy needs a rule/, []],
    [2, /a policy needs a rule/, ['--max-bytes', '5G']],
    [2, /keepLast is 0/, ['--keep-last', '0']],
    [2, /A number is like 12/, ['--keep-last', '1d']],
    [2, /keepHourly is 'often'/, ['--keep-hourly', 'often']],
    [2, /keepWithin is '5'/, ['--keep-within', '5']],
    [2, /SIZE:KEEP/, ['--version-groups', '5']],
    [2, /A label is KEY or KEY=VALUE/, ['--keep-label', '=x']],
    [2, /bytes is like/, ['--keep-last', '1', '--max-bytes', 'many']],
    [2, /unknown option '--keep-hourley'/, ['--keep-hourley', '1']],
    [1, /no timeline is called 'ape'/, ['ape', '--keep-last', '1']],
  ])('ends with status %d and %s', async (status, message, args) => {
    const before = storeState(store);
    const prune = ['prune', '--store', store, ...(args[0] === 'ape' ? [] : ['web']), ...args];
    await expectFailure({ status, message }, ...prune);
    expect(storeState(store)).toEqual(before);
  });
});

describe('a pin', () => {
  test('is printed, listed, shown, minded by prune, and taken off', async () => {
    expect((await on('pin', 'web@1'))[0]).toMatch(/^\w{26} {2}web@1 {2}pinned$/);
    expect((await on('list', 'web'))[1]).toContain('  PINNED  LABELS');
    expect((await on('list', 'web'))[2]).toContain('  pinned  day=19');
    expect((await on('show', 'web@1')).join('\n')).toMatch(/^kind +restorable, pinned$/m);
    const lines = await on('prune', 'web', '--keep-last', '1');
    expect(fatesOf(lines)[0]).toEqual(['1', 'kept', 'pinned']);
    expect((await on('pin', '--off', 'web@1'))[0]).toMatch(/ {2}web@1 {2}no longer pinned$/);
    expect((await on('list', 'web'))[1]).not.toContain('PINNED');
  });

  test('is in the document', async () => {
    expect(await documentOf('pin', '--store', store, 'web')).toMatchObject({ pinned: true });
    const off = ['pin', '--store', store, 'web', '--off'];
    expect(await documentOf(...off)).toMatchObject({ pinned: false });
  });
});

describe('a note', () => {
  test('is printed, listed, shown without what a terminal would obey, and taken away', async () => {
    const text = 'before the \u001b[2Jupgrade';
    expect((await on('note', 'web@2', text))[0]).toMatch(/^\w{26} {2}web@2 {2}noted$/);
    const [, titles, , second] = await on('list', 'web');
    expect(titles).toMatch(/ {2}NOTE$/);
    expect(second).toMatch(/ {2}before the \\u\{1b\}\[2Jupgrade$/);
    expect((await on('show', 'web@2')).join('\n')).toMatch(/^note +before the \\u\{1b\}\[2Jup/m);
    expect(await documentOf('show', '--store', store, 'web@2')).toMatchObject({ note: text });
    expect((await on('note', 'web@2', ''))[0]).toMatch(/ {2}web@2 {2}no longer noted$/);
    expect((await on('list', 'web'))[1]).not.toContain('NOTE');
  });

  test('that is too long is wrong usage', async () => {
    const note = ['note', '--store', store, 'web', 'x'.repeat(4097)];
    await expectFailure({ status: 2, message: /at most 4096 bytes/ }, ...note);
  });
});
