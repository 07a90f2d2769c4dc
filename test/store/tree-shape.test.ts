/** Stored trees that an enemy wrote: what cannot be a tree is found, and everything else is not. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodesBelow } from '../../src/store/restore-files.ts';
import { TreeShape } from '../../src/store/tree-shape.ts';
import { BlockBuilder, type TreeBlock } from '../../src/tree/block.ts';
import { comparePaths, type TreeKind } from '../../src/tree/entry.ts';
import { BLOCK_STRIDE, StoredTree } from '../../src/tree/tree.ts';
import { expectFailure } from '../support/failures.ts';
import { bytesOf, MADE_FILE, plainBody, textOf, written } from '../support/made-nodes.ts';

/** A path, what it is, and what it is a link to or a name of. */
type Line = readonly [path: string, kind: TreeKind, target?: string];

/** The tree as it would be read out of a store. */
function storedTree(...lines: readonly Line[]): StoredTree {
  const builder = new BlockBuilder();
  const blocks: TreeBlock[] = [];
  for (const [path, kind, target] of lines) {
    const body = plainBody({ kind, ...(target !== undefined && { target: bytesOf(target) }) });
    const block = builder.add(bytesOf(path), written(body));
    if (block !== undefined) blocks.push(block);
  }
  const last = builder.finish();
  if (last !== undefined) blocks.push(last);
  const runs = {
    runStart: Float64Array.from(blocks, (_, i) => i * BLOCK_STRIDE),
    runLength: Float64Array.from(blocks, ({ bytes }) => bytes.length / 4096),
  };
  return new StoredTree(Buffer.concat(blocks.map(({ bytes }) => bytes)), runs, MADE_FILE);
}

function check(...lines: readonly Line[]): void {
  const tree = storedTree(...lines);
  const shape = new TreeShape();
  for (const cursor = tree.cursor(); cursor.next();) shape.add(cursor.path, cursor.body);
  shape.checkTargets(tree.cursor());
}

const FILES: Line = ['files', 'directory'];

describe('the paths of a stored tree', () => {
  test('are a tree where everything is in a directory, and names are those of files', () => {
    check();
    check(
      ['', 'directory'],
      FILES,
      ['files/a', 'directory'],
      ['files/a/b', 'directory'],
      ['files/a/b/c', 'file'],
      ['files/a/d', 'hard', 'files/a/b/c'],
      ['files/a-', 'link', '/any/../where'],
      ['files/a.b', 'hard', 'files/a-'],
      ['files/b', 'hard', 'files/a/b/c'],
      ['files/host', 'host'],
      ['files/pipe', 'fifo'],
      ['files/pipe2', 'hard', 'files/pipe'],
      ['files/s', 'socket'],
      ['files/t', 'hard', 'files/s'],
      ['files/w', 'character'],
      ['files/x', 'hard', 'files/w'],
      ['layouts', 'directory'],
      ['layouts/archive', 'file'],
    );
  });

  test('are one whatever the names of directories are', () => {
    const name = fc.constantFrom('a', 'a-', 'a.', 'ab', 'b', '\u0001', 'é');
    const deep = fc.array(name, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(deep, { maxLength: 8 }), (ways) => {
        const all = ways.flatMap((way) => way.map((_, i) => way.slice(0, i + 1).join('/')));
        const sorted = [...new Set(all)].sort((a, b) => comparePaths(bytesOf(a), bytesOf(b)));
        check(...sorted.map((path): Line => [path, 'directory']));
        // Without one of those in between, it is none any more.
        const between = sorted.filter((path) => sorted.some((at) => at.startsWith(`${path}/`)));
        for (const path of between) {
          const lines = sorted.map((at): Line => [at, at === path ? 'file' : 'directory']);
          expect(() => check(...lines)).toThrow(/not in a directory/);
          expect(() => check(...lines.filter(([at]) => at !== path))).toThrow(/not in a directory/);
        }
      }),
      { numRuns: 50 },
    );
  });

  test.each<[string, readonly Line[], RegExp]>([
    ['..', [FILES, ['files/..', 'file']], /not a path inside a tree/],
    ['.', [FILES, ['files/.', 'directory']], /not a path inside a tree/],
    ['an empty part', [FILES, ['files//a', 'file']], /not a path inside a tree/],
    ['a slash at the end', [FILES, ['files/', 'file']], /not a path inside a tree/],
    ['an absolute path', [['/etc', 'directory']], /not a path inside a tree/],
    ['a NUL', [FILES, ['files/a\0b', 'file']], /not a path inside a tree/],
    ['a root that is a file', [['', 'file']], /the root is no directory/],
    ['no parent', [['files/a', 'file']], /not in a directory/],
    ['a parent further up only', [FILES, ['files/a/b', 'file']], /not in a directory/],
    [
      'a parent that is a link',
      [FILES, ['files/a', 'link', '/etc'], ['files/a/b', 'file']],
      /not in a directory/,
    ],
    ['a link to nothing', [FILES, ['files/a', 'link', '']], /without a target/],
    ['a link with a NUL', [FILES, ['files/a', 'link', 'a\0b']], /without a target/],
    ['a name of nothing', [FILES, ['files/a', 'hard', '']], /a name of no file/],
    ['a name that leads out', [FILES, ['files/b', 'hard', 'files/../a']], /not a path/],
    ['a name of what is missing', [FILES, ['files/b', 'hard', 'files/a']], /missing/],
    [
      'a name of what is missing behind all',
      [FILES, ['files/b', 'file'], ['files/d', 'hard', 'files/c']],
      /missing/,
    ],
    ['a name of itself', [FILES, ['files/a', 'hard', 'files/a']], /before its file/],
    [
      'names of each other',
      [FILES, ['files/a', 'hard', 'files/b'], ['files/b', 'hard', 'files/a']],
      /before its file/,
    ],
    [
      'a name of a name',
      [FILES, ['files/a', 'file'], ['files/b', 'hard', 'files/a'], ['files/c', 'hard', 'files/b']],
      /one more name of a hard/,
    ],
    [
      'a name of a directory',
      [FILES, ['files/b', 'hard', 'files']],
      /one more name of a directory/,
    ],
    [
      'a name of a file of the host',
      [FILES, ['files/a', 'host'], ['files/b', 'hard', 'files/a']],
      /one more name of a host/,
    ],
    [
      'a name of a file elsewhere',
      [FILES, ['files/a', 'file'], ['members', 'directory'], ['members/b', 'hard', 'files/a']],
      /a name of a file elsewhere/,
    ],
  ])('are none with %s', async (_name, lines, message) => {
    await expectFailure(() => check(...lines), { code: 'CORRUPT', message });
  });
});

describe('the nodes below a directory', () => {
  test('are those in it, with names below it as well', () => {
    const tree = storedTree(
      FILES,
      ['files/a', 'file'],
      ['files/b', 'hard', 'files/a'],
      ['files2', 'file'],
    );
    const found = [...nodesBelow({ tree }, 'files')];
    expect(found.map(({ path }) => textOf(path))).toEqual(['', 'a', 'b']);
    expect(found.map(({ target }) => target && textOf(target))).toEqual([
      undefined,
      undefined,
      'a',
    ]);
  });

  test.each(['layouts/archive', 'etc/passwd', 'files', 'file'])(
    'have no names of %s',
    async (target) => {
      const tree = storedTree(FILES, ['files/b', 'hard', target]);
      const message = /a name of a file elsewhere/;
      await expectFailure(() => [...nodesBelow({ tree }, 'files')], { code: 'CORRUPT', message });
    },
  );
});
