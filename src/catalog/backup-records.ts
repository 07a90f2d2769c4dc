/**
 * Which backups have been made of a store: random tokens, which the catalog of the store has as
 * well as that of the backup. A backup whose last token the store does not know was made of a later
 * state: the store is one that an older copy was put in the place of.
 */
import { toHex } from '../bytes/hex.ts';
import type { CatalogDatabase } from './database.ts';

/** As many are remembered: of a backup every minute, those of 45 days. */
const MAX_BACKUPS = 65_536;

/** Reads and writes tokens. */
export class BackupRecords {
  readonly #database: CatalogDatabase;

  /** @internal The catalog makes it. */
  constructor(database: CatalogDatabase) {
    this.#database = database;
  }

  /** The tokens in hex, the oldest first. */
  all(): string[] {
    const sql = 'SELECT token FROM backups ORDER BY number';
    return this.#database.all<{ token: Uint8Array }>(sql).map(({ token }) => toHex(token));
  }

  /** Adds one, and forgets those that are too old. */
  async add(token: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#database.write(signal, () => {
      this.#database.run('INSERT INTO backups (token) VALUES (?)', token);
      const sql = 'DELETE FROM backups WHERE number <= (SELECT max(number) FROM backups) - ?';
      this.#database.run(sql, MAX_BACKUPS);
    });
  }
}
