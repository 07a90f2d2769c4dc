/**
 * How the catalog opens SQLite and waits for it: the driver's settings, its locks, and what its
 * errors mean.
 */
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { StoreError, storageError } from '../errors.ts';
import { isBusy } from './lease.ts';

/** Milliseconds that SQLite may wait for a lock inside one call. */
const BUSY_TIMEOUT_MS = 5;
const RETRY_MS = 5;
/** Below 3.51.3, SQLite may corrupt a WAL database with several connections ("WAL-reset bug"). */
const MINIMUM_SQLITE = 3_051_003;

/** Opens the database in `file`, which must exist. @throws StoreError. */
export function openDatabase(file: string): Database.Database {
  let database: Database.Database;
  try {
    database = new Database(file, { timeout: BUSY_TIMEOUT_MS, fileMustExist: true });
  } catch (error) {
    throw meaningOf(error, file);
  }
  const version = database.prepare('SELECT sqlite_version()').pluck().get() as string;
  if (versionNumber(version) < MINIMUM_SQLITE) {
    database.close();
    const message = `SQLite ${version} is too old: 3.51.3 is the first without the WAL-reset bug`;
    throw new StoreError('UNSUPPORTED_VERSION', message, { file });
  }
  return database;
}

function versionNumber(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  return major * 1_000_000 + minor * 1_000 + patch;
}

/** Calls `action` until no other process is in its way, or the signal fires. */
export async function retryWhileBusy<T>(
  signal: AbortSignal | undefined,
  action: () => T,
): Promise<T> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      return action();
    } catch (error) {
      if (!isBusy(error)) throw error;
      await delay(RETRY_MS, undefined, signal === undefined ? {} : { signal });
    }
  }
}

/** Turns an error of SQLite into one of ours: damage is CORRUPT, the rest STORAGE. */
export function meaningOf(cause: unknown, file: string): unknown {
  if (!(cause instanceof Database.SqliteError)) return cause;
  const isDamage = /^SQLITE_(CORRUPT|NOTADB)/.test(cause.code);
  if (!isDamage) return storageError('use the catalog', file, cause);
  return new StoreError('CORRUPT', `damaged catalog: ${cause.message}`, { file, cause });
}
