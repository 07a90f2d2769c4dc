/**
 * The one door to the file system: some twenty synchronous calls that everything else is made of.
 *
 * Tests replace it to fail the n-th call, to run out of space, or to lose what was not synced. It
 * is synchronous because the work behind it runs in bounded slices or in worker threads, where a
 * promise per call would cost more than the call. Errors are Node's own; callers give them meaning.
 * Paths are strings or raw bytes: names in an image directory need not be UTF-8.
 */

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

/** How `open` opens: never through a symbolic link in the last component, never waiting. */
export type OpenMode = 'read' | 'directory' | 'create' | 'write';

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
  /** The names in a directory, sorted by their bytes. */
  list(path: FilePath): Buffer[];
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
  removeTree(path: string): void;
  /** What a symbolic link says. */
  readlink(path: FilePath): Buffer;
  /** The absolute path without links. */
  realpath(path: string): string;
  /** Bytes that this process may still write, and the kind of the file system. */
  space(path: string): { readonly freeBytes: number; readonly type: number };
}
