/**
 * A listing that misses something would let every test that compares by it pass: whatever may be
 * different between two trees must be seen, and nothing else.
 */
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { listTree } from './listing.ts';
import { temporaryPaths } from './temporary.ts';

const newPath = temporaryPaths();
const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write('SKIPPED: not root, listings of owners and devices\n');

type Line = Readonly<Record<string, unknown>>;

const TIME = '1234567890123456789';
const PRELUDE = `
import os, shutil, socket
os.umask(0o022)
def same_time(*names):
    for name in names: os.utime(name, ns=(0, ${TIME}), follow_symlinks=False)
`;

/** Runs a line of Python, which can do what Node.js cannot, in a directory. */
function python(root: string, line: string): void {
  execFileSync('python3', ['-I', '-S', '-c', PRELUDE + line], { cwd: root });
}

function linesOf(root: string): Line[] {
  return listTree(root).map((line) => JSON.parse(line) as Line);
}

/** A tree with something of everything that needs no rights. */
function makeTree(): string {
  const root = newPath();
  mkdirSync(join(root, 'directory'), { recursive: true });
  writeFileSync(join(root, 'directory/file'), 'content');
  linkSync(join(root, 'directory/file'), join(root, 'second-name'));
  symlinkSync('nowhere', join(root, 'link'));
  python(
    root,
    `os.chmod('directory/file', 0o4755)
open('sparse', 'wb').write(b'data'); os.truncate('sparse', 1 << 20)
os.mkfifo('fifo'); os.chmod('fifo', 0o755); socket.socket(socket.AF_UNIX).bind('socket')
os.setxattr('directory', 'user.name', bytes([0, 255]))
open(b'name-\\xff\\n', 'w'); os.utime(b'name-\\xff\\n', ns=(0, -5))
same_time('directory/file', 'directory', 'fifo', 'link', 'socket', 'sparse', '.')`,
  );
  return root;
}

/** The fields that are different between two listings of as many lines, with their paths. */
function differences(before: readonly Line[], after: readonly Line[]): string[] {
  expect(after).toHaveLength(before.length);
  return before.flatMap((line, i) => {
    const other = after[i] ?? {};
    const fields = new Set([...Object.keys(line), ...Object.keys(other)]);
    const different = (field: string): boolean =>
      JSON.stringify(line[field]) !== JSON.stringify(other[field]);
    return [...fields].filter(different).map((field) => `${String(line['path'])}: ${field}`);
  });
}

describe('a listing', () => {
  test('tells everything about every path, in the order of a tree', () => {
    const owner = { uid: process.getuid?.(), gid: process.getgid?.() };
    const rest = { ...owner, mtime: TIME, xattrs: {} };
    const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
    const sha256 = 'ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73';
    const file = { ...rest, type: 'file', mode: '4755', size: 7, sha256, data: [[0, 7]], links: 2 };
    const expected = [
      { ...rest, path: '.', type: 'directory' },
      { ...rest, path: 'directory', type: 'directory', xattrs: { 'user.name': '00ff' } },
      { ...file, path: 'directory/file', sameAs: 'directory/file' },
      { ...rest, path: 'fifo', type: 'fifo', links: 1 },
      { ...rest, path: 'link', type: 'link', target: 'nowhere', links: 1 },
      { ...rest, path: 'name-\xff\n', type: 'file', mtime: '-5', size: 0, sha256: empty, data: [] },
      { ...file, path: 'second-name', sameAs: 'directory/file' },
      { ...rest, path: 'socket', type: 'socket', links: 1 },
      { ...rest, path: 'sparse', type: 'file', size: 1 << 20, data: [[0, 4096]], links: 1 },
    ];
    const lines = linesOf(makeTree());
    expect(lines.map(({ path }) => path)).toEqual(expected.map(({ path }) => path));
    expect(lines).toEqual(expected.map((line): unknown => expect.objectContaining(line)));
  });

  test('is the same for a complete copy', () => {
    const root = makeTree();
    const copy = newPath();
    execFileSync('cp', ['--archive', '--sparse=always', root, copy]);
    expect(listTree(copy)).toEqual(listTree(root));
  });

  test('leaves out holes on demand', () => {
    const root = makeTree();
    const before = listTree(root, { holes: false });
    const fill = `with open('sparse', 'r+b') as f: f.seek(8192); f.write(bytes(4096))`;
    python(root, `${fill}\nsame_time('sparse')`);
    expect(listTree(root, { holes: false })).toEqual(before);
    expect(before.join()).not.toContain('"data"');
  });

  test('goes into paths that are longer than the kernel takes in one call', () => {
    const root = newPath();
    onTestFinished(() => void execFileSync('rm', ['-rf', root]));
    mkdirSync(root);
    python(root, `for i in range(30): os.mkdir('d' * 250); os.chdir('d' * 250)`);
    expect(linesOf(root).at(-1)?.['path']).toBe(Array(30).fill('d'.repeat(250)).join('/'));
  });

  test('fails where there is nothing to list', () => {
    expect(() => listTree(newPath())).toThrow('FileNotFoundError');
  });
});

describe('a listing sees', () => {
  test.each([
    ['another content', `open('sparse', 'r+b').write(b'DATA')`, ['sparse: sha256']],
    ['another size', `os.truncate('sparse', 1 << 19)`, ['sparse: size', 'sparse: sha256']],
    [
      'a hole less',
      `with open('sparse', 'r+b') as f: f.seek(8192); f.write(bytes(9))`,
      ['sparse: data'],
    ],
    ['another mode', `os.chmod('directory', 0o1700)`, ['directory: mode']],
    ['another target', `os.unlink('link'); os.symlink('there', 'link')`, ['link: target']],
    ['another value', `os.setxattr('directory', 'user.name', b'b')`, ['directory: xattrs']],
    ['an attribute more', `os.setxattr('sparse', 'user.b', b'')`, ['sparse: xattrs']],
    [
      'a copy in place of a name',
      `os.unlink('second-name'); shutil.copy2('directory/file', 'second-name')`,
      ['directory/file: links', 'directory/file: sameAs', 'second-name: links'].concat(
        'second-name: sameAs',
      ),
    ],
    [
      'another type',
      `os.unlink('fifo'); socket.socket(socket.AF_UNIX).bind('fifo')`,
      ['fifo: type'],
    ],
    ['another name', `os.rename(b'name-\\xff\\n', b'name-\\xfe\\n')`, ['name-\xff\n: path']],
  ])('%s', (_, change, expected) => {
    const root = makeTree();
    const before = linesOf(root);
    const again = `same_time('sparse', 'directory', 'link', 'fifo', 'second-name', '.')`;
    python(root, `${change}\n${again}`);
    expect(differences(before, linesOf(root))).toEqual(expected);
  });

  test.each(['link', 'fifo', 'directory', 'sparse', '.'])(
    'a nanosecond in the time of %s',
    (name) => {
      const root = makeTree();
      const before = linesOf(root);
      python(root, `os.utime('${name}', ns=(0, ${TIME} + 1), follow_symlinks=False)`);
      expect(differences(before, linesOf(root))).toEqual([`${name}: mtime`]);
    },
  );

  test.skipIf(!isRoot)('owners, devices, and the attributes of links', () => {
    const root = makeTree();
    python(root, `os.mknod('null', 0o20000, os.makedev(0, 0)); same_time('null', '.')`);
    const before = linesOf(root);
    const whiteout = { type: 'character', mode: '0', device: [0, 0] };
    expect(before.find(({ path }) => path === 'null')).toMatchObject(whiteout);
    python(
      root,
      `os.chown('link', 1, 2, follow_symlinks=False)
os.setxattr('link', 'trusted.a', b'b', follow_symlinks=False)
os.unlink('null'); os.mknod('null', 0o20000, os.makedev(300, 70000)); same_time('null', '.')`,
    );
    const expected = ['link: uid', 'link: gid', 'link: xattrs', 'null: device'];
    const after = linesOf(root);
    expect(differences(before, after)).toEqual(expected);
    expect(after.find(({ path }) => path === 'null')?.['device']).toEqual([300, 70000]);
  });
});
