/**
 * The catalog's connection to SQLite: how it is opened, how it waits for other processes, and what
 * its errors mean. Statements are prepared once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { StoreError, storageError } from '../errors.ts';
import { isBusy } from './lease.ts';

/** Milliseconds that SQLite may wait for a lock inside one call. */
const BUSY_TIMEOUT_MS = 5;
const RETRY_MS = 5;
/** Pages of a copy that are made in one go at first: 1 MiB. */
const COPIED_PAGES = 256;
const MAX_COPIED_PAGES = 2 ** 30;
/** How often a lock is tried: for about a minute. */
const MAX_TRIES = 6000;
/** Below 3.51.3, SQLite may corrupt a WAL database with several connections ("WAL-reset bug"). */
const MINIMUM_SQLITE = 3_051_003;

/** A value that a statement takes. */
export type Parameter = string | number | Uint8Array | null;

/** A connection. Its errors are StoreErrors, but for being busy inside a transaction. */
export class CatalogDatabase {
  /** Path of the database. */
  readonly file: string;
  readonly #database: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();

  private constructor(file: string, database: Database.Database) {
    this.file = file;
    this.#database = database;
  }

  /**
   * Opens the database in `file`, which must exist.
   *
   * @throws StoreError CORRUPT, UNSUPPORTED_VERSION, STORAGE, ABORTED.
   */
  static async open(file: string, signal?: AbortSignal): Promise<CatalogDatabase> {
    checkVersion(file);
    const options = { timeout: BUSY_TIMEOUT_MS, fileMustExist: true };
    const connection = attempt(file, () => new Database(file, options));
    const database = new CatalogDatabase(file, connection);
    try {
      await database.retry(signal, () => connection.pragma('journal_mode = WAL'));
      connection.pragma('synchronous = FULL');
      connection.pragma('foreign_keys = ON');
      return database;
    } catch (error) {
      connection.close();
      throw meaningOf(error, file);
    }
  }

  /** The value of a pragma. */
  pragma(name: string): unknown {
    return this.#attempt(() => this.#database.pragma(name, { simple: true }));
  }

  /** Runs statements that take no values. */
  exec(sql: string): void {
    this.#attempt(() => this.#database.exec(sql));
  }

  /** The first row of a query. */
  get<Row>(sql: string, ...values: Parameter[]): Row | undefined {
    return this.#attempt(() => this.#prepare(sql).get(...values)) as Row | undefined;
  }

  /** All rows of a query. */
  all<Row>(sql: string, ...values: Parameter[]): Row[] {
    return this.#attempt(() => this.#prepare(sql).all(...values)) as Row[];
  }

  /** All rows of a query that gives each of them as a text. */
  texts(sql: string, ...values: Parameter[]): string[] {
    return this.#attempt(() =>
      this.#prepare(sql)
        .pluck()
        .all(...values),
    ) as string[];
  }

  /** The one value of a query that gives bytes; none where it gives NULL. */
  bytes(sql: string, ...values: Parameter[]): Uint8Array {
    const value = this.#attempt(() =>
      this.#prepare(sql)
        .pluck()
        .get(...values),
    ) as Uint8Array | null | undefined;
    return value ?? new Uint8Array(0);
  }

  /** Runs a statement that returns nothing. */
  run(sql: string, ...values: Parameter[]): void {
    this.#attempt(() => this.#prepare(sql).run(...values));
  }

  #prepare(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #attempt<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      // Inside a transaction, `write` sees to it.
      if (this.#database.inTransaction && isBusy(error)) throw error;
      throw meaningOf(error, this.file);
    }
  }

  /** Runs `action` in a transaction that may write, waiting for other processes. */
  async write<T>(signal: AbortSignal | undefined, action: () => T): Promise<T> {
    try {
      return await this.retry(signal, () => this.#database.transaction(action).immediate());
    } catch (error) {
      throw meaningOf(error, this.file);
    }
  }

  /** Calls `action` until no other process is in its way, the signal fires, or a minute is over. */
  async retry<T>(signal: AbortSignal | undefined, action: () => T): Promise<T> {
    for (let tries = 1; ; tries++) {
      signal?.throwIfAborted();
      try {
        return action();
      } catch (error) {
        if (!isBusy(error) || tries === MAX_TRIES) throw error;
        await delay(RETRY_MS, undefined, signal === undefined ? {} : { signal });
      }
    }
  }

  /**
   * Copies the database as it is at one moment to the file `to`, some pages at a time. SQLite
   * begins again whenever another process has written; then the steps grow, up to all in one go.
   */
  async copyTo(to: string, signal: AbortSignal | undefined): Promise<void> {
    let step = COPIED_PAGES;
    let least = Infinity;
    const progress = ({ remainingPages }: { remainingPages: number }): number => {
      signal?.throwIfAborted();
      if (remainingPages >= least) step = Math.min(2 * step, MAX_COPIED_PAGES);
      least = remainingPages;
      return step;
    };
    try {
      await this.#database.backup(to, { progress });
    } catch (error) {
      throw meaningOf(error, this.file);
    }
  }

  /** Closes the connection. */
  close(): void {
    this.#database.close();
  }
}

function checkVersion(file: string): void {
  const memory = new Database(':memory:');
  const version = memory.prepare('SELECT sqlite_version()').pluck().get() as string;
  memory.close();
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  if (major * 1_000_000 + minor * 1_000 + patch >= MINIMUM_SQLITE) return;
  const message = `SQLite ${version} is too old: 3.51.3 is the first without the WAL-reset bug`;
  throw new StoreError('UNSUPPORTED_VERSION', message, { file });
}

function attempt<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw meaningOf(error, file);
  }
}

/** Turns an error of SQLite into one of ours. */
function meaningOf(cause: unknown, file: string): unknown {
  if (!(cause instanceof Database.SqliteError)) return cause;
  if (isBusy(cause)) {
    return new StoreError('LOCKED', 'another process holds the catalog', { file, cause });
  }
  const isDamage = /^SQLITE_(CORRUPT|NOTADB)/.test(cause.code);
  if (!isDamage) return storageError('use the catalog', file, cause);
  return new StoreError('CORRUPT', `damaged catalog: ${cause.message}`, { file, cause });
}
