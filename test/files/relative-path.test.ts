/** Which paths stay inside a tree. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRelativePath, splitPath } from '../../src/files/relative-path.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

describe('isRelativePath', () => {
  it.each(['', 'a', 'a/b', '.a', '..a', 'a..', '...', 'a/.../b', '.a/..b', '\xff/\n', 'a./b'])(
    'accepts %j',
    (path) => expect(isRelativePath(bytes(path))).toBe(true),
  );

  it.each([
    ['/', '//', '/a', 'a/', 'a//b', '.', '..', './a', '../a', 'a/.', 'a/..', 'a/./b', 'a/../b'],
    ['\0', 'a\0', 'a/\0/b', '../', '/..', 'a/../'],
  ])('refuses %j, …', (...paths) => {
    for (const path of paths) expect(isRelativePath(bytes(path)), path).toBe(false);
  });

  it('agrees with a plain definition', () => {
    const piece = fc.constantFrom('a', '.', '/', '\0', '\xff');
    const path = fc.string({ unit: piece, maxLength: 8 });
    fc.assert(
      fc.property(path, (text) => {
        const isPart = (part: string): boolean => !['', '.', '..'].includes(part);
        const expected = text === '' || (!text.includes('\0') && text.split('/').every(isPart));
        expect(isRelativePath(bytes(text))).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('splitPath', () => {
  it.each([
    ['', '', ''],
    ['a', '', 'a'],
    ['a/b', 'a', 'b'],
    ['a/b/\xff', 'a/b', '\xff'],
  ])('splits %j', (path, parent, name) => {
    expect(splitPath(bytes(path))).toEqual({ parent: bytes(parent), name: bytes(name) });
  });
});
