/** Trees put in place: complete as root, told what is missing without, and never outside. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DirectoryHandles } from '../../src/files/directory-handles.ts';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import type { TreeKind, TreeNode } from '../../src/tree/entry.ts';
import { openDescriptors } from '../support/doors.ts';
import { expectFailure } from '../support/failures.ts';
import { EVERY_CALL, systemError, watchedFiles } from '../support/faulty-files.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { latin1, madeNode, newTarget, nodesIn, putTree } from '../support/tree-targets.ts';

const nextPath = temporaryPaths();
const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write('SKIPPED: not root, tests of owners, devices and trusted.*\n');

const xattr = (name: string, value: string) => ({ name: latin1(name), value: latin1(value) });
/** CAP_NET_RAW, effective (version 2 of the format). */
const CAPABILITY = xattr(
  'security.capability',
  '\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00',
);
const ROOT_NODE = madeNode('', 'directory', { mode: 0o1777, modifiedSeconds: -3 });

/** Everything that a tree can hold, in order. */
const EVERYTHING: readonly TreeNode[] = [
  { ...ROOT_NODE, uid: 3, gid: 4, xattrs: [xattr('trusted.overlay.impure', 'y')] },
  madeNode('a', 'directory', {
    mode: 0o2750,
    uid: 5,
    modifiedNanoseconds: 999_999_999,
    xattrs: [xattr('trusted.overlay.opaque', 'y'), xattr('user.empty', '')],
  }),
  madeNode('a/setuid', 'file', { mode: 0o6751, uid: 100_000, gid: 4_000_000_000, sizeBytes: 3 }),
  madeNode('a/unreadable', 'directory', { mode: 0 }),
  madeNode('a/unreadable/file', 'file', { mode: 0, modifiedSeconds: -1 }),
  madeNode('block', 'block', { deviceMajor: 259, deviceMinor: 300, mode: 0o660, gid: 6 }),
  madeNode('capable', 'file', { uid: 7, xattrs: [CAPABILITY, xattr('user.\xff', '\x00\xff')] }),
  madeNode('character', 'character', { deviceMajor: 1, deviceMinor: 3 }),
  madeNode('fifo', 'fifo', { mode: 0o600, modifiedSeconds: 1, xattrs: [xattr('trusted.f', '1')] }),
  madeNode('link', 'link', {
    target: latin1('/\xff/..'),
    uid: 8,
    gid: 9,
    modifiedNanoseconds: 1,
    xattrs: [xattr('trusted.l', '1')],
  }),
  madeNode('whiteout', 'character', { mode: 0 }),
  madeNode('\xfe'.repeat(255), 'file', { modifiedSeconds: 2 }),
  madeNode('\xff\n', 'directory', {}),
  madeNode('\xff\n/\x80', 'link', { target: latin1('a') }),
];

describe.skipIf(!isRoot)('TreeTarget as root', () => {
  it('puts everything in place as it was', () => {
    const root = nextPath();
    const target = newTarget(root);
    putTree(target, EVERYTHING, 'abcdef');
    expect(nodesIn(root)).toEqual(EVERYTHING);
    expect(readFileSync(join(root, 'a/setuid'), 'utf8')).toBe('abc');
    expect(target.skipped.count).toBe(0);
  });

  it('does so whatever the umask is', () => {
    const umask = process.umask(0o177);
    try {
      const root = nextPath();
      putTree(newTarget(root), EVERYTHING, 'abc');
      expect(nodesIn(root)).toEqual(EVERYTHING);
    } finally {
      process.umask(umask);
    }
  });

  it('gives files more names', () => {
    const root = nextPath();
    const nodes = [
      ROOT_NODE,
      madeNode('a', 'directory'),
      madeNode('a/file', 'file', { sizeBytes: 3, mode: 0o4755 }),
      madeNode('b', 'directory'),
      madeNode('b/file', 'hard', { target: latin1('a/file') }),
      madeNode('c', 'link', { target: latin1('a') }),
      madeNode('d', 'hard', { target: latin1('c') }),
    ];
    putTree(newTarget(root), nodes, 'abc');
    const facts = nodeFiles.inspect(join(root, 'b/file'));
    expect(facts).toEqual(nodeFiles.inspect(join(root, 'a/file')));
    expect(facts).toMatchObject({ linkCount: 2, mode: 0o4755, sizeBytes: 3 });
    expect(nodeFiles.inspect(join(root, 'd'))).toMatchObject({ type: 'link', linkCount: 2 });
    expect(nodesIn(root).map(({ modifiedSeconds }) => modifiedSeconds)).toEqual([
      -3,
      ...Array<number>(6).fill(1_500_000_000),
    ]);
  });

  it('lists sockets and files of the host, and more names of them, as skipped', () => {
    const root = nextPath();
    const target = newTarget(root);
    putTree(target, [
      ROOT_NODE,
      madeNode('host', 'host'),
      madeNode('socket', 'socket'),
      madeNode('a-name', 'hard', { target: latin1('socket') }),
    ]);
    expect(target.skipped.named).toEqual([
      { path: latin1('host'), what: 'host' },
      { path: latin1('socket'), what: 'socket' },
      { path: latin1('a-name'), what: 'name' },
    ]);
    expect(target.skipped.count).toBe(3);
    expect(nodesIn(root)).toHaveLength(1);
  });

  it('takes files longer and shorter than what was written', () => {
    const root = nextPath();
    putTree(
      newTarget(root),
      [
        ROOT_NODE,
        madeNode('long', 'file', { sizeBytes: 2 ** 32 }),
        madeNode('none', 'file'),
        madeNode('same', 'file', { sizeBytes: 3 }),
      ],
      'abc',
    );
    const sizes = ['long', 'none', 'same'].map((name) => statSync(join(root, name)).size);
    expect(sizes).toEqual([2 ** 32, 0, 3]);
  });

  it('goes as deep as paths do', () => {
    const root = nextPath();
    const at = (depth: number): string => Array(depth).fill('d').join('/');
    const nodes = Array.from({ length: 1000 }, (_, i) => madeNode(at(i), 'directory'));
    const before = openDescriptors();
    const target = newTarget(root);
    putTree(target, nodes);
    expect(nodesIn(root)).toEqual(nodes);
    target.close();
    expect(openDescriptors() - before).toBe(1);
    const fd = nodeFiles.open(root, 'directory');
    const handles = new DirectoryHandles(nodeFiles, fd);
    for (let depth = 999; depth > 0; depth--) nodeFiles.rmdir(handles.inside(latin1(at(depth))));
    handles.close();
    nodeFiles.close(fd);
  });

  it('does not inherit access lists from where its root was made', () => {
    const above = nextPath();
    mkdirSync(above);
    // user::rwx group::rwx group:7:rwx mask::rwx other::rwx
    const entry = (tag: number, id: number): number[] => [
      tag,
      0,
      7,
      0,
      ...[0, 8, 16, 24].map((n) => (id >>> n) & 255),
    ];
    const list = [
      [1, -1],
      [4, -1],
      [8, 7],
      [16, -1],
      [32, -1],
    ] as const;
    const value = Uint8Array.from([2, 0, 0, 0, ...list.flatMap(([tag, id]) => entry(tag, id))]);
    nodeFiles.setXattr(above, latin1('system.posix_acl_default'), value);
    const root = join(above, 'root');
    mkdirSync(join(above, 'control'));
    expect(nodeFiles.xattrs(join(above, 'control'))).toHaveLength(2);
    const nodes = [ROOT_NODE, madeNode('a', 'directory'), madeNode('b', 'file', { mode: 0o600 })];
    putTree(newTarget(root), nodes);
    expect(nodesIn(root)).toEqual(nodes);
  });
});

describe('a node that could not come from a tree', () => {
  const make = (node: TreeNode, root: string): void => {
    const target = newTarget(root);
    target.makeDirectory(ROOT_NODE);
    target.makeDirectory(madeNode('a', 'directory'));
    target.makeFile(madeNode('file', 'file'));
    target.makeOther(madeNode('link', 'link', { target: latin1('..') }));
    if (node.kind === 'directory') target.makeDirectory(node);
    else if (node.kind === 'file') target.makeFile(node);
    else target.makeOther(node);
  };

  it.each([
    ...['..', '.', '../x', '/x', 'a/../../x', 'a/', 'a//x', 'x\0', './x', 'a/..'],
    ...['link/x', 'file/x', 'missing/x', 'a', 'file', 'link', 'x'.repeat(4097)],
  ])('is CORRUPT with the path %j, whatever it is', async (path) => {
    for (const kind of ['directory', 'file', 'link', 'fifo', 'hard'] as const) {
      const root = nextPath();
      const target = latin1(kind === 'hard' ? 'file' : 'x');
      await expectFailure(() => make(madeNode(path, kind, { target }), root), { code: 'CORRUPT' });
      expect(existsSync(join(root, '..', 'x'))).toBe(false);
      expect(nodesIn(root)).toHaveLength(4);
    }
  });

  it.each<[TreeKind, Partial<TreeNode>]>([
    ['file', { mode: 0o10000 }],
    ['file', { uid: 2 ** 32 - 1 }],
    ['file', { gid: -1 }],
    ['file', { modifiedNanoseconds: 1_000_000_000 }],
    ['file', { modifiedSeconds: 0.5 }],
    ['file', { sizeBytes: -1 }],
    ['character', { deviceMajor: 0x1000 }],
    ['block', { deviceMinor: 0x100000 }],
    ['link', {}],
    ['link', { target: latin1('') }],
    ['link', { target: latin1('a\0b') }],
    ['hard', {}],
    ['hard', { target: latin1('') }],
    ['hard', { target: latin1('a') }],
    ['hard', { target: latin1('missing') }],
    ['hard', { target: latin1('../1') }],
    ['hard', { target: latin1('link/1') }],
    ['fifo', { xattrs: [xattr('', '')] }],
    ['fifo', { xattrs: [xattr('user.a\0b', '')] }],
  ])('is CORRUPT as a %s with %j', async (kind, other) => {
    const root = nextPath();
    await expectFailure(() => make(madeNode('x', kind, other), root), { code: 'CORRUPT' });
    expect(nodesIn(root)).toHaveLength(4);
  });

  it('is CORRUPT where its kind is not made like this, or something else stands', async () => {
    const code = 'CORRUPT';
    const target = newTarget(nextPath());
    await expectFailure(() => target.makeFile(madeNode('', 'file')), { code });
    await expectFailure(() => target.makeFile(madeNode('a', 'link', { target: latin1('b') })), {
      code,
    });
    await expectFailure(() => target.makeDirectory(madeNode('a', 'file')), { code });
    await expectFailure(() => target.makeOther(madeNode('a', 'file')), { code });
    await expectFailure(() => target.finish(madeNode('a', 'file')), { code });
    await expectFailure(() => target.openFile(latin1('../x')), { code });
    await expectFailure(() => target.openFile(latin1('x')), { code });
    target.makeOther(madeNode('l', 'link', { target: latin1('/etc') }));
    await expectFailure(() => target.openFile(latin1('l')), { code });
    await expectFailure(() => target.finish(madeNode('l', 'file')), { code });
  });
});

describe('a directory that becomes a link in the middle', () => {
  it('does not lead the rest of the tree out', async () => {
    const [outside, root] = [nextPath(), nextPath()];
    mkdirSync(outside);
    const target = newTarget(root);
    target.makeDirectory(ROOT_NODE);
    target.makeDirectory(madeNode('a', 'directory'));
    rmSync(join(root, 'a'), { recursive: true });
    symlinkSync(outside, join(root, 'a'));
    await expectFailure(() => target.makeFile(madeNode('a/b', 'file')), { code: 'CORRUPT' });
    const modeBefore = statSync(outside).mode;
    await expectFailure(() => target.finishDirectory(), { code: 'CORRUPT' });
    expect(nodeFiles.list(outside)).toEqual([]);
    expect(statSync(outside).mode).toBe(modeBefore);
  });
});

describe('a file that becomes a link while it is finished', () => {
  it.each<keyof Files>(['inspect', 'setMode', 'setTimes'])(
    'before %s does not lead anything out',
    async (call) => {
      const [outside, root] = [nextPath(), nextPath()];
      nodeFiles.close(nodeFiles.open(outside, 'create'));
      const before = nodeFiles.inspect(outside);
      let isArmed = false;
      const files = watchedFiles((called) => {
        if (called !== call || !isArmed) return;
        isArmed = false;
        rmSync(join(root, 'a'));
        symlinkSync(outside, join(root, 'a'));
      });
      const target = newTarget(root, 'require', files);
      target.makeDirectory(ROOT_NODE);
      const node = madeNode('a', 'file', { mode: 0o6777 });
      target.makeFile(node);
      isArmed = true;
      if (call === 'setTimes') target.finish(node);
      else await expectFailure(() => target.finish(node), { code: 'CORRUPT' });
      expect(isArmed).toBe(false);
      expect(nodeFiles.inspect(outside)).toEqual(before);
    },
  );
});

describe('a call that fails', () => {
  it('is STORAGE with the path, whichever it is, and leaves nothing open', async () => {
    const nodes = isRoot ? EVERYTHING : [ROOT_NODE, madeNode('a', 'file', { sizeBytes: 9 })];
    const called = new Set<string>();
    const recording = watchedFiles((call) => called.add(call));
    putTree(newTarget(nextPath(), 'require', recording), nodes, 'abc');
    for (const call of EVERY_CALL.filter((name) => called.has(name))) {
      const root = nextPath();
      const files: Files = {
        ...nodeFiles,
        [call]: () => {
          throw systemError('EIO', call);
        },
      };
      const before = openDescriptors();
      const put = (): void => {
        const target = newTarget(root, 'skip', files);
        try {
          putTree(target, nodes, 'abc');
        } finally {
          target.close();
        }
      };
      const error = await expectFailure(put, { code: 'STORAGE', message: new RegExp(root) });
      expect(error.cause, call).toMatchObject({ code: 'EIO' });
      // The root, which the target does not own.
      expect(openDescriptors() - before, call).toBe(1);
    }
  });
});

describe('a target without rights', () => {
  const cases: readonly [keyof Files, string, TreeNode, string, RegExp][] = [
    ['setOwner', 'EPERM', madeNode('a', 'file', { uid: 1234 }), 'owner', /owner needs CAP_CHOWN/],
    ['makeNode', 'EPERM', madeNode('a', 'block', { deviceMajor: 7 }), 'device', /CAP_MKNOD/],
    [
      'setXattr',
      'EPERM',
      madeNode('a', 'file', { xattrs: [CAPABILITY] }),
      'xattr',
      /CAP_SYS_ADMIN/,
    ],
    ['setXattr', 'ENOTSUP', madeNode('a', 'file', { xattrs: [CAPABILITY] }), 'xattr', /attribute/],
  ];

  it.each(cases)(
    'that %s refuses with %s says so, or goes on',
    async (call, code, node, what, message) => {
      const files: Files = {
        ...nodeFiles,
        [call]: () => {
          throw systemError(code, call);
        },
      };
      const root = nextPath();
      const required = newTarget(root, 'require', files);
      const nodes = [ROOT_NODE, node];
      const file = join(root, 'a');
      await expectFailure(() => putTree(required, nodes), { code: 'STORAGE', file, message });
      const lenient = newTarget(nextPath(), 'skip', files);
      putTree(lenient, nodes);
      expect(lenient.skipped.named).toEqual([{ path: latin1('a'), what }]);
    },
  );

  it('does not make a file setuid for somebody else', () => {
    const files: Files = {
      ...nodeFiles,
      setOwner: () => {
        throw systemError('EPERM', 'chown');
      },
    };
    const root = nextPath();
    const target = newTarget(root, 'skip', files);
    putTree(target, [ROOT_NODE, madeNode('a', 'file', { uid: 1234, mode: 0o6755 })]);
    expect(nodeFiles.inspect(join(root, 'a')).mode).toBe(0o755);
    expect(target.skipped.named.map(({ what }) => what)).toEqual(['owner', 'mode']);
  });

  it('names the first 10,000 paths only, and counts the others', () => {
    const target = newTarget(nextPath());
    for (let i = 0; i < 10_001; i++) target.makeOther(madeNode(String(i), 'socket'));
    expect(target.skipped.named).toHaveLength(10_000);
    expect(target.skipped.count).toBe(10_001);
  });

  it.skipIf(!isRoot)('is told so by the real system, as nobody', () => {
    const directory = nextPath();
    mkdirSync(directory);
    execFileSync('chown', ['65534:65534', directory]);
    execFileSync('chmod', ['755', join(directory, '..')]);
    const program = new URL('../support/tree-target-child.ts', import.meta.url).pathname;
    const typescript = new URL('../support/typescript.mjs', import.meta.url).pathname;
    const parameters = ['--import', typescript, '-C', '@criu-timeline/source', program];
    const output = execFileSync(process.execPath, [...parameters, directory], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual({
      skipped: ['a owner', 'block device', 'capable xattr', 'whiteout absent: false'],
      required: 'STORAGE',
      message: expect.stringMatching(/CAP_CHOWN.*EPERM/),
    });
  });
});
