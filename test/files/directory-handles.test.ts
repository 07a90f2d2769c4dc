/** Ways through descriptors: right, bounded, and not to be bent by somebody who moves things. */
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DirectoryHandles } from '../../src/files/directory-handles.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { openDescriptors, recordingDoor } from '../support/doors.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

/** Handles below a new directory. */
function opened(files = nodeFiles): { root: string; handles: DirectoryHandles } {
  const root = nextPath();
  mkdirSync(root);
  const fd = nodeFiles.open(root, 'directory');
  const handles = new DirectoryHandles(files, fd);
  onTestFinished(() => {
    handles.close();
    nodeFiles.close(fd);
  });
  return { root, handles };
}

function makeFiles(root: string, paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), path);
  }
}

describe('DirectoryHandles', () => {
  it('leads to the right files, in any order of asking', () => {
    const { root, handles } = opened();
    const paths = ['a', 'b/a', 'b/c/a', 'b/c/b', 'b/d/c/a', 'e/c/a', 'e/f', 'b/c/d/e/f/g'];
    makeFiles(root, paths);
    const before = openDescriptors();
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...paths), { maxLength: 30 }), (list) => {
        for (const path of list) {
          expect(readFileSync(handles.inside(bytes(path)), 'utf8')).toBe(path);
        }
      }),
    );
    handles.close();
    expect(openDescriptors()).toBe(before);
    expect(readFileSync(handles.inside(bytes('b/d/c/a')), 'utf8')).toBe('b/d/c/a');
  });

  it('names the root and directories themselves', () => {
    const { root, handles } = opened();
    makeFiles(root, ['a/b/c']);
    const inode = (path: string | Buffer): bigint => nodeFiles.inspect(path).inode;
    expect(inode(handles.inside(bytes('')))).toBe(inode(root));
    expect(inode(handles.inside(bytes('a/b')))).toBe(inode(join(root, 'a/b')));
    expect(nodeFiles.inspectOpen(handles.directory(bytes('a/b'))).inode).toBe(
      inode(join(root, 'a/b')),
    );
  });

  it('opens a directory once for all of its neighbours', () => {
    const { files, calls } = recordingDoor();
    const { root, handles } = opened(files);
    makeFiles(root, ['a/b/1', 'a/b/2', 'a/c/1']);
    for (const path of ['a/b/1', 'a/b/2', 'a/c/1', 'a/x', 'a/c']) handles.inside(bytes(path));
    expect(calls.filter(({ name }) => name === 'open').map(({ values }) => values[1])).toEqual([
      'subdirectory',
      'subdirectory',
      'subdirectory',
    ]);
  });

  it('takes names that are not UTF-8, and of 255 bytes', () => {
    const { handles } = opened();
    const [odd, long] = [`\xff\n\x80`, `\xfe`.repeat(255)];
    nodeFiles.mkdir(handles.inside(bytes(odd)));
    nodeFiles.mkdir(handles.inside(bytes(`${odd}/${long}`)));
    const path = bytes(`${odd}/${long}/${odd}`);
    nodeFiles.close(nodeFiles.open(handles.inside(path), 'create'));
    expect(nodeFiles.inspect(handles.inside(path)).type).toBe('file');
  });

  it('goes as deep as 2000 directories and back with few descriptors', () => {
    const { handles } = opened();
    const before = openDescriptors();
    const at = (depth: number): Uint8Array => bytes(Array(depth).fill('abc').join('/'));
    for (let depth = 1; depth <= 2000; depth++) {
      nodeFiles.mkdir(handles.inside(at(depth)));
    }
    expect(openDescriptors() - before).toBeLessThanOrEqual(64);
    const deepest = nodeFiles.inspect(handles.inside(at(2000)));
    expect(deepest.type).toBe('directory');
    for (let depth = 2000; depth >= 1; depth--) nodeFiles.rmdir(handles.inside(at(depth)));
    expect(openDescriptors() - before).toBeLessThanOrEqual(64);
    expect([...nodeFiles.entries(handles.inside(at(0)))]).toEqual([]);
  });

  it.each(['/', '/a', 'a/', '.', '..', 'a/..', '../a', 'a/../b', 'a//b', 'a/\0b'])(
    'refuses %j',
    (path) => {
      const { root, handles } = opened();
      makeFiles(root, ['a/b']);
      const error: unknown = expect.objectContaining({ code: 'CORRUPT' });
      expect(() => handles.inside(bytes(path))).toThrow(error);
      expect(() => handles.directory(bytes(path))).toThrow(error);
    },
  );

  it('does not go through links, and works on afterwards', () => {
    const { root, handles } = opened();
    makeFiles(root, ['a/b', 'a/c/d']);
    symlinkSync('a', join(root, 'link'));
    expect(() => handles.inside(bytes('link/b'))).toThrow(/ENOTDIR|ELOOP/);
    expect(() => handles.inside(bytes('a/b/c'))).toThrow(/ENOTDIR/);
    expect(() => handles.inside(bytes('x/c'))).toThrow(/ENOENT/);
    expect(readFileSync(handles.inside(bytes('a/c/d')), 'utf8')).toBe('a/c/d');
    expect(() => handles.inside(bytes('a/x/y'))).toThrow(/ENOENT/);
    expect(readFileSync(handles.inside(bytes('a/b')), 'utf8')).toBe('a/b');
  });

  it('never leads out when a directory becomes a link between two calls', () => {
    const outside = nextPath();
    makeFiles(outside, ['b/secret', 'c/secret', 'secret']);
    const { root, handles } = opened();
    makeFiles(root, ['a/b/secret', 'a/c/secret', 'a/secret']);
    const before = handles.inside(bytes('a/b/secret'));
    renameSync(join(root, 'a'), join(root, 'moved'));
    symlinkSync(outside, join(root, 'a'));
    const inside = ['a/b/secret', 'a/c/secret', 'a/secret'];
    // What was opened before is still the directory that was inside.
    for (const path of inside) {
      expect(readFileSync(handles.inside(bytes(path)), 'utf8')).toBe(path);
    }
    expect(before.toString()).toMatch(/^\/proc\/self\/fd\/\d+\/secret$/);
    handles.directory(bytes(''));
    for (const path of inside) expect(() => handles.inside(bytes(path))).toThrow(/ENOTDIR|ELOOP/);
  });
});
