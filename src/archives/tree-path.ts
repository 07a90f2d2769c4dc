/**
 * Where things of an archive are in the tree of a snapshot. Below three directories: the files of
 * the container, the members of the archive, and what is needed to write them as they were.
 */
import { asciiBytes } from './tar-header.ts';

/** The container's files, from `rootfs-diff.tar` and `deleted.files`. */
export const FILES_DIRECTORY: Uint8Array = asciiBytes('files');
/** Members of the archive that are neither images nor taken apart themselves. */
export const MEMBERS_DIRECTORY: Uint8Array = asciiBytes('members');
/** The layout of the archive. */
export const ARCHIVE_LAYOUT: Uint8Array = asciiBytes('layouts/archive');
/** The layout of `rootfs-diff.tar`, where it was taken apart. */
export const DIFF_LAYOUT: Uint8Array = asciiBytes('layouts/rootfs-diff.tar');
/** A file that says how `rootfs-diff.tar` was compressed; there is none where it was not. */
export const DIFF_COMPRESSION: Uint8Array = asciiBytes('layouts/rootfs-diff.compression');

/** The member that holds what the container wrote. */
export const DIFF_MEMBER = 'rootfs-diff.tar';
/** The member that lists what the container deleted. */
export const DELETED_MEMBER = 'deleted.files';
/** Members that hold the image directory. */
export type ImagesMember = 'checkpoint' | 'pre-checkpoint';
/** Both of them. */
export const IMAGES_MEMBERS: readonly ImagesMember[] = ['checkpoint', 'pre-checkpoint'];

const SLASH = 0x2f;

/** A path below a directory; the empty path is the directory itself. */
export function below(directory: Uint8Array, path: Uint8Array): Uint8Array {
  if (path.length === 0) return directory;
  const whole = new Uint8Array(directory.length + 1 + path.length);
  whole.set(directory);
  whole[directory.length] = SLASH;
  whole.set(path, directory.length + 1);
  return whole;
}

/** Whether a path is below another one. */
export function isBelow(path: Uint8Array, above: Uint8Array): boolean {
  if (path.length <= above.length || path[above.length] !== SLASH) return false;
  return Buffer.compare(path.subarray(0, above.length), above) === 0;
}

/** The directory that a path is in; the empty path for what is at the root. */
export function parentPath(path: Uint8Array): Uint8Array {
  return path.subarray(0, Math.max(0, path.lastIndexOf(SLASH)));
}

/** The last part of a path. */
export function lastPart(path: Uint8Array): Uint8Array {
  return path.subarray(path.lastIndexOf(SLASH) + 1);
}

/** Which image directory a path of the archive is in, and its name there; or neither. */
export function imageName(path: string): { member: ImagesMember; name: string } | undefined {
  const slash = path.indexOf('/');
  const first = slash < 0 ? path : path.slice(0, slash);
  const member = IMAGES_MEMBERS.find((name) => name === first);
  if (member === undefined) return undefined;
  return { member, name: slash < 0 ? '' : path.slice(slash + 1) };
}
