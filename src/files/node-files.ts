/** The door as Node.js opens it: thin bindings to node:fs, with nothing decided here. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as FsExtra from 'fs-extra';
import { systemCode } from '../errors.ts';
import type { FileFacts, FileKind, FilePath, Files, OpenMode } from './files.ts';
import * as allSystemCalls from './system-calls.ts';
import { systemError } from './system-error.ts';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_NOATIME, O_DIRECTORY } =
  fs.constants;

// Loaded when it is needed first: 20 ms for every thread that starts, most of which never do.
const require = createRequire(import.meta.url);

// O_NONBLOCK: opening a fifo that somebody put in a file's place must not wait for a writer.
const OPEN_FLAGS: Record<OpenMode, number> = {
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
  directory: O_RDONLY | O_DIRECTORY | O_NONBLOCK,
  subdirectory: O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK,
  create: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
  write: O_WRONLY | O_NOFOLLOW | O_NONBLOCK,
};

const { nextNames, ...systemCalls } = allSystemCalls;

/** Missing in Node.js; the same on all platforms that it runs on. */
const O_PATH = 0o10000000;
const EINVAL = 22;
const ELOOP = 40;

/** Whether there is no such file now; false for a directory, which stays. */
function removeFile(path: FilePath): boolean {
  try {
    fs.unlinkSync(path);
    return true;
  } catch (error) {
    // EISDIR, or whatever else: to be said by who removes trees.
    return systemCode(error) === 'ENOENT';
  }
}

/** The real file system. */
export const nodeFiles: Files = {
  open: (path, how, mode = 0o600) => fs.openSync(path, OPEN_FLAGS[how], mode),
  close: (fd) => fs.closeSync(fd),
  read: (fd, target, position) => fs.readSync(fd, target, 0, target.length, position),
  write: (fd, source, position) => fs.writeSync(fd, source, 0, source.length, position),
  truncate: (fd, sizeBytes) => fs.ftruncateSync(fd, sizeBytes),
  sync: (fd) => fs.fsyncSync(fd),
  chmod: (fd, mode) => fs.fchmodSync(fd, mode),
  stat: (fd) => factsOf(fs.fstatSync(fd, { bigint: true })),
  lstat: (path) => factsOf(fs.lstatSync(path, { bigint: true })),
  list: (path) => fs.readdirSync(path, { encoding: 'buffer' }).sort((a, b) => a.compare(b)),
  entries: namesIn,
  mkdir: (path, mode = 0o700) => fs.mkdirSync(path, { mode }),
  rename: (from, to) => fs.renameSync(from, to),
  link: (from, to) => fs.linkSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  rmdir: (path) => fs.rmdirSync(path),
  copyApart: (from, to) => {
    execFileSync('cp', ['--', from, to], { stdio: ['ignore', 'ignore', 'pipe'] });
  },
  makeTemporaryDirectory: (prefix) => fs.mkdtempSync(join(tmpdir(), prefix)),
  removeTree: (path) => {
    if (removeFile(path)) return;
    const { removeSync } = require('fs-extra') as typeof FsExtra;
    // It takes what node:fs takes, raw bytes too; its types say less.
    removeSync(path as string);
  },
  readlink: (path: FilePath) => fs.readlinkSync(path, { encoding: 'buffer' }),
  realpath: (path) => fs.realpathSync(path),
  space: (path) => {
    const facts = fs.statfsSync(path);
    return { freeBytes: facts.bavail * facts.bsize, type: facts.type };
  },
  openRegular,
  symlink: (target, path) => fs.symlinkSync(target, path),
  setOwner: (path, uid, gid) => fs.lchownSync(path, uid, gid),
  setMode,
  dataSync: (fd) => fs.fdatasyncSync(fd),
  ...systemCalls,
};

// Not readdirSync: it lists a directory of millions of names to the end before anybody can object.
function* namesIn(path: FilePath): Generator<string> {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    for (;;) {
      const names = nextNames(fd, path);
      if (names === null) {
        yield* namesByNode(path);
        return;
      }
      if (names === undefined) return;
      yield* names;
    }
  } finally {
    fs.closeSync(fd);
  }
}

function* namesByNode(path: FilePath): Generator<string> {
  // The types know only the encodings of text.
  const options = { encoding: 'latin1' as BufferEncoding, bufferSize: 1024 };
  const directory = fs.opendirSync(path, options);
  try {
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      yield entry.name;
    }
  } finally {
    directory.closeSync();
  }
}

function openRegular(path: FilePath): number {
  const place = fs.openSync(path, O_PATH | O_NOFOLLOW);
  try {
    if (!fs.fstatSync(place).isFile()) throw systemError(EINVAL, 'open', String(path));
    // Without O_NOFOLLOW: this link leads to what was looked at, and nowhere else.
    return openQuietly(`/proc/self/fd/${place}`);
  } finally {
    fs.closeSync(place);
  }
}

/** Not chmod of the path: it would follow a link that comes to be there this moment. */
function setMode(path: FilePath, mode: number): void {
  const place = fs.openSync(path, O_PATH | O_NOFOLLOW);
  try {
    if (fs.fstatSync(place).isSymbolicLink()) throw systemError(ELOOP, 'chmod', String(path));
    // Not fchmod, which refuses O_PATH. This link leads to what was looked at, and nowhere else.
    fs.chmodSync(`/proc/self/fd/${place}`, mode);
  } finally {
    fs.closeSync(place);
  }
}

/**
 * Without a new time of access: that would be a trace in the container's files, and one inode to
 * write back for each file that is read. Only the owner and root may; others leave the trace.
 */
function openQuietly(path: string): number {
  try {
    return fs.openSync(path, O_RDONLY | O_NONBLOCK | O_NOATIME);
  } catch (error) {
    if (systemCode(error) !== 'EPERM') throw error;
    return fs.openSync(path, O_RDONLY | O_NONBLOCK);
  }
}

function factsOf(stats: fs.BigIntStats): FileFacts {
  return {
    kind: kindOf(stats),
    mode: Number(stats.mode & 0o7777n),
    sizeBytes: Number(stats.size),
    inode: stats.ino,
    device: stats.dev,
    modifiedNs: stats.mtimeNs,
    changedNs: stats.ctimeNs,
  };
}

function kindOf(stats: fs.BigIntStats): FileKind {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'link' : 'other';
}
