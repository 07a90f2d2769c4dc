/** Members as they are written: what was written is read back, whatever it is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MemberKind, TarMember } from '../../src/archives/tar-member.ts';
import { TarSplitter } from '../../src/archives/tar-splitter.ts';
import { encodeMember, measureMember, type MemberToWrite } from '../../src/archives/tar-writer.ts';
import { END } from '../support/made-archives.ts';
import { bytesOf } from '../support/made-nodes.ts';

const KINDS: readonly MemberKind[] = [
  ...(['file', 'hard', 'link', 'character', 'block', 'directory', 'fifo'] as const),
];

function member(different: Partial<MemberToWrite> = {}): MemberToWrite {
  return {
    ...{ path: bytesOf('a'), kind: 'file', mode: 0o644, uid: 0, gid: 0 },
    ...{ modifiedSeconds: 1_700_000_000, modifiedNanoseconds: 0, sizeBytes: 0 },
    ...{ target: undefined, deviceMajor: 0, deviceMinor: 0, xattrs: [] },
    ...different,
  };
}

/** What a reader makes of a member that was written, contents left out. */
function readBack(written: MemberToWrite): TarMember {
  const found: TarMember[] = [];
  const events = {
    member: (one: TarMember) => found.push(one),
    content: () => undefined,
    memberEnd: () => undefined,
    rest: () => undefined,
  };
  const splitter = new TarSplitter(events, { file: 'a.tar', contents: 'absent' });
  // A layout has the padding of contents in it.
  const padding = new Uint8Array((512 - (written.sizeBytes % 512)) % 512);
  for (const part of [encodeMember(written), padding, END]) splitter.push(part);
  splitter.end();
  expect(found).toHaveLength(1);
  expect(measureMember(written)).toBe(encodeMember(written).length);
  return found[0]!;
}

function expectSame(written: MemberToWrite): void {
  const read = readBack(written);
  const isDirectory = written.kind === 'directory';
  const path = isDirectory ? Buffer.concat([written.path, Buffer.from('/')]) : written.path;
  const { offset: _offset, headerBytes: _bytes, ...rest } = read;
  expect(plain(rest)).toEqual(plain({ ...written, path }));
}

/** Buffers and arrays of bytes as text, so that they compare. */
function plain(value: MemberToWrite): unknown {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const xattrs = value.xattrs.map((one) => [hex(one.name), hex(one.value)]);
  return { ...value, path: hex(value.path), target: value.target && hex(value.target), xattrs };
}

const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc
    .uint8Array({ minLength: 1, maxLength, min: 1 })
    .map((value) => value.map((byte) => (byte === 0x2f ? 0x30 : byte)));

const id = fc.oneof(
  fc.nat(2000),
  fc.constantFrom(0o7777777, 0o7777777 + 1),
  fc.nat(0x7fffffff).map((value) => value * 2 + 1),
);

const members: fc.Arbitrary<MemberToWrite> = fc
  .record({
    kind: fc.constantFrom(...KINDS),
    path: fc.oneof(bytes(20), bytes(300)),
    target: fc.oneof(bytes(20), bytes(300)),
    mode: fc.nat(0o7777),
    uid: id,
    gid: id,
    seconds: fc.oneof(
      fc.integer({ min: -3, max: 3 }),
      fc.constantFrom(8 ** 11 - 1, 8 ** 11, -(2 ** 31) - 1),
      fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    ),
    nanoseconds: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
    size: fc.oneof(fc.nat(5000), fc.constantFrom(8 ** 11 - 1, 8 ** 11), fc.maxSafeNat()),
    device: fc.tuple(fc.nat(4095), fc.nat(1_048_575)),
    xattrs: fc.uniqueArray(fc.tuple(bytes(30), fc.uint8Array({ maxLength: 40 })), {
      selector: ([name]) => Buffer.from(name).toString('latin1'),
      maxLength: 3,
    }),
  })
  .map(({ kind, path, target, seconds, nanoseconds, size, device, xattrs, ...rest }) => {
    const isDevice = kind === 'character' || kind === 'block';
    const sorted = xattrs.sort(([a], [b]) => Buffer.compare(a, b));
    return member({
      ...rest,
      ...{ kind, path, modifiedSeconds: seconds, modifiedNanoseconds: nanoseconds },
      target: kind === 'hard' || kind === 'link' ? target : undefined,
      sizeBytes: kind === 'file' ? size : 0,
      deviceMajor: isDevice ? device[0] : 0,
      deviceMinor: isDevice ? device[1] : 0,
      xattrs: sorted.map(([name, value]) => ({ name, value })),
    });
  });

describe('a member', () => {
  it('is read back as it was written, whatever it is', () => {
    fc.assert(fc.property(members, expectSame), { numRuns: 500 });
  });

  it.each<[string, Partial<MemberToWrite>]>([
    ['nothing special', {}],
    ['a name of 100 bytes', { path: bytesOf('n'.repeat(100)) }],
    ['a size of eleven digits', { sizeBytes: 8 ** 11 - 1 }],
    ['an owner of seven digits', { uid: 0o7777777, gid: 0o7777777 }],
  ])('with %s has one block only', (_name, different) => {
    expect(encodeMember(member(different))).toHaveLength(512);
    expectSame(member(different));
  });

  it.each<[string, Partial<MemberToWrite>, string]>([
    ['a name of 101 bytes', { path: bytesOf('n'.repeat(101)) }, `path=${'n'.repeat(101)}\n`],
    ['a long target', { kind: 'link', target: bytesOf('ä') }, 'linkpath=ä\n'],
    ['8 GiB', { sizeBytes: 8 ** 11 }, 'size=8589934592\n'],
    ['a large owner', { uid: 2_097_152 }, 'uid=2097152\n'],
    ['a large group', { gid: 0xffffffff }, 'gid=4294967295\n'],
    ['nanoseconds', { modifiedNanoseconds: 5 }, 'mtime=1700000000.000000005\n'],
    ['a time before 1970', { modifiedSeconds: -2 }, 'mtime=-2\n'],
    [
      'a time just before 1970',
      { modifiedSeconds: -1, modifiedNanoseconds: 750_000_000 },
      'mtime=-0.250000000\n',
    ],
    [
      'an attribute with an = and a %',
      { xattrs: [{ name: bytesOf('user.a=%'), value: bytesOf('v') }] },
      'SCHILY.xattr.user.a%3D%25=v\n',
    ],
  ])('with %s says it in a PAX record', (_name, different, record) => {
    const written = member(different);
    expect(Buffer.from(encodeMember(written)).toString()).toContain(record);
    expectSame(written);
  });
});
