/** Names of members: what is safe, what a tree makes of it, and what contradicts itself. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ARCHIVE_LIMITS, LimitCounter } from '../../src/archives/limits.ts';
import { cleanPath, MemberNames, printableName } from '../../src/archives/member-names.ts';
import type { MemberKind, TarMember } from '../../src/archives/tar-member.ts';
import { FILES_DIRECTORY } from '../../src/archives/tree-path.ts';
import { expectFailure } from '../support/failures.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const clean = (text: string, isDirectory = false): string =>
  Buffer.from(cleanPath(bytes(text), isDirectory)).toString('latin1');

describe('a name', () => {
  it.each([
    ['a', 'a'],
    ['./a/b', 'a/b'],
    ['...', '...'],
    ['.hidden', '.hidden'],
    ['a b/\n\xff', 'a b/\n\xff'],
    [`${'a'.repeat(255)}/b`, `${'a'.repeat(255)}/b`],
  ])('is safe: %j', (name, expected) => expect(clean(name)).toBe(expected));

  it.each([
    ['a/', 'a'],
    ['./a/b/', 'a/b'],
    ['./', ''],
    ['.', ''],
  ])('of a directory is safe: %j', (name, expected) => expect(clean(name, true)).toBe(expected));

  it.each([
    '',
    '.',
    './',
    '..',
    '../a',
    'a/..',
    'a/../b',
    './../a',
    '/a',
    '//a',
    './/a',
    'a//b',
    'a/',
    'a/./b',
    'a/.',
    './.',
    '././a',
    'a\0b',
    '\0',
    'a'.repeat(256),
    'a/'.repeat(2048) + 'a',
  ])('of a file is refused: %j', (name) => expect(() => clean(name)).toThrow(Error));

  it.each(['', '/', '//', './/', 'a//', '../', './..', 'a/../'])(
    'of a directory is refused: %j',
    (name) => expect(() => clean(name, true)).toThrow(Error),
  );

  it('that is accepted has no part that leads anywhere else', () => {
    const name = fc.array(fc.constantFrom('a', '/', '.', '\0', '..', './'), { maxLength: 8 });
    fc.assert(
      fc.property(name, fc.boolean(), (parts, isDirectory) => {
        let path: string;
        try {
          path = clean(parts.join(''), isDirectory);
        } catch {
          return;
        }
        if (path === '') return;
        for (const part of path.split('/')) expect(['', '.', '..']).not.toContain(part);
        expect(path).not.toContain('\0');
        expect(clean(path)).toBe(path);
      }),
      { numRuns: 2000 },
    );
  });

  it('is shown without control characters, and not at any length', () => {
    expect(printableName(bytes('a\n\x1b'))).toBe(String.raw`"a\n\u001b"`);
    expect(printableName(new Uint8Array(5000).fill(97)).length).toBeLessThan(210);
  });
});

function memberOf(path: string, kind: MemberKind, target?: string): TarMember {
  return {
    ...{ path: bytes(path), kind, mode: 0, uid: 0, gid: 0, modifiedSeconds: 0, xattrs: [] },
    ...{ modifiedNanoseconds: 0, sizeBytes: 0, deviceMajor: 0, deviceMinor: 0, offset: 0 },
    ...{ headerBytes: path.length, target: target === undefined ? undefined : bytes(target) },
  };
}

type Row = readonly [path: string, kind: MemberKind, target?: string];

function addAll(rows: readonly Row[], limits = {}): string[] {
  const names = new MemberNames(
    'a.tar',
    FILES_DIRECTORY,
    new LimitCounter({ ...ARCHIVE_LIMITS, ...limits }, 'a.tar'),
  );
  return rows.map(([path, kind, target]) => {
    const member = memberOf(path, kind, target);
    const added = Buffer.from(names.add(member)).toString();
    return kind === 'hard' ? Buffer.from(names.hardTarget(member)).toString() : added;
  });
}

describe('members', () => {
  it('may come in any order, directories behind what is in them', () => {
    expect(
      addAll([
        ['a/b/c', 'file'],
        ['a/', 'directory'],
        ['a/b', 'directory'],
        ['./', 'directory'],
      ]),
    ).toEqual(['a/b/c', 'a', 'a/b', '']);
  });

  it('may be hard links of hard links', () => {
    const rows: Row[] = [
      ['a', 'file'],
      ['b', 'hard', './a'],
      ['d/c', 'hard', 'b'],
    ];
    expect(addAll(rows)).toEqual(['a', 'a', 'a']);
  });

  it.each<[string, Row[], RegExp]>([
    [
      'there twice',
      [
        ['a', 'file'],
        ['./a', 'file'],
      ],
      /"\.\/a" is there twice/,
    ],
    [
      'two directories of a name',
      [
        ['a', 'directory'],
        ['a/', 'directory'],
      ],
      /is there twice/,
    ],
    [
      'a file in place of a directory',
      [
        ['a/b', 'file'],
        ['a', 'file'],
      ],
      /is a directory as well/,
    ],
    [
      'a link in place of a directory',
      [
        ['a/b', 'file'],
        ['a', 'link', '/'],
      ],
      /directory as well/,
    ],
    [
      'below a link',
      [
        ['a', 'link', '/etc'],
        ['a/b', 'file'],
      ],
      /below "a", a link/,
    ],
    [
      'far below a link',
      [
        ['a', 'link', '/etc'],
        ['a/b/c/d', 'directory'],
      ],
      /below "a", a link/,
    ],
    [
      'below a file',
      [
        ['a', 'file'],
        ['a/b', 'file'],
      ],
      /below "a", a file/,
    ],
    ['a hard link to the outside', [['a', 'hard', '/etc/passwd']], /is absolute/],
    ['a hard link upwards', [['a', 'hard', '../b']], /has the part \.\./],
    [
      'a hard link to what comes later',
      [
        ['a', 'hard', 'b'],
        ['b', 'file'],
      ],
      /no file before it/,
    ],
    ['a hard link to itself', [['a', 'hard', 'a']], /no file before it/],
    [
      'a hard link to a directory',
      [
        ['b', 'directory'],
        ['a', 'hard', 'b'],
      ],
      /no file before it/,
    ],
    ['a link to nothing', [['a', 'link', '']], /no path/],
    ['a link with a NUL', [['a', 'link', 'b\0c']], /no path/],
    ['a link beyond a page', [['a', 'link', 'b'.repeat(4096)]], /no path/],
  ])('are refused when one is %s', async (_name, rows, message) => {
    await expectFailure(() => addAll(rows), { code: 'INVALID_IMAGE', file: 'a.tar', message });
  });

  it.each<MemberKind>(['link', 'fifo', 'character', 'block'])(
    'may be other names of a %s, as whiteouts of overlayfs have',
    (kind) => {
      const rows: Row[] = [
        ['b', kind, 'c'],
        ['a', 'hard', 'b'],
        ['d', 'hard', 'a'],
      ];
      expect(addAll(rows)).toEqual(['b', 'b', 'b']);
    },
  );

  it('count towards limits, with directories that only paths speak of', async () => {
    expect(
      addAll(
        [
          ['a/b/c', 'file'],
          ['a/b', 'directory'],
        ],
        { members: 3 },
      ),
    ).toHaveLength(2);
    const failure = { code: 'UNSUPPORTED_IMAGE' as const, message: /limit `members` of 3/ };
    await expectFailure(() => addAll([['a/b/c/d', 'file']], { members: 3 }), failure);
    const bytesFailure = {
      code: 'UNSUPPORTED_IMAGE' as const,
      message: /limit `headerBytes` of 5/,
    };
    await expectFailure(() => addAll([['aaaaaa', 'file']], { headerBytes: 5 }), bytesFailure);
  });
});
