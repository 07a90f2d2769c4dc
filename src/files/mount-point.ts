/** Tells mount points, bind mounts of the same file system included. Linux only. */
import { dirname } from 'node:path';
import type { Files } from './files.ts';
import { readUpTo } from './transfer.ts';

const MOUNTS_FILE = '/proc/self/mountinfo';
/** More mounts than a host has: 100,000 lines of 160 bytes. */
const MAX_MOUNTS_BYTES = 16 * 1024 * 1024;

/** Whether a directory is a mount point. */
export function isMountPoint(files: Files, directory: string): boolean {
  const path = files.realpath(directory);
  if (files.lstat(path).device !== files.lstat(dirname(path)).device) return true;
  return mountPoints(files).has(path);
}

function mountPoints(files: Files): Set<string> {
  const fd = files.open(MOUNTS_FILE, 'read');
  try {
    // The file says 0 bytes long, and is read until it ends.
    const bytes = new Uint8Array(MAX_MOUNTS_BYTES);
    const text = new TextDecoder().decode(bytes.subarray(0, readUpTo(files, fd, bytes, 0)));
    return new Set(text.split('\n').map((line) => unescape(line.split(' ')[4] ?? '')));
  } finally {
    files.close(fd);
  }
}

/** proc(5): space, tab, newline and backslash are written as octal numbers. */
function unescape(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
