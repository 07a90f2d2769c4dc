/**
 * A lease: a claim that dies with the process that made it.
 *
 * It is a small SQLite file held under BEGIN EXCLUSIVE, which is a lock of the kernel: it ends with
 * its holder however that dies, in any pid namespace, and needs no unlocking by hand. A lease file
 * must never be opened with plain file calls: POSIX drops a process's locks on a file when the
 * process closes any descriptor of it. Process ids are for messages only.
 */
import Database from 'better-sqlite3';
import { storageError } from '../errors.ts';

/** A claim that is held. */
export interface Lease {
  readonly path: string;
  /** Gives the claim back; the file stays. */
  release(): void;
}

/**
 * Takes the lease whose file is `path`; undefined while somebody holds it.
 *
 * @throws StoreError STORAGE when the file is not there or cannot be opened.
 */
export function takeLease(path: string): Lease | undefined {
  const database = open(path);
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (isBusy(error)) return undefined;
    throw storageError('take the lease', path, error);
  }
  return { path, release: () => database.close() };
}

function open(path: string): Database.Database {
  try {
    return new Database(path, { timeout: 0, fileMustExist: true });
  } catch (error) {
    throw storageError('open the lease', path, error);
  }
}

/** Whether an error of SQLite says that somebody else has the lock. */
export function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY');
}
