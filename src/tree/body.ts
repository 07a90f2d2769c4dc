/**
 * The body of a tree's record: everything about a path but the path itself, and where the pages of
 * its content lie. Pure encoder and decoder of the layout in FORMAT.md, section 5. A body holds no
 * place of its block, so that the one of a file that did not change is copied as it is.
 */
import type { ByteReader } from '../bytes/reader.ts';
import type { ByteWriter } from '../bytes/writer.ts';
import { pagesOf } from '../bytes/page.ts';
import { unzigzag, zigzag } from '../bytes/zigzag.ts';
import type { DataRuns, TreeKind, TreeNode, Xattr } from './entry.ts';

/** Where the pages of a file's data lie in the space `files`: runs, in the file's order. */
export interface PageExtents {
  /** First address of each run, divided by 4096. */
  readonly start: Float64Array;
  /** Pages of each run. */
  readonly length: Float64Array;
}

/** All of a record but its path. */
export type TreeBody = Omit<TreeNode, 'path'> & { readonly extents: PageExtents };

/** A path of a stored tree. */
export type TreeEntry = TreeNode & { readonly extents: PageExtents };

/** What has no content has no pages. */
export const NO_EXTENTS: PageExtents = {
  start: new Float64Array(0),
  length: new Float64Array(0),
};

/** Bytes of a path of the container, and of what a link says, at most: Linux's PATH_MAX. */
export const MAX_PATH_BYTES = 4096;
/** Bytes of a path of a tree: the same below one of its directories. */
export const MAX_TREE_PATH_BYTES: number = MAX_PATH_BYTES + 16;
/** Bytes of an extended attribute's name, and of its value, at most: the kernel's own maxima. */
export const MAX_XATTR_NAME_BYTES = 255;
/** See above. */
export const MAX_XATTR_BYTES = 65_536;
/** Pages that 64-bit addresses reach. */
const MAX_ADDRESS_PAGES = 2 ** 52;
const MAX_XATTRS = 65_536;
/** Sixty million years: what a hostile file's time says beyond them is not kept. */
const MAX_SECONDS = 2 ** 51;

/** Numbers of kinds, part of the format. */
const KINDS: readonly TreeKind[] = [
  'directory',
  'file',
  'link',
  'fifo',
  'socket',
  'character',
  'block',
  'hard',
  'host',
];

/** The kernel keeps devices in 12 and 20 bits, and the last owner for "none". */
const MAX_OWNER = 0xfffffffe;
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

/**
 * Why a node cannot be kept, or undefined when it can. Asked before anything is written: what a
 * reader would refuse must never become part of a snapshot.
 */
export function whyUnstorable(node: TreeNode): string | undefined {
  const { path, target, xattrs, uid, gid, deviceMajor, deviceMinor, sizeBytes } = node;
  if (path.length > MAX_TREE_PATH_BYTES) return `path of more than ${MAX_PATH_BYTES} bytes`;
  if ((target?.length ?? 0) > MAX_TREE_PATH_BYTES) return 'link of more than 4096 bytes';
  if (Math.max(uid, gid) > MAX_OWNER) return 'owner that is none';
  if (deviceMajor > MAX_MAJOR || deviceMinor > MAX_MINOR) return 'device that no kernel knows';
  if (pagesOf(sizeBytes) > MAX_ADDRESS_PAGES / 4) return 'file of more than 2 ** 62 bytes';
  if (xattrs.length > MAX_XATTRS) return `more than ${MAX_XATTRS} extended attributes`;
  const isTooLarge = xattrs.some(
    ({ name, value }) => name.length > MAX_XATTR_NAME_BYTES || value.length > MAX_XATTR_BYTES,
  );
  return isTooLarge ? `an extended attribute of more than ${MAX_XATTR_BYTES} bytes` : undefined;
}

/** Writes the body of a node, whose pages lie at `extents`. */
export function encodeBody(
  writer: ByteWriter,
  body: Omit<TreeNode, 'path'>,
  extents: PageExtents,
): void {
  writer.u8(KINDS.indexOf(body.kind) + 1);
  writer.varint(body.mode);
  writer.varint(body.uid);
  writer.varint(body.gid);
  const seconds = Math.max(-MAX_SECONDS, Math.min(MAX_SECONDS, body.modifiedSeconds));
  writer.varint(zigzag(seconds));
  writer.varint(body.modifiedNanoseconds);
  writer.varint(body.xattrs.length);
  for (const { name, value } of body.xattrs) {
    writer.byteString(name);
    writer.byteString(value);
  }
  if (body.kind === 'file') encodeContent(writer, body, extents);
  else if (body.kind === 'link' || body.kind === 'hard') {
    writer.byteString(body.target ?? new Uint8Array(0));
  } else if (body.kind === 'character' || body.kind === 'block') {
    writer.varint(body.deviceMajor);
    writer.varint(body.deviceMinor);
  }
}

function encodeContent(
  writer: ByteWriter,
  { sizeBytes, dataRuns }: Omit<TreeNode, 'path'>,
  extents: PageExtents,
): void {
  writer.varint(sizeBytes);
  // 0: all of it is data.
  writer.varint(dataRuns === undefined ? 0 : dataRuns.start.length + 1);
  if (dataRuns !== undefined) encodeRuns(writer, dataRuns);
  writer.varint(extents.start.length);
  encodeRuns(writer, extents);
}

/** Each as its distance from the end of the one before, and its length. */
function encodeRuns(writer: ByteWriter, { start, length }: PageExtents): void {
  let end = 0;
  for (let i = 0; i < start.length; i++) {
    writer.varint(zigzag((start[i] as number) - end));
    writer.varint(length[i] as number);
    end = (start[i] as number) + (length[i] as number);
  }
}

/** Reads a body. @throws StoreError when it is none. */
export function decodeBody(reader: ByteReader): TreeBody {
  const kind = KINDS[reader.u8() - 1];
  if (kind === undefined) throw reader.fail('unknown kind of path');
  const mode = reader.count(0o7777, 'of permission bits');
  const uid = reader.count(MAX_OWNER, 'as an owner');
  const gid = reader.count(MAX_OWNER, 'as a group');
  const modifiedSeconds = unzigzag(reader.varint());
  const modifiedNanoseconds = reader.count(999_999_999, 'nanoseconds');
  const xattrs = decodeXattrs(reader);
  const content = kind === 'file' ? decodeContent(reader) : NO_CONTENT;
  const hasTarget = kind === 'link' || kind === 'hard';
  const target = hasTarget ? reader.byteString(MAX_TREE_PATH_BYTES, 'a link').slice() : undefined;
  const isDevice = kind === 'character' || kind === 'block';
  const deviceMajor = isDevice ? reader.count(MAX_MAJOR, 'as a major number') : 0;
  const deviceMinor = isDevice ? reader.count(MAX_MINOR, 'as a minor number') : 0;
  const owner = { mode, uid, gid, modifiedSeconds, modifiedNanoseconds, xattrs };
  return { kind, ...owner, ...content, target, deviceMajor, deviceMinor };
}

const NO_CONTENT = { sizeBytes: 0, dataRuns: undefined, extents: NO_EXTENTS } as const;

function decodeXattrs(reader: ByteReader): Xattr[] {
  const count = reader.count(Math.min(MAX_XATTRS, reader.remaining / 2), 'attributes');
  const xattrs: Xattr[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.byteString(MAX_XATTR_NAME_BYTES, "an attribute's name").slice();
    const value = reader.byteString(MAX_XATTR_BYTES, 'an attribute').slice();
    xattrs.push({ name, value });
  }
  return xattrs;
}

function decodeContent(reader: ByteReader): Pick<TreeBody, 'sizeBytes' | 'dataRuns' | 'extents'> {
  const sizeBytes = reader.varint();
  const pageCount = pagesOf(sizeBytes);
  const dataCount = reader.count(reader.remaining / 2 + 1, 'runs of data') - 1;
  const dataRuns = dataCount < 0 ? undefined : decodeRuns(reader, dataCount);
  if (dataRuns !== undefined) checkData(reader, dataRuns, pageCount);
  const extents = decodeRuns(reader, reader.count(reader.remaining / 2, 'runs of pages'));
  if (sumOf(extents) !== (dataRuns === undefined ? pageCount : sumOf(dataRuns))) {
    throw reader.fail('a file has more or fewer pages than data');
  }
  return { sizeBytes, dataRuns, extents };
}

function decodeRuns(reader: ByteReader, count: number): PageExtents {
  const start = new Float64Array(count);
  const length = new Float64Array(count);
  let end = 0;
  for (let i = 0; i < count; i++) {
    start[i] = end + unzigzag(reader.varint());
    length[i] = reader.varint();
    end = (start[i] as number) + (length[i] as number);
    if ((start[i] as number) < 0 || end > MAX_ADDRESS_PAGES || length[i] === 0) {
      throw reader.fail('a run of pages is empty or out of range');
    }
  }
  return { start, length };
}

function checkData(reader: ByteReader, { start, length }: DataRuns, pageCount: number): void {
  let end = -1;
  for (let i = 0; i < start.length; i++) {
    if ((start[i] as number) <= end) throw reader.fail('runs of data out of order');
    end = (start[i] as number) + (length[i] as number);
  }
  if (end > pageCount) throw reader.fail('data behind the end of the file');
}

/** Pages of runs together. */
export function sumOf({ length }: PageExtents | DataRuns): number {
  let sum = 0;
  for (const pages of length) sum += pages;
  return sum;
}
