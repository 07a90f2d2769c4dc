/**
 * The system calls that Node.js lacks or rounds: through the C library that this process runs on
 * anyway, which is called by koffi. Errors look like Node's. Paths go in as bytes.
 *
 * koffi is loaded by the first call: 10 ms for every thread that starts, most of which never call.
 */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { StoreError } from '../errors.ts';
import type { ByteRun, FilePath, FileXattr, NodeFacts, SpecialNode } from './files.ts';
import type { NameLookups } from './name-lookups.ts';
import { deviceNumber, STATX_BASIC_FACTS, StatxAnswers } from './statx.ts';
import { systemError } from './system-error.ts';

/** What Linux allows the names of a file's attributes together, and each value (limits.h). */
const MAX_XATTR_BYTES = 65_536;

/** More pieces than a file that anybody made on purpose has. */
const MAX_DATA_RUNS = 1_000_000;

/** The kernel takes 12 bits of major and 20 of minor number; the C library of musl lets them by. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ENXIO = 6;
const EINVAL = 22;
const ENODATA = 61;
const ENOTSUP = 95;
const NODE_BITS: Record<SpecialNode, number> = {
  fifo: 0o010000,
  character: 0o020000,
  block: 0o060000,
};

/** Functions of the C library: those that fail return -1. */
interface Library {
  readonly errno: () => number;
  readonly statx: Call<[fd: number, path: Bytes, flags: number, mask: number, answer: Bytes]>;
  readonly llistxattr: Call<[path: Bytes, names: Bytes, sizeBytes: number]>;
  readonly lgetxattr: Call<[path: Bytes, name: Bytes, value: Bytes, sizeBytes: number]>;
  readonly lsetxattr: Call<[path: Bytes, name: Bytes, value: Bytes, size: number, flags: number]>;
  readonly mknod: Call<[path: Bytes, mode: number, device: bigint]>;
  readonly utimensat: Call<[fd: number, path: Bytes, times: BigInt64Array, flags: number]>;
  readonly lseek: (fd: number, offset: number, whence: number) => number | bigint;
  readonly syncfs: Call<[fd: number]>;
  /** Undefined where the C library does not have it. */
  readonly getdents64: Call<[fd: number, entries: Bytes, sizeBytes: number]> | undefined;
}

type Bytes = Uint8Array;
type Call<T extends unknown[]> = (...values: T) => number;

const DECLARATIONS: Record<Exclude<keyof Library, 'errno' | 'mknod' | 'getdents64'>, string> = {
  statx: 'int statx(int fd, void *path, int flags, unsigned int mask, void *answer)',
  llistxattr: 'long llistxattr(void *path, void *names, unsigned long size)',
  lgetxattr: 'long lgetxattr(void *path, void *name, void *value, unsigned long size)',
  lsetxattr: 'int lsetxattr(void *path, void *name, void *value, unsigned long size, int flags)',
  utimensat: 'int utimensat(int fd, void *path, void *times, int flags)',
  lseek: 'int64_t lseek(int fd, int64_t offset, int whence)',
  syncfs: 'int syncfs(int fd)',
};

const require = createRequire(import.meta.url);
let loaded: Library | undefined;

function library(): Library {
  loaded ??= load();
  return loaded;
}

function load(): Library {
  try {
    const koffi = require('koffi') as typeof Koffi;
    const symbols = koffi.load(null);
    const functions = Object.entries(DECLARATIONS).map(([name, text]) => [
      name,
      symbols.func(text),
    ]);
    return {
      ...(Object.fromEntries(functions) as Omit<Library, 'errno' | 'mknod' | 'getdents64'>),
      mknod: loadMknod(symbols),
      getdents64: loadGetdents(symbols),
      errno: () => koffi.errno(),
    };
  } catch (cause) {
    throw new StoreError('STORAGE', 'cannot call the C library of this system', { cause });
  }
}

/** Before 2.30, glibc did not have it. */
function loadGetdents(symbols: Koffi.LibraryHandle): Library['getdents64'] {
  try {
    return symbols.func('long getdents64(int fd, void *entries, unsigned long size)');
  } catch {
    return undefined;
  }
}

/** Before 2.33, glibc had it under another name only. */
function loadMknod(symbols: Koffi.LibraryHandle): Library['mknod'] {
  try {
    return symbols.func('int mknod(void *path, unsigned int mode, uint64_t device)');
  } catch {
    const old = symbols.func('int __xmknod(int version, void *path, unsigned int mode, void *dev)');
    return (path, mode, device) => old(0, path, mode, BigUint64Array.of(device)) as number;
  }
}

const answer = new StatxAnswers();
const EMPTY_PATH = new Uint8Array(1);

/** See {@link Files.inspect}. */
export function inspect(path: FilePath, directory: number = AT_FDCWD): NodeFacts {
  return look(directory, terminated(path), AT_SYMLINK_NOFOLLOW, path);
}

/** See {@link Files.inspectOpen}. */
export function inspectOpen(fd: number): NodeFacts {
  return look(fd, EMPTY_PATH, AT_EMPTY_PATH, undefined);
}

function look(fd: number, bytes: Uint8Array, flags: number, path: FilePath | undefined): NodeFacts {
  // 1.6 us for a name in an open directory; lstatSync of /proc/self/fd/N/name takes 4.8 us.
  const { statx } = library();
  if (statx(fd, bytes, flags, STATX_BASIC_FACTS, answer.view(0)) !== 0) throw failed('statx', path);
  return answer.facts() ?? refuse('statx', path);
}

/** See {@link Files.inspectNames}: 1.9 us a name, of which the kernel takes 1.5; `inspect` 3.0. */
export function inspectNames(
  lookups: NameLookups,
  first: number,
  end: number,
  directory: number,
): void {
  const { statx } = library();
  const { answers } = lookups;
  for (let i = first; i < end; i++) {
    const [name, target] = [lookups.name(i), answers.view(i)];
    const result = statx(directory, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_FACTS, target);
    if (result !== 0) answers.clear(i);
  }
}

/** struct linux_dirent64 (getdents64(2)): inode u64, offset i64, length u16, type u8, name. */
const ENTRY_LENGTH_AT = 16;
const ENTRY_NAME_AT = 19;
const ENTRIES_BYTES = 64 * 1024;

/**
 * The next names in an open directory as latin1, without `.` and `..`; undefined after the last.
 * 100,000 names take 35 ms instead of 105 of Node's own, which makes an object for each.
 *
 * @returns `null` where the C library has no such call.
 */
export function nextNames(fd: number, path: FilePath): string[] | undefined | null {
  const { getdents64 } = library();
  if (getdents64 === undefined) return null;
  const entries = Buffer.from(scratch(), 0, ENTRIES_BYTES);
  const length = getdents64(fd, entries, ENTRIES_BYTES);
  if (length < 0) throw failed('getdents64', path);
  if (length === 0) return undefined;
  // One text for all: a call for each of 100,000 names takes 15 ms more.
  const text = entries.toString('latin1', 0, length);
  const names: string[] = [];
  for (let at = 0; at < length;) {
    const next = at + entries.readUInt16LE(at + ENTRY_LENGTH_AT);
    // Filled up with zeros to a multiple of 8.
    let end = Math.max(at + ENTRY_NAME_AT, next - 8);
    while (entries[end] !== 0) end += 1;
    const name = text.slice(at + ENTRY_NAME_AT, end);
    if (name !== '.' && name !== '..') names.push(name);
    at = next;
  }
  return names;
}

/** See {@link Files.xattrs}. */
export function xattrs(path: FilePath): readonly FileXattr[] {
  const target = terminated(path);
  const names = new Uint8Array(scratch());
  const { llistxattr, lgetxattr, errno } = library();
  const length = llistxattr(target, names, MAX_XATTR_BYTES);
  if (length < 0) {
    if (errno() === ENOTSUP) return [];
    throw failed('llistxattr', path);
  }
  if (length === 0) return [];
  // Copied, because the values come to the same place.
  const found = namesOf(names.slice(0, length)).flatMap((name) => {
    const size = lgetxattr(target, name, names, MAX_XATTR_BYTES);
    if (size >= 0) return [{ name: name.slice(0, -1), value: names.slice(0, size) }];
    if (errno() === ENODATA) return [];
    throw failed('lgetxattr', path);
  });
  return found.sort((a, b) => Buffer.compare(a.name, b.name));
}

let space: ArrayBuffer | undefined;

/** Takes the largest list, and the largest value: no call has to be made twice. */
function scratch(): ArrayBuffer {
  space ??= new ArrayBuffer(MAX_XATTR_BYTES);
  return space;
}

/** Names with the NUL that ends each. */
function namesOf(list: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = [];
  for (let start = 0, end; start < list.length; start = end) {
    const nul = list.indexOf(0, start);
    if (nul < 0) break;
    end = nul + 1;
    names.push(list.subarray(start, end));
  }
  return names;
}

/** See {@link Files.setXattr}. */
export function setXattr(path: FilePath, name: Uint8Array, value: Uint8Array): void {
  const [target, key] = [terminated(path), terminated(Buffer.from(name))];
  // An empty view may have no address at all.
  const bytes = value.length === 0 ? EMPTY_PATH : value;
  const { lsetxattr } = library();
  if (lsetxattr(target, key, bytes, value.length, 0) !== 0) throw failed('lsetxattr', path);
}

/** See {@link Files.makeNode}. */
export function makeNode(
  path: FilePath,
  type: SpecialNode,
  mode: number,
  major: number,
  minor: number,
): void {
  const isDevice = major >= 0 && major <= MAX_MAJOR && minor >= 0 && minor <= MAX_MINOR;
  if (!isDevice) refuse('mknod', path);
  const bits = NODE_BITS[type] | (mode & 0o7777);
  const { mknod } = library();
  if (mknod(terminated(path), bits, deviceNumber(major, minor)) !== 0) throw failed('mknod', path);
}

/** See {@link Files.setTimes}. */
export function setTimes(
  path: FilePath,
  modifiedSeconds: number,
  modifiedNanoseconds: number,
): void {
  const [seconds, nanoseconds] = [BigInt(modifiedSeconds), BigInt(modifiedNanoseconds)];
  // UTIME_NOW and UTIME_OMIT are numbers of nanoseconds as well.
  if (nanoseconds < 0n || nanoseconds > 999_999_999n) refuse('utimensat', path);
  const times = BigInt64Array.of(seconds, nanoseconds, seconds, nanoseconds);
  const { utimensat } = library();
  if (utimensat(AT_FDCWD, terminated(path), times, AT_SYMLINK_NOFOLLOW) !== 0) {
    throw failed('utimensat', path);
  }
}

/**
 * See {@link Files.dataRuns}.
 *
 * @throws StoreError UNSUPPORTED_IMAGE when there are more than the maximum.
 */
export function dataRuns(
  fd: number,
  sizeBytes: number,
  maximumRuns: number = MAX_DATA_RUNS,
): readonly ByteRun[] {
  const runs: ByteRun[] = [];
  for (let end = 0; end < sizeBytes;) {
    const start = seek(fd, end, SEEK_DATA);
    if (start === undefined || start >= sizeBytes) break;
    // Undefined: the file became shorter than where the data was.
    end = Math.min(seek(fd, start, SEEK_HOLE) ?? sizeBytes, sizeBytes);
    if (end <= start) break;
    if (runs.length === maximumRuns) {
      throw new StoreError('UNSUPPORTED_IMAGE', `more than ${maximumRuns} runs of data`);
    }
    runs.push({ start, end });
  }
  return runs;
}

function seek(fd: number, offset: number, whence: number): number | undefined {
  const { lseek, errno } = library();
  const found = Number(lseek(fd, offset, whence));
  if (found >= 0) return found;
  if (errno() === ENXIO) return undefined;
  throw failed('lseek', undefined);
}

/** See {@link Files.syncFileSystem}. */
export function syncFileSystem(fd: number): void {
  if (library().syncfs(fd) !== 0) throw failed('syncfs', undefined);
}

/** The bytes of a path as C wants them. */
function terminated(path: FilePath): Uint8Array {
  const length = typeof path === 'string' ? Buffer.byteLength(path) : path.length;
  const bytes = Buffer.allocUnsafe(length + 1);
  if (typeof path === 'string') bytes.write(path);
  else bytes.set(path);
  bytes[length] = 0;
  if (bytes.indexOf(0) !== bytes.length - 1) refuse('path', path);
  return bytes;
}

function failed(call: string, path: FilePath | undefined): Error {
  return systemError(library().errno(), call, path?.toString());
}

function refuse(call: string, path: FilePath | undefined): never {
  throw systemError(EINVAL, call, path?.toString());
}
