/**
 * What a member may say so that a tree can hold it and a restore can make it: what no Linux has is
 * refused while the archive is read, where the member can be named, and not by the first restore.
 */
import { MAX_PATH_BYTES, MAX_XATTR_BYTES, MAX_XATTR_NAME_BYTES } from '../tree/body.ts';
import type { TarMember } from './tar-member.ts';

/** 2 ** 32 - 1 would mean: leave it as it is. */
const MAX_OWNER = 2 ** 32 - 2;
/** Bits of device numbers in Linux: 12 and 20. */
const MAX_DEVICE_MAJOR = 0xfff;
const MAX_DEVICE_MINOR = 0xfffff;
/** Linux lists their names in 64 KiB, which 9,362 of the shortest fill. */
const MAX_XATTRS = 10_000;

/** What is wrong with the numbers and attributes of a member, to follow its name in an error. */
export function complaintAbout(member: TarMember): string | undefined {
  const { uid, gid, deviceMajor, deviceMinor, xattrs } = member;
  if (uid > MAX_OWNER || gid > MAX_OWNER) return 'has an owner that nobody can be';
  if (deviceMajor > MAX_DEVICE_MAJOR || deviceMinor > MAX_DEVICE_MINOR) {
    return `is the device ${deviceMajor}:${deviceMinor}, which cannot be`;
  }
  if (xattrs.length > MAX_XATTRS) return `has more than ${MAX_XATTRS} extended attributes`;
  for (const { name, value } of xattrs) {
    if (name.length > MAX_XATTR_NAME_BYTES || name.includes(0)) {
      return 'has an extended attribute with a name that cannot be';
    }
    if (value.length > MAX_XATTR_BYTES) {
      return `has an extended attribute of more than ${MAX_XATTR_BYTES} bytes`;
    }
  }
  return undefined;
}

/** Whether a tree has room for a path, once it is below this directory of it. */
export function fitsBelow(directory: Uint8Array, path: Uint8Array): boolean {
  return directory.length + 1 + path.length <= MAX_PATH_BYTES;
}
