/**
 * The vocabulary of file trees: what a snapshot keeps of the files of a container, be they walked
 * in an overlay's upper directory or read from an archive. Plain data; nothing here touches a disk.
 *
 * Paths are raw bytes: relative, parts separated by '/', without '.', '..', empty parts and NUL.
 * The root of a tree is the empty path. A tree is in order of its paths, where '/' sorts before
 * every other byte: a directory comes right before what is in it.
 */

/**
 * What a path is. `hard` is one more name of the file at `target`; `host` is a file of the host
 * that was left out.
 */
export type TreeKind =
  'directory' | 'file' | 'link' | 'fifo' | 'socket' | 'character' | 'block' | 'hard' | 'host';

/** An extended attribute. */
export interface Xattr {
  /** With its namespace, such as `trusted.overlay.opaque`. */
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** Where a sparse file has data: runs of pages of 4096 bytes, ascending, not touching. */
export interface DataRuns {
  /** First page of each run. */
  readonly start: Float64Array;
  /** Pages of each run; the last page may end behind the file. */
  readonly length: Float64Array;
}

/** One path of a tree, with what belongs to its inode. */
export interface TreeNode {
  readonly path: Uint8Array;
  readonly kind: TreeKind;
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Time of the last modification: whole seconds since 1970, rounded down, and the rest. */
  readonly modifiedSeconds: number;
  readonly modifiedNanoseconds: number;
  /** Of a file; 0 for everything else. */
  readonly sizeBytes: number;
  /** Of a sparse file; undefined where all of it is data. */
  readonly dataRuns: DataRuns | undefined;
  /** What a symbolic link says; of `hard`, the path of the file's first name. */
  readonly target: Uint8Array | undefined;
  /** Of devices. */
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Sorted by the bytes of their names. */
  readonly xattrs: readonly Xattr[];
}

/** Where bytes lie on a disk: absolute path of a file, and the first byte there. */
export interface SourcePlace {
  readonly path: string;
  readonly offset: number;
}

/** A node whose content, if it is a file, lies in another file: of an archive. */
export interface SourceNode extends TreeNode {
  readonly content: SourcePlace | undefined;
}

/** Compares paths in the order of a tree; `same` bytes of them are known to be the same. */
export function comparePaths(a: Uint8Array, b: Uint8Array, same: number = 0): number {
  const common = Math.min(a.length, b.length);
  for (let i = same; i < common; i++) {
    if (a[i] === b[i]) continue;
    // No name has a NUL, so nothing else sorts like the separator.
    return rankOf(a[i] as number) - rankOf(b[i] as number);
  }
  return a.length - b.length;
}

const SLASH = 0x2f;

/** What a byte of a path is sorted by. */
export function rankOf(byte: number): number {
  return byte === SLASH ? 0 : byte;
}
