/**
 * A member of a tar as its headers describe it: the header block and the PAX records and GNU long
 * names before it, put together. What has two readings, or none, is refused.
 */
import type { Xattr } from '../tree/entry.ts';
import { StoreError } from '../errors.ts';
import { XATTR_MEMORY_BYTES } from './limits.ts';
import { latin1, type PaxRecords, paxNumber, paxTime } from './pax.ts';
import { asciiBytes, type TarHeader } from './tar-header.ts';

/** What a member is; `hard` is one more name of the earlier member at `target`. */
export type MemberKind = 'file' | 'hard' | 'link' | 'character' | 'block' | 'directory' | 'fifo';

/** A member. Paths are as the archive has them: nothing says that they are safe. */
export interface TarMember {
  readonly path: Uint8Array;
  readonly kind: MemberKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedSeconds: number;
  readonly modifiedNanoseconds: number;
  /** 0 unless the member is a file. */
  readonly sizeBytes: number;
  /** Of links of both kinds. */
  readonly target: Uint8Array | undefined;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Sorted by the bytes of their names. */
  readonly xattrs: readonly Xattr[];
  /** Where its first header begins, in what was parsed. */
  readonly offset: number;
  /** Memory for what a link says and extended attributes, besides the path. */
  readonly headerBytes: number;
}

/** What stood before a header block, and holds for the member that it describes. */
export interface MemberExtensions {
  readonly records: PaxRecords;
  readonly longName: Uint8Array | undefined;
  readonly longLink: Uint8Array | undefined;
}

/** The byte that says what a member is, and what that means. */
const KINDS: ReadonlyMap<string, MemberKind> = new Map([
  ['0', 'file'],
  // "Contiguous": a file on every system that reads it today.
  ['7', 'file'],
  ['1', 'hard'],
  ['2', 'link'],
  ['3', 'character'],
  ['4', 'block'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);

/** Before the name of an extended attribute in a PAX record. */
export const XATTR_PREFIX = 'SCHILY.xattr.';
const SPARSE_PREFIX = 'GNU.sparse.';
const SLASH = 0x2f;
const ID_MAX = 0xffffffff;

/** Puts a member together. @throws Error that says what is wrong with it. */
export function describeMember(
  header: TarHeader,
  { records, longName, longLink }: MemberExtensions,
  offset: number,
): TarMember {
  const path = records.get('path') ?? longName ?? header.name;
  const kind = kindOf(header, path, records);
  const isLink = kind === 'link' || kind === 'hard';
  const target = isLink ? (records.get('linkpath') ?? longLink ?? header.linkName) : undefined;
  const sizeBytes = numberOf(records, 'size', Number.MAX_SAFE_INTEGER) ?? header.sizeBytes;
  // Readers do not agree whether content follows: what one sees as it, another sees as members.
  if (kind !== 'file' && sizeBytes !== 0) {
    throw new Error(`a tar header gives a ${kind} ${sizeBytes} bytes of content`);
  }
  const time = records.get('mtime');
  const modified = time === undefined ? undefined : paxTime(time);
  const xattrs = xattrsOf(records);
  const headerBytes = xattrs.reduce(
    (sum, { name, value }) => sum + name.length + value.length + XATTR_MEMORY_BYTES,
    target?.length ?? 0,
  );
  return {
    path,
    kind,
    mode: header.mode,
    uid: numberOf(records, 'uid', ID_MAX) ?? header.uid,
    gid: numberOf(records, 'gid', ID_MAX) ?? header.gid,
    modifiedSeconds: modified?.seconds ?? header.modifiedSeconds,
    modifiedNanoseconds: modified?.nanoseconds ?? 0,
    sizeBytes,
    target,
    deviceMajor: header.deviceMajor,
    deviceMinor: header.deviceMinor,
    xattrs,
    offset,
    headerBytes,
  };
}

function kindOf({ type }: TarHeader, path: Uint8Array, records: PaxRecords): MemberKind {
  const isSparse = [...records.keys()].some((key) => key.startsWith(SPARSE_PREFIX));
  if (type === 'S' || isSparse) {
    throw new StoreError('UNSUPPORTED_IMAGE', 'sparse members of tars are not supported');
  }
  const kind = KINDS.get(type);
  if (kind === undefined) {
    throw new Error(`a tar header has the unknown type ${JSON.stringify(type)}`);
  }
  // How tars without a type for directories say that it is one.
  return kind === 'file' && path.at(-1) === SLASH ? 'directory' : kind;
}

function numberOf(records: PaxRecords, key: string, maximum: number): number | undefined {
  const value = records.get(key);
  return value === undefined ? undefined : paxNumber(value, maximum, key);
}

function xattrsOf(records: PaxRecords): Xattr[] {
  return [...records]
    .filter(([key]) => key.startsWith(XATTR_PREFIX) && key.length > XATTR_PREFIX.length)
    .map(([key, value]) => ({ name: xattrName(key.slice(XATTR_PREFIX.length)), value }))
    .sort((a, b) => (latin1(a.name) < latin1(b.name) ? -1 : 1));
}

// A key ends at the first '='; GNU tar writes these two in the names of attributes so.
function xattrName(key: string): Uint8Array {
  return asciiBytes(key.replaceAll('%3D', '=').replaceAll('%25', '%'));
}
