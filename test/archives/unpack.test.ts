/** Archives unpacked: those of each engine, and every trick that is known against unpackers. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { unpackArchive } from '../../src/archives/unpack.ts';
import { comparePaths } from '../../src/tree/entry.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { expectFailure } from '../support/failures.ts';
import {
  archiveWith,
  archiveWithFiles,
  describeNodes,
  END,
  filesBelow,
  paxMember,
  rawMember,
  type RawMember,
  rawTar,
  unpack,
} from '../support/made-archives.ts';
import { makeContainerd, makeCrio, makePodman } from '../support/engine-archives.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

describe('an archive of podman', () => {
  it.each(['none', 'gzip', 'zstd'] as const)('gives images, nodes and labels: %s', async (how) => {
    const staging = newPath();
    const unpacked = await unpack(makePodman(newPath(), how), staging);
    expect(unpacked).toMatchObject({ compression: how, engine: 'podman' });
    expect(unpacked.images).toEqual({
      ...{ directory: `${staging}/images`, member: 'checkpoint', parent: undefined },
    });
    expect(filesBelow(unpacked.images.directory)).toEqual({
      'inventory.img': 'inventory',
      'pages-1.img': 'p'.repeat(10_000),
    });
    expect(unpacked.labels).toEqual({
      'org.criu.checkpoint.engine.name': 'podman',
      'org.criu.checkpoint.container.name': 'shop',
    });
    const lines = describeNodes(unpacked).map((line) => line.slice(0, 90));
    expect(lines.filter((line) => !line.startsWith('layouts'))).toEqual([
      'files directory 755 0',
      'files/data directory 755 0',
      'files/data/a file 4755 0 "hard"',
      'files/data/fifo fifo 644 0',
      'files/data/link link 777 0 -> ../../etc/passwd',
      'files/data/z hard 4755 0 -> files/data/a',
      'files/srv directory 755 0',
      'files/srv/drop directory 755 0 trusted.overlay.opaque=y',
      'files/srv/drop/new ünïcode\n file 644 0 "new"',
      'files/srv/gone character 0 0 0:0',
      'members directory 755 0',
      'members/config.dump file 644 0 "{\\"name\\": \\"shop\\"}"',
      'members/deleted.files file 644 0 "[\\"/srv/drop\\", \\"/srv/gone\\"]"',
      'members/network.status file 644 0 "null"',
      'members/spec.dump file 644 0 "{}"',
      'members/volumes directory 755 0',
      'members/volumes/v.tar file 644 0 "volume"',
    ]);
    const paths = unpacked.nodes.map(({ path }) => path);
    expect(paths.toSorted(comparePaths)).toEqual(paths);
    expect(lines.filter((line) => line.startsWith('layouts'))).toHaveLength(3);
  });
});

describe('an archive', () => {
  it('of CRI-O gives its engine and labels', async () => {
    const unpacked = await unpack(makeCrio(newPath()), newPath());
    expect(unpacked).toMatchObject({ compression: 'none', engine: 'cri-o' });
    expect(unpacked.labels).toMatchObject({
      'org.criu.checkpoint.pod.name': 'web-0',
      'org.criu.checkpoint.container.name': 'server',
    });
  });

  it('of containerd gives the files of its layer', async () => {
    const unpacked = await unpack(makeContainerd(newPath()), newPath());
    expect(unpacked.engine).toBe('containerd');
    const lines = describeNodes(unpacked);
    expect(lines.filter((line) => line.startsWith('files'))).toEqual([
      'files directory 755 0',
      'files/etc directory 755 0 trusted.overlay.opaque=y',
      'files/etc/gone character 0 0 0:0',
      'files/etc/hosts file 644 0 "127.0.0.1"',
    ]);
    expect(lines).toContain('layouts/rootfs-diff.compression file 600 0 "gzip"');
  });

  it('may be an incremental dump, whose link is told and not made', async () => {
    const link = { name: 'checkpoint/parent', type: '2', link: '../../../etc' };
    const { images } = await unpack(archiveWith(link), newPath());
    expect(Buffer.from(images.parent!).toString()).toBe('../../../etc');
    expect(readdirSync(images.directory)).toEqual(['inventory.img']);
  });

  it('may be a pre-dump', async () => {
    const { images } = await unpack(rawTar({ name: 'pre-checkpoint/a.img' }), newPath());
    expect(images.member).toBe('pre-checkpoint');
  });

  it('may have directories among its images', async () => {
    const { images } = await unpack(
      archiveWith({ name: 'checkpoint/a/b/c', content: 'c' }),
      newPath(),
    );
    expect(filesBelow(images.directory)).toMatchObject({ 'a/b/c': 'c' });
  });

  it('has directories for its members as it says, or made up ones', async () => {
    const archive = archiveWith(
      { name: 'volumes/', type: '5', mode: 0o750, owner: 5 },
      ...[{ name: 'volumes/v.tar' }, { name: 'other/x' }, { name: 'empty/', type: '5' }],
      ...[{ name: 'late/x' }, { name: 'late/', type: '5', mode: 0o710 }],
    );
    const lines = describeNodes(await unpack(archive, newPath()));
    expect(lines.filter((line) => line.startsWith('members'))).toEqual([
      'members directory 755 0',
      'members/late directory 710 0',
      'members/late/x file 644 0 ""',
      'members/other directory 755 0',
      'members/other/x file 644 0 ""',
      'members/volumes directory 750 5',
      'members/volumes/v.tar file 644 0 ""',
    ]);
  });

  it('keeps owners, devices, times and extended attributes of a container’s files', async () => {
    const archive = archiveWithFiles(
      paxMember({ mtime: '-1.5', 'SCHILY.xattr.security.capability': Buffer.from([0, 0xff]) }),
      { name: 'a', owner: 70_000 },
      { name: 'dev', type: '4', device: [8, 1], mode: 0o660 },
    );
    const { nodes } = await unpack(archive, newPath());
    expect(nodes[1]).toMatchObject({ uid: 70_000, modifiedSeconds: -2 });
    expect(nodes[1]).toMatchObject({ gid: 70_000, modifiedNanoseconds: 500_000_000 });
    expect(nodes[1]!.xattrs.map(({ value }) => [...value])).toEqual([[0, 0xff]]);
    expect(nodes[2]).toMatchObject({ kind: 'block', deviceMajor: 8, deviceMinor: 1, mode: 0o660 });
  });

  it('may come in chunks of any size, and tells how much was read', async () => {
    const archive = gzipSync(archiveWithFiles({ name: 'a', content: 'a' }));
    const staging = newPath();
    mkdirSync(staging);
    let readBytes = 0;
    const bytesOf = function* (): Generator<Uint8Array> {
      for (const byte of archive) yield Uint8Array.of(byte);
    };
    const unpacked = await unpackArchive(nodeFiles, bytesOf(), {
      ...{ file: 'a', staging },
      onBytes: (count) => void (readBytes += count),
    });
    expect(describeNodes(unpacked)[1]).toBe('files/a file 644 0 "a"');
    expect(readBytes).toBe(archive.length);
  });

  it('is private on the disk, but for images, which have their modes', async () => {
    const staging = newPath();
    const image = { name: 'checkpoint/a.img', mode: 0o4654 };
    const files = { name: 'rootfs-diff.tar', content: rawTar({ name: 'a', mode: 0o6777 }) };
    const unreadable = { name: 'checkpoint/b/c.img', mode: 0 };
    const directory = { name: 'checkpoint/b/', type: '5', mode: 0o1055 };
    await unpack(archiveWith(image, unreadable, directory, files), staging);
    const options = ['-mindepth', '1', '-printf', '%y%m %P\n'];
    const lines = execFileSync('find', [staging, ...options], { encoding: 'utf8' }).split('\n');
    const special = lines.filter((line) => !/^(d700 |f600 |$)/.test(line)).sort();
    expect(special).toEqual([
      'd755 images/b',
      'f400 images/b/c.img',
      'f644 images/inventory.img',
      'f654 images/a.img',
    ]);
  });
});

/** Fails unless this archive is refused, and nothing changed outside the staging directory. */
async function expectRefused(
  archive: Buffer,
  message: RegExp,
  file = 'a.tar',
  options = {},
): Promise<void> {
  const root = newPath();
  mkdirSync(root);
  writeFileSync(`${root}/outside`, 'outside');
  mkdirSync(`${root}/victim`);
  const staging = join(root, 'a', 'staging');
  mkdirSync(dirname(staging));
  const code = /limit/.test(message.source) ? 'UNSUPPORTED_IMAGE' : 'INVALID_IMAGE';
  await expectFailure(() => unpack(archive, staging, options), { code, file, message });
  rmSync(staging, { recursive: true });
  expect(filesBelow(root)).toEqual({ outside: 'outside' });
}

const HOSTILE: [string, RawMember[], RegExp][] = [
  [
    'a name upwards',
    [{ name: '../../outside', content: 'x' }],
    /"\.\.\/\.\.\/outside" has the part/,
  ],
  ['a name upwards in the middle', [{ name: 'a/../../../outside' }], /has the part \.\./],
  ['an absolute name', [{ name: '/tmp/outside' }], /is absolute/],
  ['an absolute name in PAX', [paxMember({ path: '/tmp/x' }), { name: 'a' }], /is absolute/],
  ['a NUL in a name', [paxMember({ path: 'a\0b' }), { name: 'a' }], /has a NUL/],
  ['no name', [{ name: '' }], /is empty/],
  [
    'a name that is too long',
    [paxMember({ path: 'a/'.repeat(2100) + 'b' }), { name: 'a' }],
    /longer/,
  ],
  ['a member twice', [{ name: 'a' }, { name: './a' }], /is there twice/],
  ['a file in place of a directory', [{ name: 'a/b' }, { name: 'a' }], /directory as well/],
  ['a name below a file', [{ name: 'a' }, { name: 'a/b' }], /below "a", a file/],
  [
    'a hard link to the outside',
    [{ name: 'a', type: '1', link: '../outside' }],
    /has the part \.\./,
  ],
  ['a hard link to a host file', [{ name: 'a', type: '1', link: '/etc/passwd' }], /is absolute/],
];

describe('a hostile archive is refused', () => {
  // Outside, hard links are refused whatever they name.
  const outer = HOSTILE.filter(([name]) => !name.includes('hard link'));

  it.each(outer)('with %s', async (_name, members, message) => {
    await expectRefused(archiveWith(...members), message);
  });

  it.each(HOSTILE)('with %s among the container’s files', async (_name, members, message) => {
    const file = 'a.tar:rootfs-diff.tar';
    await expectRefused(archiveWithFiles(...members), message, file);
    const gzip = gzipSync(rawTar(...members));
    await expectRefused(archiveWith({ name: 'rootfs-diff.tar', content: gzip }), message, file);
  });

  it.each<[string, RawMember[], RegExp]>([
    ['images upwards', [{ name: 'checkpoint/../../outside' }], /has the part \.\./],
    ['an image twice', [{ name: 'checkpoint/inventory.img' }], /is there twice/],
    ['a link among images', [{ name: 'checkpoint/a', type: '2', link: '/' }], /is a link, which/],
    ['a device among images', [{ name: 'checkpoint/a', type: '3' }], /is a character, which/],
    [
      'names through the parent link',
      [{ name: 'checkpoint/parent', type: '2', link: '..' }, { name: 'checkpoint/parent/a' }],
      /below "checkpoint\/parent", a link/,
    ],
    ['images that are very deep', [{ name: 'checkpoint/a/b/c/d/e/f/g/h/i/j' }], /8 directories/],
    ['two image directories', [{ name: 'pre-checkpoint/a' }], /both a checkpoint and a pre-/],
    ['a device', [{ name: 'a', type: '4' }], /is a block, which is not expected/],
    ['a fifo', [{ name: 'a', type: '6' }], /is a fifo, which is not expected/],
    ['a link', [{ name: 'a', type: '2', link: 'b' }], /is a link, which is not expected/],
    ['a hard link', [{ name: 'a', type: '1', link: 'checkpoint/inventory.img' }], /is a hard/],
  ])('with %s', async (_name, members, message) => {
    await expectRefused(archiveWith(...members), message);
  });

  it.each<[string, Buffer, RegExp]>([
    ['without images', rawTar({ name: 'config.dump' }), /no member checkpoint/],
    ['with a file for images', rawTar({ name: 'checkpoint' }), /no member checkpoint/],
    [
      'with a link for images',
      rawTar({ name: 'checkpoint', type: '2', link: '/etc' }),
      /is a link/,
    ],
    ['cut off', archiveWith().subarray(0, 1200), /cut off/],
    ['cut off in gzip', gzipSync(archiveWith()).subarray(0, -3), /gzip stream is damaged/],
    ['with garbage behind it', Buffer.concat([archiveWith(), Buffer.from('x')]), /garbage/],
    ['with a lie about a size', archiveWith({ name: 'a', size: 100_000 }), /cut off/],
    ['that is none', Buffer.alloc(2000, 'text'), /neither a tar/],
  ])('%s', async (_name, archive, message) => {
    await expectRefused(archive, message);
  });

  it.each<[string, Buffer, RegExp]>([
    ['no tar', Buffer.alloc(2000, 'text'), /neither a tar/],
    ['a tar that is cut off', rawMember({ name: 'a' }), /cut off/],
    ['a lie about a size', rawTar({ name: 'a', size: 100_000 }), /100000 bytes, 1024 are left/],
    ['garbage behind a tar', Buffer.concat([rawTar({ name: 'a' }), Buffer.from('x')]), /garbage/],
    ['half a gzip', gzipSync(END).subarray(0, -1), /gzip stream is damaged/],
  ])('whose container’s files are %s', async (_name, content, message) => {
    const archive = archiveWith({ name: 'rootfs-diff.tar', content });
    await expectRefused(archive, message, 'a.tar:rootfs-diff.tar');
  });

  it('with sparse members, as unsupported', async () => {
    const failure = { code: 'UNSUPPORTED_IMAGE' as const, message: /sparse/ };
    const sparse = [paxMember({ 'GNU.sparse.major': '1' }), { name: 'a' }];
    await expectFailure(() => unpack(archiveWith(...sparse), newPath()), failure);
    await expectFailure(() => unpack(archiveWithFiles(...sparse), newPath()), failure);
  });

  it('and leaves alone a directory that has files already', async () => {
    const staging = newPath();
    mkdirSync(`${staging}/images`, { recursive: true });
    symlinkSync('/etc/hostname', `${staging}/images/inventory.img`);
    const before = readFileSync('/etc/hostname', 'utf8');
    const options = { file: 'a.tar', staging };
    const failure = { code: 'STORAGE' as const, message: /EEXIST/ };
    await expectFailure(() => unpackArchive(nodeFiles, [archiveWith()], options), failure);
    expect(readFileSync('/etc/hostname', 'utf8')).toBe(before);
  });
});

describe('limits', () => {
  const bomb = archiveWith({ name: 'zeros', content: Buffer.alloc(8 << 20) });

  it.each([
    ['a bomb in gzip', gzipSync(bomb), { unpackedBytes: 1 << 20 }],
    ['a bomb in zstd', execFileSync('zstd', ['-qc'], { input: bomb }), { unpackedBytes: 1 << 20 }],
    ['a member that is too large', bomb, { memberBytes: 1 << 20 }],
    ['a plain archive that is too large', bomb, { unpackedBytes: 1 << 20 }],
    ['members without end', archiveWith(...many(5000)), { members: 4000 }],
    ['directories without end', archiveWith({ name: 'a/'.repeat(40) + 'b' }), { members: 30 }],
    ['container’s files without end', archiveWithFiles(...many(5000)), { members: 4000 }],
    ['long names without end', archiveWithFiles(...many(500)), { headerBytes: 600 }],
  ])('stop %s, and say which limit it was', async (_name, archive, limits) => {
    const [name = ''] = Object.keys(limits);
    const message = new RegExp(`exceeds the limit \`${name}\` of ${Object.values(limits)[0]!}`);
    await expectRefused(archive, message, 'a.tar', { limits });
  });

  it('count what comes out of the container’s files, and what is deleted', async () => {
    const content = gzipSync(rawTar({ name: 'zeros', content: Buffer.alloc(8 << 20) }));
    const archive = archiveWith({ name: 'rootfs-diff.tar', content });
    await expectRefused(archive, /limit `unpackedBytes`/, 'a.tar', {
      limits: { unpackedBytes: 1 << 20 },
    });
    const list = JSON.stringify(many(100).map((member) => `/${String(member.name)}`));
    const deleted = archiveWith({ name: 'deleted.files', content: list });
    await expectRefused(deleted, /limit `members`/, 'a.tar', { limits: { members: 50 } });
  });

  it('may be raised and lowered to exactly what an archive needs', async () => {
    const size = bomb.length;
    await unpack(bomb, newPath(), {
      limits: { unpackedBytes: size, memberBytes: 8 << 20, members: 3 },
    });
    await expectRefused(bomb, /limit `members`/, 'a.tar', { limits: { members: 2 } });
    await expectRefused(bomb, /limit `unpackedBytes`/, 'a.tar', {
      limits: { unpackedBytes: size - 1 },
    });
  });

  it('keep the disk from being filled: a bomb is stopped early', async () => {
    const staging = newPath();
    const limits = { unpackedBytes: 1 << 20 };
    await expectFailure(() => unpack(gzipSync(bomb), staging, { limits }), {
      code: 'UNSUPPORTED_IMAGE',
    });
    const written = Object.values(filesBelow(staging)).reduce((sum, text) => sum + text.length, 0);
    expect(written).toBeLessThanOrEqual(1 << 20);
  });

  it('do not depend on content: large members need no memory', async () => {
    const header = rawMember({ name: 'big', size: 256 << 20 }).subarray(0, 512);
    const megabyte = new Uint8Array(1 << 20);
    const input = function* (): Generator<Uint8Array> {
      yield archiveWith().subarray(0, 512 * 3);
      yield header;
      for (let i = 0; i < 256; i++) yield megabyte;
      yield END;
    };
    const staging = newPath();
    mkdirSync(staging);
    const before = process.memoryUsage();
    let peakBytes = 0;
    await unpackArchive(nodeFiles, input(), {
      ...{ file: 'a', staging },
      onBytes: () => {
        const { arrayBuffers, heapUsed } = process.memoryUsage();
        peakBytes = Math.max(peakBytes, arrayBuffers + heapUsed);
      },
    });
    expect(peakBytes - before.arrayBuffers - before.heapUsed).toBeLessThan(100 << 20);
    rmSync(staging, { recursive: true });
  });
});

function many(count: number): RawMember[] {
  return Array.from({ length: count }, (_value, i) => ({ name: `f${i}` }));
}

describe('a signal', () => {
  it('stops the unpacking, and closes what is open', async () => {
    const controller = new AbortController();
    const openFiles = (): number => readdirSync('/proc/self/fd').length;
    const before = openFiles();
    const options = { onBytes: () => controller.abort(), signal: controller.signal };
    const archive = archiveWith({ name: 'a', content: Buffer.alloc(200_000) });
    await expectFailure(() => unpack(archive, newPath(), options), { code: 'ABORTED' });
    await expectFailure(() => unpack(rawTar({ name: '../a' }), newPath()), {
      code: 'INVALID_IMAGE',
    });
    expect(openFiles()).toBe(before);
  });
});
