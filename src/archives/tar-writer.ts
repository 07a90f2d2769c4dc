/**
 * Writes members of a tar: a ustar header, and before it a PAX header where something does not fit
 * in there. What is written depends on nothing but the member.
 */
import { XATTR_PREFIX, type TarMember } from './tar-member.ts';
import { encodePax, latin1 } from './pax.ts';
import { asciiBytes, BLOCK_BYTES, encodeHeader, paddingOf, type TarHeader } from './tar-header.ts';

/** A member to be written. The path of a directory ends without a slash. */
export type MemberToWrite = Omit<TarMember, 'offset' | 'headerBytes'>;

/** The bytes that a tar ends with. */
export const TAR_END_BYTES: number = 2 * BLOCK_BYTES;

const TYPES: Readonly<Record<TarMember['kind'], string>> = {
  file: '0',
  hard: '1',
  link: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** Bytes of a name that a header has room for. */
const NAME_BYTES = 100;
/** What seven octal digits reach. */
const ID_MAX = 0o7777777;
/** What eleven octal digits reach. */
const NUMBER_MAX = 0o77777777777;
const NOTHING = new Uint8Array(0);

/** All blocks that stand before the content of a member. */
export function encodeMember(member: MemberToWrite): Uint8Array {
  const { kind, sizeBytes, uid, gid, modifiedSeconds } = member;
  const name = kind === 'directory' ? withSlash(member.path) : member.path;
  const linkName = member.target ?? NOTHING;
  const header = encodeHeader({
    ...{ type: TYPES[kind], name, linkName, mode: member.mode, uid, gid, sizeBytes },
    ...{ modifiedSeconds, deviceMajor: member.deviceMajor, deviceMinor: member.deviceMinor },
  });
  const records = recordsOf(member, name, linkName);
  return records.size === 0 ? header : Buffer.concat([paxBlocks(records), header]);
}

/** The length of what `encodeMember` gives, in a twentieth of its time. */
export function measureMember(member: MemberToWrite): number {
  const name = member.kind === 'directory' ? withSlash(member.path) : member.path;
  const records = recordsOf(member, name, member.target ?? NOTHING);
  if (records.size === 0) return BLOCK_BYTES;
  const { length } = encodePax(records);
  return 2 * BLOCK_BYTES + length + paddingOf(length);
}

function recordsOf(
  member: MemberToWrite,
  name: Uint8Array,
  linkName: Uint8Array,
): Map<string, Uint8Array> {
  const { sizeBytes, uid, gid, modifiedSeconds, modifiedNanoseconds } = member;
  const records = new Map<string, Uint8Array>();
  if (!fitsHeader(name)) records.set('path', name);
  if (!fitsHeader(linkName)) records.set('linkpath', linkName);
  if (sizeBytes > NUMBER_MAX) records.set('size', asciiBytes(String(sizeBytes)));
  if (uid > ID_MAX) records.set('uid', asciiBytes(String(uid)));
  if (gid > ID_MAX) records.set('gid', asciiBytes(String(gid)));
  if (modifiedNanoseconds !== 0 || modifiedSeconds < 0 || modifiedSeconds > NUMBER_MAX) {
    records.set('mtime', asciiBytes(timeText(modifiedSeconds, modifiedNanoseconds)));
  }
  for (const { name: attribute, value } of member.xattrs) {
    // A key ends at the first '=': so GNU tar writes it, and reads it back.
    const key = latin1(attribute).replaceAll('%', '%25').replaceAll('=', '%3D');
    records.set(XATTR_PREFIX + key, value);
  }
  return records;
}

// Names in headers are ASCII to whoever asks the standard.
function fitsHeader(name: Uint8Array): boolean {
  return name.length <= NAME_BYTES && name.every((byte) => byte < 0x80);
}

function timeText(seconds: number, nanoseconds: number): string {
  const isNegative = seconds < 0;
  // Seconds are rounded down: -1 and 750,000,000 are -0.25.
  const borrows = isNegative && nanoseconds > 0;
  const whole = Math.abs(borrows ? seconds + 1 : seconds);
  const rest = borrows ? 1_000_000_000 - nanoseconds : nanoseconds;
  const fraction = rest === 0 ? '' : `.${String(rest).padStart(9, '0')}`;
  return `${isNegative ? '-' : ''}${whole}${fraction}`;
}

function paxBlocks(records: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const bytes = encodePax(records);
  const header: TarHeader = {
    ...{ type: 'x', name: asciiBytes('PaxHeaders/records'), linkName: NOTHING },
    ...{ mode: 0o644, uid: 0, gid: 0, sizeBytes: bytes.length, modifiedSeconds: 0 },
    ...{ deviceMajor: 0, deviceMinor: 0 },
  };
  return Buffer.concat([encodeHeader(header), bytes, new Uint8Array(paddingOf(bytes.length))]);
}

function withSlash(path: Uint8Array): Uint8Array {
  const name = new Uint8Array(path.length + 1);
  name.set(path);
  name[path.length] = 0x2f;
  return name;
}
