/**
 * The one door to the file system: some forty synchronous calls that everything else is made of.
 *
 * Tests replace it to fail the n-th call, to run out of space, or to lose what was not synced. It
 * is synchronous because the work behind it runs in bounded slices or in worker threads, where a
 * promise per call would cost more than the call. Errors are Node's own; callers give them meaning.
 * Paths are strings or raw bytes: names in an image directory need not be UTF-8.
 */
import type { NameLookups } from './name-lookups.ts';

/** A path as text or as raw bytes. */
export type FilePath = string | Buffer;

/** What a path or descriptor is. */
export type FileKind = 'file' | 'directory' | 'link' | 'other';

/** The facts about a file that tell whether it is the same, unchanged, one. */
export interface FileFacts {
  readonly kind: FileKind;
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode: number;
  readonly sizeBytes: number;
  readonly inode: bigint;
  readonly device: bigint;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

/** What a path is, of everything that a file system can hold. */
export type NodeType = 'file' | 'directory' | 'link' | 'fifo' | 'socket' | 'character' | 'block';

/** All facts about an inode. */
export interface NodeFacts extends FileFacts {
  readonly type: NodeType;
  readonly uid: number;
  readonly gid: number;
  readonly linkCount: number;
  /** The device that a device node stands for; 0 for everything else. */
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** What it takes on the disk: less than `sizeBytes` where it has holes. */
  readonly allocatedBytes: number;
}

/** An extended attribute of a file. */
export interface FileXattr {
  /** With its namespace, such as `trusted.overlay.opaque`. */
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** Bytes from `start` up to `end`. */
export interface ByteRun {
  readonly start: number;
  readonly end: number;
}

/** What `makeNode` makes. */
export type SpecialNode = 'fifo' | 'character' | 'block';

/**
 * How `open` opens: never waiting, and never through a symbolic link in the last component, but for
 * `directory`, which is for paths that the caller trusts.
 */
export type OpenMode = 'read' | 'directory' | 'subdirectory' | 'create' | 'write';

/** The calls. Offsets and lengths are bytes. */
export interface Files {
  /** `create` demands that the path is new and makes it with `mode` (default 0600). */
  open(path: FilePath, how: OpenMode, mode?: number): number;
  /** Closes a descriptor. */
  close(fd: number): void;
  /** Reads once, at `position`; returns how many bytes came, 0 at the end. */
  read(fd: number, target: Uint8Array, position: number): number;
  /** Writes once, at `position`; returns how many bytes went. */
  write(fd: number, source: Uint8Array, position: number): number;
  /** Makes a file exactly so long; what is added is a hole. */
  truncate(fd: number, sizeBytes: number): void;
  /** fsync of a file or directory. */
  sync(fd: number): void;
  /** Sets exactly these permission bits, whatever the umask is. */
  chmod(fd: number, mode: number): void;
  /** The facts about an open file. */
  stat(fd: number): FileFacts;
  /** The facts about a path, without following a link there. */
  lstat(path: FilePath): FileFacts;
  /**
   * All facts about a path, without following a link there. Where an open directory is given, the
   * path is relative to it.
   */
  inspect(path: FilePath, directory?: number): NodeFacts;
  /**
   * Looks at names in an open directory, from the number `first` up to `end`; where the call fails,
   * there is no answer: why, `inspect` says.
   */
  inspectNames(lookups: NameLookups, first: number, end: number, directory: number): void;
  /** All facts about an open file. */
  inspectOpen(fd: number): NodeFacts;
  /** The names in a directory, sorted by their bytes. */
  list(path: FilePath): Buffer[];
  /**
   * The names in a directory one after the other, unsorted, as latin1: one character a byte. It
   * reads as far as it is asked to, so a caller can give up on a directory that is too large.
   */
  entries(path: FilePath): Iterable<string>;
  /** Makes a directory, with mode 0700 unless another is given. */
  mkdir(path: FilePath, mode?: number): void;
  /** Gives a file or directory another name, replacing what has it (rename(2)). */
  rename(from: FilePath, to: FilePath): void;
  /** Gives a file a second name, which must be new (link(2)). */
  link(from: FilePath, to: FilePath): void;
  /** Takes a name away. */
  unlink(path: FilePath): void;
  /** Removes an empty directory. */
  rmdir(path: FilePath): void;
  /**
   * Copies a file in a process of its own: POSIX drops all locks that a process has on a file when
   * it closes any descriptor of it, and SQLite's are such locks.
   */
  copyApart(from: string, to: string): void;
  /** Makes a new directory with mode 0700 for temporary files and returns its path. */
  makeTemporaryDirectory(prefix: string): string;
  /** Removes a file or a whole tree, without following links; nothing there is no error. */
  removeTree(path: FilePath): void;
  /** What a symbolic link says. */
  readlink(path: FilePath): Buffer;
  /** The absolute path without links. */
  realpath(path: string): string;
  /** Bytes that this process may still write, and the kind of the file system. */
  space(path: string): { readonly freeBytes: number; readonly type: number };
  /**
   * Opens a regular file for reading; whatever else stands there, even if it came this moment, is
   * not opened (EINVAL): to open a device can start a machine.
   */
  openRegular(path: FilePath): number;
  /** The extended attributes of a path, sorted by the bytes of their names; follows no link. */
  xattrs(path: FilePath): readonly FileXattr[];
  /** Sets an extended attribute; follows no link. */
  setXattr(path: FilePath, name: Uint8Array, value: Uint8Array): void;
  /** Makes a fifo or device; the umask counts. `major` and `minor` are 0 for a fifo. */
  makeNode(path: FilePath, type: SpecialNode, mode: number, major: number, minor: number): void;
  /** Makes a symbolic link at `path` that says `target`. */
  symlink(target: FilePath, path: FilePath): void;
  /** Changes the owner of a path, of a link itself too. */
  setOwner(path: FilePath, uid: number, gid: number): void;
  /** Sets the permission bits of a path; a link is neither followed nor changed (ELOOP). */
  setMode(path: FilePath, mode: number): void;
  /** Sets the times of modification and access to the same, of a link itself too. */
  setTimes(path: FilePath, modifiedSeconds: number, modifiedNanoseconds: number): void;
  /**
   * Where a file of `sizeBytes` has data and not holes, ascending. At most 1,000,000 runs, unless
   * another maximum is given; more are a StoreError UNSUPPORTED_IMAGE.
   */
  dataRuns(fd: number, sizeBytes: number, maximumRuns?: number): readonly ByteRun[];
  /** fdatasync of a file. */
  dataSync(fd: number): void;
  /** syncfs: makes durable all that was written to the file system of an open file. */
  syncFileSystem(fd: number): void;
}
