/** Archives that are small and want much memory or time: refused at the default limits. */
import { describe, expect, it, vi } from 'vitest';
import type { UnpackedArchive } from '../../src/archives/unpack.ts';
import { expectFailure } from '../support/failures.ts';
import {
  archiveWith,
  archiveWithFiles,
  describeNodes,
  pack,
  paxMember,
  rawTar,
  unpack,
} from '../support/made-archives.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

async function expectBeyond(name: string, archive: Buffer, limits = {}): Promise<void> {
  const failure = { code: 'UNSUPPORTED_IMAGE' as const, message: new RegExp(`limit \`${name}\``) };
  await expectFailure(() => unpack(archive, newPath(), { limits }), failure);
}

function withList(paths: readonly string[]): Buffer {
  return archiveWith({ name: 'deleted.files', content: JSON.stringify(paths) });
}

/** The longest text that is parsed as JSON meanwhile: parsing is what would take the memory. */
async function longestParsed(action: () => Promise<unknown>): Promise<number> {
  const parse = vi.spyOn(JSON, 'parse');
  try {
    await action();
    return Math.max(0, ...parse.mock.calls.map(([text]) => text.length));
  } finally {
    parse.mockRestore();
  }
}

describe('deleted paths', () => {
  const deep = '/d'.repeat(2000);

  it('count with the directories above them that nobody spoke of', async () => {
    const paths = Array.from({ length: 10 }, (_, i) => `/${i}/a/b/c`);
    await unpack(withList(paths), newPath(), { limits: { members: 10 * 4 + 4 } });
    await expectBeyond('members', withList(paths), { members: 10 * 4 + 3 });
  });

  it('of 2,000 levels each are stopped by the memory that they take', async () => {
    const paths = Array.from({ length: 2000 }, (_, i) => `/${i}${deep}`);
    await expectBeyond('headerBytes', withList(paths));
  });

  it('far below one that is gone cost no more than to read them', async () => {
    const paths = Array.from({ length: 3000 }, (_, i) => `/d${deep}/${i}`);
    const started = process.cpuUsage();
    const { nodes } = await unpack(withList(['/d', ...paths]), newPath());
    expect(nodes.map(({ path }) => Buffer.from(path).toString())).toContain('files/d');
    // With each looked up at every level above it: 17 s.
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(8);
  });

  it('are counted before they are read', async () => {
    const content = `[${'"/",'.repeat(2 ** 21)}"/"]`;
    await expectBeyond('members', archiveWith({ name: 'deleted.files', content }));
    const tooMany = archiveWith({ name: 'deleted.files', content: '[1,2,3,4]' });
    await expectBeyond('members', tooMany, { members: 5 });
  });

  it.each(['['.repeat(15 << 20), '{"a":'.repeat(3 << 20), '[["/a"]]'])(
    'are refused as no list where they nest: %#',
    async (content) => {
      const archive = archiveWith({ name: 'deleted.files', content });
      const failure = { code: 'INVALID_IMAGE' as const, message: /no list of paths/ };
      const refuse = () => expectFailure(() => unpack(archive, newPath()), failure);
      expect(await longestParsed(refuse)).toBeLessThan(1000);
    },
  );

  it('are refused where there are more than 16 MiB of them', async () => {
    const content = Buffer.alloc((16 << 20) + 1, ' ');
    const failure = { code: 'UNSUPPORTED_IMAGE' as const, message: /more than 16777216 bytes/ };
    const archive = archiveWith({ name: 'deleted.files', content });
    await expectFailure(() => unpack(archive, newPath()), failure);
  });
});

describe('extended attributes', () => {
  it('count with the memory that each takes, even if it is empty', async () => {
    const names = Array.from({ length: 9000 }, (_, i) => [`SCHILY.xattr.user.${i}`, ''] as const);
    const records = paxMember(Object.fromEntries(names));
    const members = Array.from({ length: 10 }, (_, i) => [records, { name: `f${i}` }]).flat();
    await expectBeyond('headerBytes', archiveWithFiles(...members), { headerBytes: 9e4 * 256 });
    await unpack(archiveWithFiles(...members), newPath(), { limits: { headerBytes: 9e4 * 280 } });
  });
});

describe('configurations', () => {
  const labelsWith = async (content: string): Promise<UnpackedArchive['labels']> =>
    (await unpack(archiveWith({ name: 'config.dump', content }), newPath())).labels;
  const found = { 'org.criu.checkpoint.container.name': 'x' };

  it('that nest deeply, are full, or long, give no labels and are kept', async () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(await labelsWith(`{"name": "x", "a": ${nested(63)}}`)).toEqual(found);
    expect(await labelsWith(`{"name": "x", "a": ${nested(64)}}`)).toEqual({});
    expect(await labelsWith(`{"name": "x", "a": [${'0,'.repeat(99_990)}0]}`)).toEqual(found);
    expect(await labelsWith(`{"name": "x", "a": [${'0,'.repeat(100_000)}0]}`)).toEqual({});
    expect(await labelsWith(`{"name": "x"}${' '.repeat((4 << 20) - 13)}`)).toEqual(found);
    expect(await labelsWith(`{"name": "x"}${' '.repeat((4 << 20) - 12)}`)).toEqual({});
  });

  it('are not parsed to find that out', async () => {
    expect(await longestParsed(() => labelsWith('['.repeat(4 << 20)))).toBeLessThan(1000);
    const parsed = `{"name": "x", "a": "${'b'.repeat(2000)}"}`;
    expect(await longestParsed(() => labelsWith(parsed))).toBe(parsed.length);
  });
});

describe('a rootfs-diff.tar that was begun and has nothing', () => {
  it.each([0, 1, 512, 1023])('is kept as it is: %i zeros', async (length) => {
    const content = Buffer.alloc(length);
    const list = { name: 'deleted.files', content: '["/gone"]' };
    const archive = archiveWith({ name: 'rootfs-diff.tar', content, mode: 0o600 }, list);
    const unpacked = await unpack(archive, newPath());
    const text = JSON.stringify(content.toString());
    const lines = describeNodes(unpacked);
    expect(lines).toContain(`members/rootfs-diff.tar file 600 0 ${text}`);
    expect(lines).toContain('files/gone character 0 0 0:0');
    expect(lines.some((line) => line.startsWith('layouts/rootfs-diff'))).toBe(false);
    expect((await pack(unpacked, newPath())).equals(archive)).toBe(true);
  });

  it.each([1024, 10_240])('is a tar of nothing where it is one: %i zeros', async (length) => {
    const archive = archiveWith({ name: 'rootfs-diff.tar', content: Buffer.alloc(length) });
    const unpacked = await unpack(archive, newPath());
    expect(describeNodes(unpacked).join()).toContain('layouts/rootfs-diff.tar');
    expect((await pack(unpacked, newPath())).equals(archive)).toBe(true);
  });

  it('is no tar where it is too short, and not of zeros', async () => {
    const failure = { code: 'INVALID_IMAGE' as const, file: 'a.tar:rootfs-diff.tar' };
    for (const content of ['x', rawTar({ name: 'a' }).subarray(0, 512)]) {
      const archive = archiveWith({ name: 'rootfs-diff.tar', content });
      await expectFailure(() => unpack(archive, newPath()), failure);
    }
  });
});
