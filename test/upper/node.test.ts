/** What is kept of a walked path: all of it, and of one inode. */
import {
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import type { TreeNode } from '../../src/tree/entry.ts';
import { nodeOf, pagesOf } from '../../src/upper/node.ts';
import { walkTree } from '../../src/upper/walk.ts';
import { openDescriptors } from '../support/doors.ts';
import { expectFailure } from '../support/failures.ts';
import { systemError } from '../support/faulty-files.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write('SKIPPED: not root, tests of devices and owners\n');
const MIB = 2 ** 20;

function newDirectory(): string {
  const path = nextPath();
  mkdirSync(path);
  return path;
}

function nodesOf(root: string, files: Files = nodeFiles, readXattrs = true): TreeNode[] {
  const nodes: TreeNode[] = [];
  for (const walked of walkTree(files, root)) nodes.push(nodeOf(files, walked, { readXattrs }));
  return nodes;
}

const PLAIN = {
  xattrs: [],
  target: undefined,
  dataRuns: undefined,
  deviceMajor: 0,
  deviceMinor: 0,
};

describe('nodeOf', () => {
  it('tells a file from its facts', () => {
    const root = newDirectory();
    writeFileSync(join(root, 'a'), 'abc');
    nodeFiles.setMode(join(root, 'a'), 0o640);
    nodeFiles.setTimes(join(root, 'a'), -5, 999_999_999);
    expect(nodesOf(root)[1]).toEqual({
      ...PLAIN,
      path: bytes('a'),
      kind: 'file',
      mode: 0o640,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
      modifiedSeconds: -5,
      modifiedNanoseconds: 999_999_999,
      sizeBytes: 3,
    });
  });

  it.each([
    [0, 0],
    [-1, 0],
    [-1, 1],
    [1_700_000_000, 123_456_789],
  ])('splits a time of %d s and %d ns', (seconds, nanoseconds) => {
    const root = newDirectory();
    nodeFiles.setTimes(root, seconds, nanoseconds);
    const expected = { modifiedSeconds: seconds, modifiedNanoseconds: nanoseconds };
    expect(nodesOf(root)[0]).toMatchObject(expected);
  });

  it('reads links, as bytes, and attributes of files and directories', () => {
    const root = newDirectory();
    symlinkSync(Buffer.of(0x2f, 0xff), join(root, 'link'));
    writeFileSync(join(root, 'file'), '');
    nodeFiles.setXattr(join(root, 'file'), bytes('user.b'), bytes('2'));
    nodeFiles.setXattr(join(root, 'file'), bytes('user.a'), bytes(''));
    nodeFiles.setXattr(root, bytes('user.root'), bytes('1'));
    const [top, file, link] = nodesOf(root);
    expect(top).toMatchObject({
      path: bytes(''),
      kind: 'directory',
      sizeBytes: 0,
      xattrs: [{ name: bytes('user.root'), value: bytes('1') }],
    });
    expect(file?.xattrs).toEqual([
      { name: bytes('user.a'), value: bytes('') },
      { name: bytes('user.b'), value: bytes('2') },
    ]);
    expect(link).toMatchObject({ kind: 'link', target: Uint8Array.of(0x2f, 0xff), sizeBytes: 0 });
    expect(nodesOf(root, nodeFiles, false).map(({ xattrs }) => xattrs)).toEqual([[], [], []]);
  });

  it.skipIf(!isRoot)('tells devices, whiteouts and fifos, and opens none', () => {
    const root = newDirectory();
    nodeFiles.makeNode(join(root, 'a'), 'character', 0o600, 0, 0);
    nodeFiles.makeNode(join(root, 'b'), 'block', 0o600, 259, 300);
    nodeFiles.makeNode(join(root, 'c'), 'fifo', 0o600, 0, 0);
    nodeFiles.setOwner(join(root, 'c'), 7, 8);
    const opened: unknown[] = [];
    const files: Files = {
      ...nodeFiles,
      openRegular: (path) => {
        opened.push(path);
        return nodeFiles.openRegular(path);
      },
    };
    expect(nodesOf(root, files).slice(1)).toMatchObject([
      { kind: 'character', deviceMajor: 0, deviceMinor: 0 },
      { kind: 'block', deviceMajor: 259, deviceMinor: 300 },
      { kind: 'fifo', uid: 7, gid: 8 },
    ]);
    expect(opened).toEqual([]);
  });

  it('finds the data of sparse files, in pages', () => {
    const root = newDirectory();
    const write = (name: string, sizeBytes: number, at: readonly number[]): void => {
      const fd = openSync(join(root, name), 'w');
      ftruncateSync(fd, sizeBytes);
      for (const offset of at) writeSync(fd, 'x', offset);
      closeSync(fd);
    };
    write('a-hole', 3 * MIB, []);
    write('b-islands', 3 * MIB + 1, [MIB, 3 * MIB]);
    write('c-full', 5000, [0, 4096]);
    const before = openDescriptors();
    const [, hole, islands, full] = nodesOf(root);
    expect(openDescriptors()).toBe(before);
    expect(hole?.dataRuns).toEqual({ start: new Float64Array(0), length: new Float64Array(0) });
    expect(islands?.dataRuns?.start).toEqual(Float64Array.of(256, 768));
    expect(islands?.dataRuns?.length[1]).toBe(1);
    expect(full?.dataRuns).toBeUndefined();
    expect([hole?.sizeBytes, islands?.sizeBytes]).toEqual([3 * MIB, 3 * MIB + 1]);
  });

  it('leaves it to the caller to see one more name of a file', () => {
    const root = newDirectory();
    writeFileSync(join(root, 'a'), '');
    linkSync(join(root, 'a'), join(root, 'b'));
    expect(nodesOf(root).map(({ kind }) => kind)).toEqual(['directory', 'file', 'file']);
  });
});

describe('pagesOf', () => {
  const list = (runs: ReturnType<typeof pagesOf>): unknown =>
    runs && [...runs.start].map((start, i) => [start, runs.length[i]]);

  it.each([
    [[[0, 4096]], 8192, [[0, 1]]],
    [[[1, 2]], 8192, [[0, 1]]],
    [[[4095, 4097]], 12_288, [[0, 2]]],
    [
      [
        [0, 100],
        [200, 300],
        [4096, 4097],
      ],
      16_384,
      [[0, 2]],
    ],
    [
      [
        [0, 100],
        [8192, 8193],
      ],
      16_384,
      [
        [0, 1],
        [2, 1],
      ],
    ],
    [[[0, 5000]], 5000, undefined],
    [
      [
        [0, 4096],
        [4096, 5000],
      ],
      5000,
      undefined,
    ],
    [[], 5000, []],
    [[], 1, []],
  ])('of %j in %d bytes are %j', (runs, sizeBytes, expected) => {
    const input = runs.map(([start = 0, end = 0]) => ({ start, end }));
    expect(list(pagesOf(input, sizeBytes))).toEqual(expected);
  });

  it('hold every byte of data, do not touch, and hold no page without', () => {
    const cuts = fc
      .uniqueArray(fc.nat(60_000), { maxLength: 12 })
      .map((all) => all.sort((a, b) => a - b));
    fc.assert(
      fc.property(cuts, (all) => {
        const runs = Array.from({ length: all.length >>> 1 }, (_, i) => ({
          start: all[2 * i]!,
          end: all[2 * i + 1]!,
        }));
        const expected = new Set<number>();
        for (const { start, end } of runs) {
          for (let page = start >> 12; page * 4096 < end; page++) expected.add(page);
        }
        const pages = pagesOf(runs, 65_536);
        const found = new Set<number>();
        pages?.start.forEach((start, i) => {
          expect(found.has(start - 1)).toBe(false);
          for (let page = 0; page < pages.length[i]!; page++) found.add(start + page);
        });
        expect([...found]).toEqual([...expected]);
      }),
    );
  });
});

describe('a path that changes while it is read', () => {
  /** A door that does something before a call. */
  const disturbed = (call: keyof Files, change: () => void): Files => ({
    ...nodeFiles,
    [call]: (...values: unknown[]): unknown => {
      change();
      return (nodeFiles[call] as (...values: unknown[]) => unknown)(...values);
    },
  });

  it('does not lend its attributes to another file', async () => {
    const root = newDirectory();
    const [file, other] = [join(root, 'a'), nextPath()];
    writeFileSync(file, '');
    writeFileSync(other, '');
    nodeFiles.setXattr(other, bytes('user.power'), bytes('1'));
    const files = disturbed('xattrs', () => {
      if (nodeFiles.list(root).length > 0) renameSync(other, file);
    });
    const read = (): unknown => {
      for (const walked of walkTree(files, root)) {
        if (walked.path.length > 0) nodeOf(files, walked, { readXattrs: true });
      }
      return undefined;
    };
    await expectFailure(read, { code: 'INCOMPLETE', file: 'a' });
  });

  it('is INCOMPLETE when a link or a sparse file becomes something else', async () => {
    const root = newDirectory();
    const path = join(root, 'a');
    const readWith = (files: Files) => (): unknown => nodesOf(root, files, false);
    symlinkSync('x', path);
    const toFile = (): void => {
      rmSync(path);
      writeFileSync(path, '');
    };
    await expectFailure(readWith(disturbed('readlink', toFile)), { code: 'INCOMPLETE', file: 'a' });
    const toFifo = (): void => {
      rmSync(path);
      nodeFiles.makeNode(path, 'fifo', 0o600, 0, 0);
    };
    const toOther = (): void => {
      writeFileSync(nextPath(), '');
      renameSync(path, nextPath());
      writeFileSync(path, 'other');
    };
    for (const change of [toFifo, toOther, () => rmSync(path)]) {
      rmSync(path, { force: true });
      const fd = openSync(path, 'w');
      ftruncateSync(fd, MIB);
      closeSync(fd);
      const files = disturbed('openRegular', change);
      await expectFailure(readWith(files), { code: 'INCOMPLETE', file: 'a' });
    }
  });

  it('may be a directory that gets files', () => {
    const root = newDirectory();
    nodeFiles.setXattr(root, bytes('user.a'), bytes('1'));
    const busy = disturbed('xattrs', () => writeFileSync(join(root, 'new'), ''));
    expect(nodesOf(root, busy)[0]?.xattrs).toHaveLength(1);
  });
});

describe('what the system refuses', () => {
  it('is UNSUPPORTED_IMAGE, with the path, when a file has too many pieces', async () => {
    const root = newDirectory();
    const fd = openSync(join(root, 'a'), 'w');
    for (const at of [0, MIB, 2 * MIB]) writeSync(fd, 'x', at);
    closeSync(fd);
    const files: Files = {
      ...nodeFiles,
      dataRuns: (file, sizeBytes) => nodeFiles.dataRuns(file, sizeBytes, 2),
    };
    const before = openDescriptors();
    await expectFailure(() => nodesOf(root, files), { code: 'UNSUPPORTED_IMAGE', file: 'a' });
    expect(openDescriptors()).toBe(before);
  });

  it('is STORAGE, with the path', async () => {
    const root = newDirectory();
    writeFileSync(join(root, 'a'), '');
    const files: Files = {
      ...nodeFiles,
      xattrs: (path) => {
        if (path.toString().endsWith('/a')) throw systemError('EIO', 'lgetxattr');
        return [];
      },
    };
    await expectFailure(() => nodesOf(root, files), { code: 'STORAGE', file: 'a' });
  });

  // Numbers of 64 bits in an answer of statx: the size, and the seconds of the last modification.
  it.each([
    [5, 2n ** 53n],
    [14, -(2n ** 53n)],
  ])('is a size or a time beyond what numbers tell exactly', async (field, large) => {
    const root = newDirectory();
    writeFileSync(join(root, 'a'), '');
    const files: Files = {
      ...nodeFiles,
      inspectNames: (lookups, first, end, directory) => {
        nodeFiles.inspectNames(lookups, first, end, directory);
        const answer = lookups.answers.view(first);
        new BigInt64Array(answer.buffer, answer.byteOffset)[field] = large;
      },
    };
    await expectFailure(() => nodesOf(root, files), { code: 'UNSUPPORTED_IMAGE', file: 'a' });
  });
});
