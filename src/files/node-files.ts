/** The door as Node.js opens it: thin bindings to node:fs, with nothing decided here. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as FsExtra from 'fs-extra';
import type { FileFacts, FileKind, FilePath, Files, OpenMode } from './files.ts';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = fs.constants;

// Loaded when it is needed first: 20 ms for every thread that starts, most of which never do.
const require = createRequire(import.meta.url);

// O_NONBLOCK: opening a fifo that somebody put in a file's place must not wait for a writer.
const OPEN_FLAGS: Record<OpenMode, number> = {
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
  directory: O_RDONLY | O_DIRECTORY | O_NONBLOCK,
  create: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
  write: O_WRONLY | O_NOFOLLOW | O_NONBLOCK,
};

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
    const { removeSync } = require('fs-extra') as typeof FsExtra;
    removeSync(path);
  },
  readlink: (path: FilePath) => fs.readlinkSync(path, { encoding: 'buffer' }),
  realpath: (path) => fs.realpathSync(path),
  space: (path) => {
    const facts = fs.statfsSync(path);
    return { freeBytes: facts.bavail * facts.bsize, type: facts.type };
  },
};

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
