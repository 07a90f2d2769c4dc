/** Text for people: sizes, tables, trees, and the bar of progress. */
import { PassThrough } from 'node:stream';
import type { WriteStream } from 'node:tty';
import { describe, expect, test } from 'vitest';
import { formatProcesses } from '../../src/cli/process-tree.ts';
import { withProgress } from '../../src/cli/progress.ts';
import { count, formatBytes, formatLabels, formatTable, printable } from '../../src/cli/text.ts';
import type { ProcessDescription } from '../../src/index.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [999_949, '999.9 kB'],
  [999_950, '1.0 MB'],
  [1_250_000, '1.3 MB'],
  [11_200_000_000, '11.2 GB'],
  [2e18, '2000.0 PB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test('a noun after one is singular', () => {
  expect([count(0, 'page'), count(1, 'page'), count(2, 'page')]).toEqual([
    '0 pages',
    '1 page',
    '2 pages',
  ]);
});

test('what a terminal would obey becomes visible, letters of all scripts stay', () => {
  expect(printable('\u001b[31m\n\u202e\u0085é猫')).toBe('\\u{1b}[31m\\u{a}\\u{202e}\\u{85}é猫');
});

test('labels with spaces or quotes are quoted', () => {
  expect(formatLabels({ a: '1', b: 'x y', c: '"' })).toEqual(['a=1', '"b=x y"', '"c=\\""']);
});

test('a table is aligned, and empty columns are left out', () => {
  const columns = [
    { title: 'N', align: 'right' },
    { title: 'EMPTY', align: 'left' },
    { title: 'TEXT', align: 'left' },
    { title: 'SIZE', align: 'right' },
  ] as const;
  const rows = [
    ['1', '', 'a', '10'],
    ['22', '', 'longer\n', ''],
  ];
  expect(formatTable(columns, rows)).toEqual([
    ' N  TEXT         SIZE',
    ' 1  a              10',
    '22  longer\\u{a}',
  ]);
  expect(formatTable(columns, [])).toEqual([]);
});

describe('a tree of processes', () => {
  const process = (pid: number, parentPid: number): ProcessDescription => ({
    pid,
    parentPid,
    groupId: 1,
    sessionId: 1,
    threadIds: [pid],
    command: undefined,
    executable: undefined,
    state: 'alive',
    architecture: undefined,
  });
  const shape = (...processes: ProcessDescription[]) =>
    formatProcesses(processes)
      .slice(1)
      .map((line) => /^ *\d+/.exec(line)?.[0]);

  test('has children below their parents, in their own order', () => {
    const tree = [process(1, 0), process(2, 1), process(3, 1), process(4, 2), process(9, 8)];
    expect(shape(...tree)).toEqual(['1', '  2', '    4', '  3', '9']);
  });

  test('shows every process once when the images make no sense', () => {
    expect(shape(process(1, 2), process(2, 1))).toEqual(['1', '  2']);
    expect(shape(process(5, 5))).toEqual(['5']);
    expect(shape(process(7, 0), process(7, 0))).toEqual(['7', '7']);
  });

  test('may be deep', () => {
    const deep = Array.from({ length: 3000 }, (_, index) => process(index + 1, index));
    expect(shape(...deep)).toHaveLength(3000);
  });
});

describe('progress', () => {
  /** Everything that is written to a terminal, or to something else. */
  async function shown(isTTY: boolean, fails = false): Promise<string> {
    const stream = Object.assign(new PassThrough(), { isTTY, columns: 100 });
    const work = withProgress(
      (onProgress) => {
        onProgress?.({ phase: 'pages', done: 0, total: 2_000_000 });
        onProgress?.({ phase: 'packs', done: 0, total: 0 });
        return fails ? Promise.reject(new Error('no')) : Promise.resolve(1);
      },
      stream as unknown as WriteStream,
    );
    await work.catch(() => undefined);
    stream.end();
    return (await stream.toArray()).join('');
  }

  test('is a bar on a terminal, which is gone afterwards', async () => {
    const text = await shown(true);
    expect(text).toContain(`pages [${'-'.repeat(30)}]   0%  0 B of 2.0 MB`);
    expect(text.endsWith('\u001b[2K')).toBe(true);
    expect((await shown(true, true)).endsWith('\u001b[2K')).toBe(true);
  });

  test('is nothing elsewhere', async () => {
    expect(await shown(false)).toBe('');
  });
});
