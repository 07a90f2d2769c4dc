/** Walking trees: complete and in order, inside, and bounded. */
import {
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DirectoryHandles } from '../../src/files/directory-handles.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { comparePaths } from '../../src/tree/entry.ts';
import { walkTree, type WalkLimits } from '../../src/upper/walk.ts';
import { openDescriptors } from '../support/doors.ts';
import { expectFailure } from '../support/failures.ts';
import { systemError, watchedFiles } from '../support/faulty-files.ts';
import { canMount, mountMemory } from '../support/mounts.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const latin1 = (path: Uint8Array): string => Buffer.from(path).toString('latin1');

function makeTree(paths: readonly string[]): string {
  const root = nextPath();
  mkdirSync(root);
  for (const path of paths) {
    const place = (text: string): Buffer => Buffer.from(`${root}/${text}`, 'latin1');
    const parts = path.split('/');
    const parents = parts.slice(0, -1).map((_, i) => parts.slice(0, i + 1).join('/'));
    for (const parent of parents) mkdirSync(place(parent), { recursive: true });
    if (path.endsWith('/')) continue;
    closeSync(openSync(place(path), 'a'));
  }
  return root;
}

const pathsOf = (root: string, limits?: Partial<WalkLimits>): string[] =>
  [...walkTree(nodeFiles, root, limits)].map(({ path }) => latin1(path));

describe('walkTree', () => {
  it('finds everything, in the order of a tree, the root first', () => {
    const root = makeTree(['b/c/d', 'b/a', 'b!', 'b-/x', 'a', 'b/c!', '\xff\n/\x80', 'empty/']);
    const expected = ['', 'a', 'b', 'b/a', 'b/c', 'b/c/d', 'b/c!', 'b!', 'b-', 'b-/x', 'empty'];
    expect(pathsOf(root)).toEqual([...expected, '\xff\n', '\xff\n/\x80']);
  });

  it('keeps the order of comparePaths for all names', () => {
    const name = fc
      .string({
        unit: fc.constantFrom('a', '!', '\xff', '.', '\n', '0'),
        minLength: 1,
        maxLength: 3,
      })
      .filter((text) => text !== '.' && text !== '..');
    // Directories end in d, so that none stands where a file does.
    const path = fc
      .tuple(fc.array(name, { maxLength: 3 }), name)
      .map(([above, last]) => [...above.map((part) => `${part}d`), last].join('/'));
    fc.assert(
      fc.property(fc.uniqueArray(path, { maxLength: 15 }), (paths) => {
        const root = makeTree(paths);
        const found = pathsOf(root);
        const sorted = found.toSorted((a, b) =>
          comparePaths(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1')),
        );
        expect(found).toEqual(sorted);
        expect(new Set(found).size).toBe(found.length);
        expect(found).toEqual(expect.arrayContaining(paths));
        rmSync(root, { recursive: true });
      }),
      { numRuns: 40 },
    );
  });

  it('gives the facts, and a handle that leads to each', () => {
    const root = makeTree(['a/b']);
    symlinkSync('a', join(root, 'link'));
    const found: string[] = [];
    for (const { path, facts, handle } of walkTree(nodeFiles, root)) {
      expect(nodeFiles.inspect(handle)).toEqual(facts);
      expect(nodeFiles.inspect(join(root, latin1(path)))).toEqual(facts);
      found.push(`${latin1(path)} ${facts.type}`);
    }
    expect(found).toEqual([' directory', 'a directory', 'a/b file', 'link link']);
  });

  it('closes all descriptors, at its end or when it is left', () => {
    const root = makeTree(['a/b/c/d/e', 'a/b/x']);
    const before = openDescriptors();
    pathsOf(root);
    for (const { path } of walkTree(nodeFiles, root)) if (latin1(path) === 'a/b/c') break;
    expect(openDescriptors()).toBe(before);
  });

  it('goes as deep as a thousand directories', () => {
    const root = nextPath();
    mkdirSync(root);
    const fd = nodeFiles.open(root, 'directory');
    const handles = new DirectoryHandles(nodeFiles, fd);
    const at = (depth: number): Buffer => Buffer.from(Array(depth).fill('d').join('/'));
    for (let depth = 1; depth <= 1025; depth++) nodeFiles.mkdir(handles.inside(at(depth)));
    const before = openDescriptors();
    const limits = { depth: 1025 };
    expect(pathsOf(root, limits)).toHaveLength(1026);
    expect(() => pathsOf(root)).toThrow(/more than 1024 directories deep/);
    expect(openDescriptors()).toBe(before);
    for (let depth = 1025; depth >= 1; depth--) nodeFiles.rmdir(handles.inside(at(depth)));
    handles.close();
    nodeFiles.close(fd);
  });

  it.skipIf(!canMount)('walks past what is mounted', () => {
    const root = makeTree(['a', 'mount/', 'z']);
    mountMemory(join(root, 'mount'), 64);
    writeFileSync(join(root, 'mount', 'hidden'), '');
    expect(pathsOf(root)).toEqual(['', 'a', 'mount', 'z']);
  });
});

describe('a walk with limits', () => {
  const root = makeTree(['a', 'b/c', 'b/d/e']);

  it.each([
    [{ entries: 6 }, { entries: 5 }],
    [{ depth: 2 }, { depth: 1 }],
    [{ pathBytes: 5 }, { pathBytes: 4 }],
  ])('passes with %j and not with %j', async (enough, fewer) => {
    expect(pathsOf(root, enough)).toHaveLength(6);
    const file = join(root, 'b/d');
    const message = new RegExp(file);
    await expectFailure(() => pathsOf(root, fewer), { code: 'UNSUPPORTED_IMAGE', message });
  });

  it('stops listing a directory where its limit is reached', async () => {
    const large = makeTree(Array.from({ length: 500 }, (_, i) => String(i)));
    let listed = 0;
    const files = {
      ...nodeFiles,
      *entries(path: string | Buffer) {
        for (const name of nodeFiles.entries(path)) {
          listed += 1;
          yield name;
        }
      },
    };
    const walk = (): unknown => [...walkTree(files, large, { entries: 10 })];
    await expectFailure(walk, { code: 'UNSUPPORTED_IMAGE', file: large });
    expect(listed).toBe(10);
  });
});

describe('a walk while somebody changes the tree', () => {
  /** Walks, and does something before the path is reached. */
  function walkWhile(root: string, at: string, change: () => void): string[] {
    const found: string[] = [];
    for (const { path } of walkTree(nodeFiles, root)) {
      found.push(latin1(path));
      if (latin1(path) === at) change();
    }
    return found;
  }

  it('says that it is incomplete when something vanishes', async () => {
    // Of names that are looked at together, the one that has vanished is found when it is read.
    const many = Array.from({ length: 1100 }, (_, i) => `c${i}`);
    const root = makeTree(['a', 'b/c', ...many, 'd']);
    const before = openDescriptors();
    await expectFailure(() => walkWhile(root, 'a', () => rmSync(join(root, 'd'))), {
      code: 'INCOMPLETE',
      file: join(root, 'd'),
    });
    const removeB = (): void => {
      rmSync(join(root, 'b/c'));
      rmdirSync(join(root, 'b'));
    };
    await expectFailure(() => walkWhile(root, 'b', removeB), {
      code: 'INCOMPLETE',
      file: join(root, 'b'),
    });
    expect(openDescriptors()).toBe(before);
  });

  it.each(['file', 'link', 'directory'])(
    'does not enter a directory that became a %s',
    async (to) => {
      const outside = makeTree(['secret']);
      const root = makeTree(['a', 'b/c', 'd']);
      const change = (): void => {
        renameSync(join(root, 'b'), join(root, 'old'));
        if (to === 'file') writeFileSync(join(root, 'b'), '');
        else if (to === 'link') symlinkSync(outside, join(root, 'b'));
        else mkdirSync(join(root, 'b'));
      };
      await expectFailure(() => walkWhile(root, 'b', change), {
        code: 'INCOMPLETE',
        file: join(root, 'b'),
      });
    },
  );

  it('does not go on in another directory when it comes back from the depth', async () => {
    const deep = Array(80).fill('d').join('/');
    const root = makeTree([`${deep}/`, 'd/z']);
    const change = (): void => {
      renameSync(join(root, 'd'), join(root, 'old'));
      mkdirSync(join(root, 'd'));
      writeFileSync(join(root, 'd', 'z'), 'another');
    };
    await expectFailure(() => walkWhile(root, deep, change), { code: 'INCOMPLETE' });
  });

  it('stays in a directory that it has entered, wherever it is moved', () => {
    const outside = makeTree(['1', '2', '3']);
    const root = makeTree(['b/1', 'b/2', 'c']);
    const change = (): void => {
      renameSync(join(root, 'b'), join(root, 'old'));
      symlinkSync(outside, join(root, 'b'));
    };
    expect(walkWhile(root, 'b/1', change)).toEqual(['', 'b', 'b/1', 'b/2', 'c']);
  });
});

describe('a walk that the system refuses', () => {
  it('of nothing is NOT_FOUND, of a file STORAGE', async () => {
    const path = nextPath();
    await expectFailure(() => pathsOf(path), { code: 'NOT_FOUND', file: path });
    writeFileSync(path, '');
    await expectFailure(() => pathsOf(path), { code: 'STORAGE', file: path });
  });

  it.each(['open', 'inspect', 'inspectOpen', 'entries'] as const)(
    'fails with STORAGE and the path when %s does',
    async (call) => {
      const root = makeTree(['a/b']);
      let armed = false;
      const files = watchedFiles((name) => {
        const isIt = name === call || (call === 'inspect' && name === 'inspectNames');
        if (armed && isIt) throw systemError('EIO', name);
      });
      const before = openDescriptors();
      const walk = (): void => {
        for (const { path } of walkTree(files, root)) armed = call === 'inspect' || path.length > 0;
      };
      const expected = { code: 'STORAGE', file: join(root, 'a') } as const;
      const error = await expectFailure(walk, expected);
      expect(error.cause).toMatchObject({ code: 'EIO' });
      expect(openDescriptors()).toBe(before);
    },
  );
});
