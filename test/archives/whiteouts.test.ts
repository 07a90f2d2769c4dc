/** What is gone: lists of deleted files, names in layers, and what a tree makes of both. */
import { describe, expect, it } from 'vitest';
import {
  archiveWith,
  archiveWithFiles,
  describeNodes,
  type RawMember,
  rawTar,
  unpack,
} from '../support/made-archives.ts';
import { gzipSync } from 'node:zlib';
import { expectFailure } from '../support/failures.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const OPAQUE = 'trusted.overlay.opaque=y';

async function filesOf(archive: Buffer): Promise<string[]> {
  const nodes = describeNodes(await unpack(archive, newPath()));
  return nodes.filter((line) => line.startsWith('files'));
}

/** The container's files with this `deleted.files` before or behind them. */
function withDeleted(deleted: string, ...members: readonly RawMember[]): Buffer {
  const list = { name: 'deleted.files', content: deleted };
  return archiveWith({ name: 'rootfs-diff.tar', content: rawTar(...members) }, list);
}

function layerOf(...members: readonly RawMember[]): Buffer {
  return archiveWith({ name: 'rootfs-diff.tar', content: gzipSync(rawTar(...members)) });
}

describe('deleted files', () => {
  it('become whiteouts, below directories that are made up', async () => {
    expect(await filesOf(withDeleted('["/a/b/gone", "/etc"]', { name: 'a/x' }))).toEqual([
      'files directory 755 0',
      'files/a directory 755 0',
      'files/a/b directory 755 0',
      'files/a/b/gone character 0 0 0:0',
      'files/a/x file 644 0 ""',
      'files/etc character 0 0 0:0',
    ]);
  });

  it('are there without any other files of the container', async () => {
    const archive = archiveWith({ name: 'deleted.files', content: '["/a"]' });
    expect(await filesOf(archive)).toEqual(['files directory 755 0', 'files/a character 0 0 0:0']);
  });

  it('become opaque directories where there is a new one, be it a member or not', async () => {
    const members = [{ name: 'a/', type: '5', mode: 0o700 }, { name: 'b/c' }];
    expect(await filesOf(withDeleted('["/b", "/a", "/a/x"]', ...members))).toEqual([
      'files directory 755 0',
      `files/a directory 700 0 ${OPAQUE}`,
      'files/a/x character 0 0 0:0',
      `files/b directory 755 0 ${OPAQUE}`,
      'files/b/c file 644 0 ""',
    ]);
  });

  it('leave alone new files, and need nothing below what is gone or no directory', async () => {
    const list = '["/a", "/a/b", "/c/d", "/e/f", "/e", "/e/f/g"]';
    const members = [{ name: 'a' }, { name: 'c', type: '2', link: 'x' }];
    expect(await filesOf(withDeleted(list, ...members))).toEqual([
      'files directory 755 0',
      'files/a file 644 0 ""',
      'files/c link 644 0 -> x',
      'files/e character 0 0 0:0',
    ]);
  });

  it.each(['null', '[]'])('may be none: %s', async (list) => {
    expect(await filesOf(withDeleted(list, { name: 'a' }))).toHaveLength(2);
  });

  it.each([
    ['a tar', rawTar({ name: 'a' }).toString('latin1'), /no JSON/],
    ['nothing', '', /no JSON/],
    ['an object', '{"a": "/b"}', /no list of paths/],
    ['a list of numbers', '[1]', /no list of paths/],
    ['a relative path', '["a"]', /"a" is not absolute/],
    ['a path upwards', '["/../a"]', /has the part \.\./],
    ['a path that is not clean', '["/a/./b"]', /has the part \./],
    ['a path that begins with ./', '["/./b"]', /has the part \./],
    ['two slashes', '["//a"]', /is absolute/],
    ['a slash at the end', '["/a/"]', /ends with a slash/],
    ['the root', '["/"]', /is empty/],
    ['a NUL', String.raw`["/a\u0000"]`, /has a NUL/],
    ['a name that is too long', `["/${'a'.repeat(256)}"]`, /over 255 bytes/],
  ])('are refused when they are %s', async (_name, list, message) => {
    const expected = { code: 'INVALID_IMAGE' as const, file: 'a.tar:deleted.files', message };
    await expectFailure(() => filesOf(withDeleted(list, { name: 'a' })), expected);
  });
});

describe('names of whiteouts', () => {
  it('are whiteouts in a layer', async () => {
    const members = [
      ...[{ name: '.wh.gone' }, { name: 'a/.wh.x' }, { name: 'a/.wh..wh..opq' }],
      ...[{ name: '.wh.new' }, { name: 'new/', type: '5', mode: 0o711 }],
      ...[{ name: '.wh.file' }, { name: 'file', content: 'f' }],
    ];
    expect(await filesOf(layerOf(...members))).toEqual([
      'files directory 755 0',
      `files/a directory 755 0 ${OPAQUE}`,
      'files/a/x character 0 0 0:0',
      'files/file file 644 0 "f"',
      'files/gone character 0 0 0:0',
      `files/new directory 711 0 ${OPAQUE}`,
    ]);
  });

  it('are files like others where the archive lists what was deleted, or is plain', async () => {
    const expected = ['files directory 755 0', 'files/.wh.a file 644 0 "x"'];
    expect(await filesOf(archiveWithFiles({ name: '.wh.a', content: 'x' }))).toEqual(expected);
    expect(await filesOf(withDeleted('[]', { name: '.wh.a', content: 'x' }))).toEqual(expected);
  });

  it.each<[string, RawMember[], RegExp]>([
    ['of nothing', [{ name: '.wh.' }], /no whiteout of a name/],
    ['of the directory', [{ name: 'a/.wh..' }], /no whiteout of a name/],
    ['of what is above', [{ name: '.wh...' }], /no whiteout of a name/],
    ['of another whiteout', [{ name: '.wh..wh.plnk' }], /no whiteout of a name/],
    ['with content', [{ name: '.wh.a', content: 'x' }], /no empty file/],
    ['that are directories', [{ name: '.wh.a/', type: '5' }], /no empty file/],
    [
      'with links to them',
      [{ name: '.wh.a' }, { name: 'b', type: '1', link: '.wh.a' }],
      /whiteout/,
    ],
  ])('are refused %s', async (_name, members, message) => {
    const file = 'a.tar:rootfs-diff.tar';
    const expected = { code: 'INVALID_IMAGE' as const, file, message };
    await expectFailure(() => filesOf(layerOf(...members)), expected);
  });
});
