/**
 * Where a restore goes. The target must be absent or an empty directory; the files are written
 * into a temporary directory beside it, which takes its name when all is there. A mount point
 * cannot be replaced: it is filled in place, closed to everybody else meanwhile, `inventory.img`
 * appearing last, so that a directory with an inventory is complete.
 *
 * Permission bits are those captured, without setuid, setgid and sticky; owners are the caller's,
 * times those of the restore. Names are checked: nothing is ever written outside the target.
 */
import { dirname, join, resolve } from 'node:path';
import { storageError, StoreError, systemCode } from '../errors.ts';
import type { FileFacts, Files } from '../files/files.ts';
import { isMountPoint } from '../files/mount-point.ts';
import { isMissing, syncDirectory } from '../files/transfer.ts';
import { newName } from './clock.ts';
import { LOST_AND_FOUND, PrivateMount } from './private-mount.ts';

const PERMISSIONS = 0o777;
const COMPLETION_NAME = 'inventory.img';

/** A file that is being restored. */
export interface TargetFile {
  readonly fd: number;
  /** For errors. */
  readonly path: string;
  /** Gives it its mode, and syncs it if that was asked for. */
  finish(): void;
  close(): void;
}

/** A directory that is being restored. */
export class RestoreTarget {
  readonly #files: Files;
  /** Absolute path asked for. */
  readonly #target: string;
  /** Where the files are written: the target itself when it is a mount point. */
  readonly #root: string;
  /** Undefined where the target takes the place of what is there. */
  readonly #mount: PrivateMount | undefined;
  readonly #sync: boolean;
  #isFinished = false;
  /** What was made in a mount point, to be taken away when the restore fails. */
  readonly #made: Buffer[] = [];
  readonly #directories: { readonly path: Buffer; readonly mode: number }[] = [];

  private constructor(
    files: Files,
    target: string,
    place: { readonly root: string; readonly mount?: PrivateMount },
    sync: boolean,
  ) {
    this.#files = files;
    this.#target = target;
    this.#root = place.root;
    this.#mount = place.mount;
    this.#sync = sync;
  }

  /**
   * @param sync whether everything is to survive a power loss when the restore is done.
   * @throws StoreError EXISTS when there is something at `path`, NOT_FOUND without its directory.
   */
  static open(files: Files, path: string, sync: boolean): RestoreTarget {
    const target = resolve(path);
    checkParent(files, target);
    if (isFreeMountPoint(files, target)) {
      const mount = attempt('make private', target, () => PrivateMount.open(files, target));
      return new RestoreTarget(files, target, { root: target, mount }, sync);
    }
    // Not made from the target's name, which may be as long as a name can be.
    const root = join(dirname(target), `.criu-timeline-${newName()}.partial`);
    attempt('create', root, () => files.mkdir(root, 0o700));
    return new RestoreTarget(files, target, { root }, sync);
  }

  /** Makes a subdirectory; it gets its mode when everything is in it. */
  makeDirectory(name: Uint8Array, mode: number): void {
    const path = this.#pathOf(name);
    attempt('create', path.toString(), () => this.#files.mkdir(path, 0o700));
    this.#made.push(path);
    this.#directories.push({ path, mode });
  }

  /** Makes an empty file, for the caller to fill, finish and close. */
  makeFile(name: Uint8Array, mode: number): TargetFile {
    const bytes = this.#pathOf(this.#temporaryName(name));
    const path = bytes.toString();
    const fd = attempt('create', path, () => this.#files.open(bytes, 'create'));
    this.#made.push(bytes);
    const finish = () => {
      this.#files.chmod(fd, mode & PERMISSIONS);
      if (this.#sync) this.#files.sync(fd);
    };
    return {
      fd,
      path,
      finish: () => attempt('finish', path, finish),
      close: () => this.#files.close(fd),
    };
  }

  #temporaryName(name: Uint8Array): Uint8Array {
    const isLast =
      this.#mount !== undefined && Buffer.from(name).equals(Buffer.from(COMPLETION_NAME));
    return isLast ? Buffer.from(`.${COMPLETION_NAME}.partial`) : name;
  }

  #pathOf(name: Uint8Array): Buffer {
    if (!isSafeName(name)) {
      const file = Buffer.from(name).toString();
      throw new StoreError('CORRUPT', 'this name leads out of the directory', { file });
    }
    return Buffer.concat([Buffer.from(`${this.#root}/`), name]);
  }

  /** Puts everything in place. */
  finish(mode: number): void {
    attempt('complete', this.#target, () => {
      for (const directory of this.#directories.reverse()) {
        this.#setMode(directory.path, directory.mode);
      }
      if (this.#mount === undefined) this.#replaceTarget(mode);
      else {
        this.#revealInventory();
        this.#mount.giveBack(this.#sync);
      }
    });
  }

  #setMode(path: Buffer | string, mode: number): void {
    const fd = this.#files.open(path, 'directory');
    try {
      this.#files.chmod(fd, mode & PERMISSIONS);
      if (this.#sync) this.#files.sync(fd);
    } finally {
      this.#files.close(fd);
    }
  }

  #revealInventory(): void {
    const partial = join(this.#root, `.${COMPLETION_NAME}.partial`);
    const complete = join(this.#root, COMPLETION_NAME);
    if (this.#sync) syncDirectory(this.#files, this.#root);
    this.#files.rename(partial, complete);
    this.#made.push(Buffer.from(complete));
  }

  #replaceTarget(mode: number): void {
    this.#setMode(this.#root, mode);
    this.#rename();
  }

  #rename(): void {
    try {
      this.#files.rename(this.#root, this.#target);
    } catch (cause) {
      const code = systemCode(cause);
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOTDIR') throw cause;
      const file = this.#target;
      throw new StoreError('EXISTS', 'something came to be there meanwhile', { file, cause });
    }
    if (this.#sync) syncDirectory(this.#files, dirname(this.#target));
  }

  /** Path of the directory that everything is written into. */
  get root(): string {
    return this.#root;
  }

  /** Puts a whole tree in place, which has its modes and times already. */
  finishTree(): void {
    attempt('complete', this.#target, () => {
      if (this.#sync) this.#syncFileSystem();
      if (this.#mount === undefined) this.#rename();
    });
    this.#isFinished = true;
  }

  /** A call for each of a hundred thousand files would take longer than all that is written. */
  #syncFileSystem(): void {
    const fd = this.#files.open(this.#root, 'directory');
    try {
      this.#files.syncFileSystem(fd);
    } finally {
      this.#files.close(fd);
    }
  }

  /** Takes a tree away, also one that is in place already. */
  discardTree(): void {
    const mount = this.#mount;
    if (mount === undefined) {
      removeTree(this.#files, Buffer.from(this.#isFinished ? this.#target : this.#root));
      return;
    }
    // Its root may have its mode already.
    mount.makePrivate();
    for (const name of mount.names()) {
      removeTree(this.#files, Buffer.concat([Buffer.from(`${this.#root}/`), name]));
    }
    mount.giveBack(false);
  }

  /** Takes away what was written, after a failure. */
  discard(): void {
    const mount = this.#mount;
    if (mount === undefined) {
      this.#files.removeTree(this.#root);
      return;
    }
    mount.makePrivate();
    for (const path of this.#made.reverse()) this.#remove(path);
    mount.giveBack(false);
  }

  #remove(path: Buffer): void {
    try {
      if (this.#files.lstat(path).kind === 'directory') this.#files.rmdir(path);
      else this.#files.unlink(path);
    } catch (cause) {
      // The inventory has one of its two names.
      if (!isMissing(cause)) throw cause;
    }
  }
}

function removeTree(files: Files, path: Buffer): void {
  try {
    files.removeTree(path);
  } catch (cause) {
    // Only root empties directories that are finished, and that nobody may write.
    if (systemCode(cause) !== 'EACCES') throw cause;
    makeWritable(files, path);
    files.removeTree(path);
  }
}

function makeWritable(files: Files, path: Buffer): void {
  if (files.lstat(path).kind !== 'directory') return;
  files.setMode(path, 0o700);
  for (const name of files.list(path)) {
    makeWritable(files, Buffer.concat([path, Buffer.from('/'), name]));
  }
}

function checkParent(files: Files, target: string): void {
  const file = dirname(target);
  try {
    if (files.lstat(`${file}/.`).kind === 'directory') return;
  } catch (cause) {
    if (!isMissing(cause)) throw storageError('look at', file, cause);
    throw new StoreError('NOT_FOUND', 'no directory to restore into', { file, cause });
  }
}

/** Whether the target is an empty mount point; an absent or empty directory is not one. */
function isFreeMountPoint(files: Files, target: string): boolean {
  let facts: FileFacts;
  try {
    facts = files.lstat(target);
  } catch (cause) {
    if (isMissing(cause)) return false;
    throw storageError('look at', target, cause);
  }
  const file = target;
  if (facts.kind !== 'directory') {
    throw new StoreError('EXISTS', 'the target is not a directory', { file });
  }
  const names = attempt('list', target, () => files.list(target));
  const isMount = attempt('look at', target, () => isMountPoint(files, target));
  // A new file system is not quite empty.
  const found = names.filter((name) => !(isMount && name.toString() === LOST_AND_FOUND));
  if (found.length > 0) throw new StoreError('EXISTS', 'the target is not empty', { file });
  return isMount;
}

/** Relative, without empty parts, `.`, `..` and NUL. */
function isSafeName(name: Uint8Array): boolean {
  const bytes = Buffer.from(name);
  if (bytes.length === 0 || bytes.includes(0)) return false;
  const parts = bytes.toString('latin1').split('/');
  return parts.every((part) => part !== '' && part !== '.' && part !== '..');
}

function attempt<T>(action: string, file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw storageError(action, file, cause);
  }
}
