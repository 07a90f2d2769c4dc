/** Members at the borders of what a tree and Linux can hold, and just beyond them. */
import { describe, expect, it } from 'vitest';
import { expectFailure } from '../support/failures.ts';
import {
  archiveWith,
  archiveWithFiles,
  describeNodes,
  paxMember,
  type RawMember,
  unpack,
} from '../support/made-archives.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** A path of so many bytes. */
function longPath(length: number): string {
  return 'd/'.repeat(length).slice(0, length - 1) + 'f';
}

const xattr = (name: string, value: Buffer | string): RawMember[] => [
  paxMember({ [`SCHILY.xattr.${name}`]: value }),
  { name: 'a' },
];
const xattrs = (count: number): RawMember[] => [
  paxMember(
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`SCHILY.xattr.user.${i}`, ''])),
  ),
  { name: 'a' },
];
const named = (path: string): RawMember[] => [paxMember({ path }), { name: 'a' }];
const linked = (linkpath: string): RawMember[] => [
  paxMember({ linkpath }),
  { name: 'a', type: '2' },
];
const owned = (key: string, id: number): RawMember[] => [
  paxMember({ [key]: String(id) }),
  { name: 'a' },
];
const device = (type: string, major: number, minor: number): RawMember[] => [
  { name: 'a', type, device: [major, minor] },
];

describe('among the container’s files', () => {
  it.each<[string, RawMember[]]>([
    ['a path that has room below files/', named(longPath(4090))],
    ['a link of 4095 bytes', linked('x'.repeat(4095))],
    ['the last owner', owned('uid', 2 ** 32 - 2)],
    ['the last group', owned('gid', 2 ** 32 - 2)],
    ['the last device', device('3', 0xfff, 0xfffff)],
    ['the longest name of an attribute', xattr('n'.repeat(255), 'v')],
    ['the longest attribute', xattr('user.a', Buffer.alloc(65_536, 1))],
    ['10,000 attributes', xattrs(10_000)],
  ])('there may be %s', async (_name, members) => {
    const lines = describeNodes(await unpack(archiveWithFiles(...members), newPath()));
    expect(lines.filter((line) => line.startsWith('files/')).length).toBeGreaterThan(0);
  });

  it.each<[string, RawMember[], RegExp]>([
    ['a path without room below files/', named(longPath(4091)), /path that is too long/],
    ['a link of 4096 bytes', linked('x'.repeat(4096)), /is a link to what is no path/],
    ['an owner that says: as it is', owned('uid', 2 ** 32 - 1), /an owner that nobody can be/],
    ['a group that says: as it is', owned('gid', 2 ** 32 - 1), /an owner that nobody can be/],
    ['a device beyond 12 bits', device('3', 0x1000, 0), /"a" is the device 4096:0, which/],
    ['a device beyond 20 bits', device('4', 0, 0x100000), /"a" is the device 0:1048576, which/],
    ['a name of an attribute of 256 bytes', xattr('n'.repeat(256), 'v'), /a name that cannot be/],
    ['a name of an attribute with a NUL', xattr('user.\0', 'v'), /a name that cannot be/],
    ['an attribute beyond 64 KiB', xattr('user.a', Buffer.alloc(65_537)), /more than 65536 bytes/],
    ['10,001 attributes', xattrs(10_001), /more than 10000 extended attributes/],
  ])('there cannot be %s', async (_name, members, message) => {
    const archive = archiveWithFiles(...members);
    const failure = { code: 'INVALID_IMAGE' as const, file: 'a.tar:rootfs-diff.tar', message };
    const error = await expectFailure(() => unpack(archive, newPath()), failure);
    expect(error.message).toMatch(/^the member "[ad]/);
  });
});

describe('among members of the archive', () => {
  it('a path has two bytes less, since it is kept below members/', async () => {
    await unpack(archiveWith(...named(longPath(4088))), newPath());
    const archive = archiveWith(...named(longPath(4089)));
    const failure = { code: 'INVALID_IMAGE' as const, file: 'a.tar', message: /too long/ };
    await expectFailure(() => unpack(archive, newPath()), failure);
  });
});

it('a deleted path has room below files/ as well', async () => {
  const archiveOf = (length: number): Buffer =>
    archiveWith({ name: 'deleted.files', content: JSON.stringify([`/${longPath(length)}`]) });
  await unpack(archiveOf(4090), newPath());
  const failure = { code: 'INVALID_IMAGE' as const, file: 'a.tar:deleted.files' };
  await expectFailure(() => unpack(archiveOf(4091), newPath()), {
    ...failure,
    message: /too long/,
  });
});
