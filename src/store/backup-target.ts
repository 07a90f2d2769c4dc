/**
 * The directory that a backup goes to, while it is being made: a store in the making, or a former
 * backup of the same store, which stays as it is until the new catalog takes the place of its own.
 *
 * Nobody else works on it meanwhile: `leases/repair.lock` is held, and no lease of anybody else may
 * be alive. What is unfinished lies in staging, whose `backup.json` says whose backup it will be.
 */
import { dirname, join, resolve } from 'node:path';
import { sameBytes } from '../bytes/hex.ts';
import { takeLease, type Lease } from '../catalog/lease.ts';
import { storageError, StoreError, systemCode } from '../errors.ts';
import type { FileKind, Files } from '../files/files.ts';
import { exists, isMissing, syncDirectory, writeAll } from '../files/transfer.ts';
import type { StoreContext } from './context.ts';
import { checkFileSystem } from './file-system-check.ts';
import { encodeFormat, readFormat } from './format-file.ts';
import { StoreLayout } from './layout.ts';
import { checkOutside } from './outside.ts';
import { clearDeadStaging, StagingArea } from './staging.ts';

const LEASE_SUFFIX = '.lease';

/** A directory that is being filled. */
export class BackupTarget {
  readonly layout: StoreLayout;
  readonly staging: StagingArea;
  readonly #files: Files;
  readonly #lock: Lease;
  readonly #marker: string;

  private constructor(
    files: Files,
    layout: StoreLayout,
    held: { readonly lock: Lease; readonly staging: StagingArea },
  ) {
    this.#files = files;
    this.layout = layout;
    this.#lock = held.lock;
    this.staging = held.staging;
    this.#marker = markerOf(layout);
  }

  /**
   * Takes a directory for a backup: absent, empty, or with a backup of the same store, finished or
   * not.
   *
   * @throws StoreError EXISTS for anything else, LOCKED while somebody works with it, STORAGE;
   * TypeError for a path inside the store.
   */
  static open(context: StoreContext, path: string, storeId: Uint8Array): BackupTarget {
    const { files } = context;
    const layout = new StoreLayout(findDirectory(context, resolve(path)));
    checkFileSystem(files, layout.directory);
    checkContents(files, layout, storeId);
    for (const directory of layout.subdirectories) makeDirectory(files, directory);
    const lock = takeLock(files, join(layout.leases, 'repair.lock'));
    try {
      const staging = StagingArea.open(files, layout);
      try {
        const target = new BackupTarget(files, layout, { lock, staging });
        target.checkUnused();
        clearDeadStaging(files, layout, staging.name);
        target.#mark(storeId);
        return target;
      } catch (error) {
        staging.close();
        throw error;
      }
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** @throws StoreError LOCKED when somebody has opened the target as a store. */
  checkUnused(): void {
    for (const name of this.#files.list(this.layout.leases).map(String)) {
      if (!name.endsWith(LEASE_SUFFIX) || name === `${this.staging.name}${LEASE_SUFFIX}`) continue;
      const path = join(this.layout.leases, name);
      const lease = exists(this.#files, path) ? takeLease(path) : undefined;
      if (lease === undefined && exists(this.#files, path)) throw inUse(this.layout.directory);
      lease?.release();
    }
  }

  /** Before there is a catalog: whose backup this will be. */
  #mark(storeId: Uint8Array): void {
    if (exists(this.#files, this.layout.formatFile) || exists(this.#files, this.#marker)) return;
    const path = this.staging.newPath('.json');
    const fd = this.#files.open(path, 'create');
    try {
      writeAll(this.#files, fd, encodeFormat(storeId), 0);
      this.#files.sync(fd);
    } finally {
      this.#files.close(fd);
    }
    this.#files.rename(path, this.#marker);
    syncDirectory(this.#files, this.layout.staging);
  }

  /** Makes the directory of a pack, unless it is there. */
  makePackDirectory(name: string): void {
    makeDirectory(this.#files, this.layout.packDirectory(name));
  }

  /** Puts a catalog in place: from here on, the target is the new backup. */
  finish(catalog: string): void {
    const { layout } = this;
    const files = this.#files;
    syncFile(files, catalog);
    this.checkUnused();
    // A -wal belongs to the catalog that goes, and would be applied to the one that comes.
    const left = ['-wal', '-shm', '-journal'].map((end) => `${layout.catalogFile}${end}`);
    if (left.some((path) => exists(files, path))) throw inUse(layout.directory);
    files.rename(catalog, layout.catalogFile);
    syncDirectory(files, layout.directory);
    if (exists(files, layout.formatFile)) return;
    files.rename(this.#marker, layout.formatFile);
    syncDirectory(files, layout.directory);
    syncDirectory(files, dirname(layout.directory));
  }

  /** Lets go of the directory; what is in staging, but for the marker, is removed. */
  close(): void {
    try {
      this.staging.close();
      const isDone = exists(this.#files, this.layout.formatFile);
      if (isDone && exists(this.#files, this.#marker)) this.#files.unlink(this.#marker);
    } finally {
      this.#lock.release();
    }
  }
}

function markerOf(layout: StoreLayout): string {
  return join(layout.staging, 'backup.json');
}

function inUse(file: string): StoreError {
  return new StoreError('LOCKED', 'somebody has opened the target of the backup', { file });
}

function taken(message: string, file: string): StoreError {
  return new StoreError('EXISTS', message, { file });
}

function kindOf(files: Files, path: string): FileKind | undefined {
  try {
    return files.lstat(path).kind;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Links are followed up to the directory that holds the target, and nowhere below it. */
function findDirectory(context: StoreContext, path: string): string {
  const { files, layout } = context;
  checkOutside(context, path);
  const kind = kindOf(files, path);
  if (kind !== undefined && kind !== 'directory') {
    throw taken(`the target is no directory but a ${kind}`, path);
  }
  if (kind === undefined) {
    try {
      files.mkdir(path, 0o700);
    } catch (cause) {
      if (!isMissing(cause)) throw storageError('make the directory', path, cause);
      const message = 'the directory that is to hold the target does not exist';
      throw new StoreError('NOT_FOUND', message, { file: path, cause });
    }
    syncDirectory(files, dirname(path));
  }
  const directory = files.realpath(path);
  if (directory === layout.directory) throw new TypeError('the target is the store itself');
  return directory;
}

function checkContents(files: Files, layout: StoreLayout, storeId: Uint8Array): void {
  const { directory } = layout;
  const format = readFormat(files, layout.formatFile) ?? readFormat(files, markerOf(layout));
  const wal = `${layout.catalogFile}-wal`;
  if (format !== undefined && exists(files, wal) && !exists(files, layout.catalogFile)) {
    const message = 'the catalog of the target is missing: repair the target first';
    throw new StoreError('CORRUPT', message, { file: layout.catalogFile });
  }
  if (format !== undefined) {
    if (sameBytes(format.storeId, storeId)) return;
    throw taken('the target is a backup of another store, or one itself', directory);
  }
  const own = new Set(layout.ownNames);
  const stranger = files.list(directory).find((name) => !own.has(name.toString()));
  if (stranger !== undefined) {
    throw taken(`the target is not empty and no backup: ${stranger.toString()}`, directory);
  }
  const holdsPacks = kindOf(files, layout.packs) !== undefined && holdsAny(files, layout.packs);
  if (!holdsPacks && kindOf(files, layout.catalogFile) === undefined) {
    closeToOthers(files, directory);
    return;
  }
  throw taken('the target does not say which store it is a backup of', directory);
}

function holdsAny(files: Files, packs: string): boolean {
  if (kindOf(files, packs) !== 'directory') return true;
  return files.list(packs).length > 0;
}

function closeToOthers(files: Files, directory: string): void {
  const fd = files.open(directory, 'subdirectory');
  try {
    files.chmod(fd, 0o700);
  } finally {
    files.close(fd);
  }
}

function makeDirectory(files: Files, path: string): void {
  const kind = kindOf(files, path);
  if (kind === 'directory') return;
  if (kind !== undefined) throw taken(`there is a ${kind} in the place of a directory`, path);
  files.mkdir(path, 0o700);
}

function takeLock(files: Files, path: string): Lease {
  const kind = kindOf(files, path);
  if (kind !== undefined && kind !== 'file') throw taken(`there is a ${kind} as a lock`, path);
  try {
    if (kind === undefined) files.close(files.open(path, 'create'));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  const lock = takeLease(path);
  if (lock !== undefined) return lock;
  throw new StoreError('LOCKED', 'a repair or another backup works on the target', { file: path });
}

function syncFile(files: Files, path: string): void {
  const fd = files.open(path, 'write');
  try {
    files.sync(fd);
  } finally {
    files.close(fd);
  }
}
