/**
 * What the catalog remembers of the health of packs: which frames are lost no more, when each pack
 * was last found right or damaged and each snapshot last read, and which packs it has let go of.
 * None of it decides what exists: a row that is missing costs work, not data.
 */
import type { CatalogDatabase } from './database.ts';
import type { PackRow } from './rows.ts';

/** A frame on record as damaged: name of its pack, and where its block starts. */
export interface LostFrameRow {
  readonly pack: string;
  readonly offset: number;
}

/** Whether a text of a row without a checksum names a pack. */
export function isPackName(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-f]{64}$/.test(text);
}

/** Reads and writes what is known of packs. */
export class PackRecords {
  readonly #database: CatalogDatabase;

  /** @internal The catalog makes it. */
  constructor(database: CatalogDatabase) {
    this.#database = database;
  }

  /**
   * Milliseconds since 1970 at which every page of a pack was last found right, by its name.
   *
   * @param nowMs the time: a clock may have been ahead when a later one was noted.
   */
  verifiedTimes(nowMs: number): ReadonlyMap<string, number> {
    return this.#times('SELECT pack AS key, at_ms FROM verified', nowMs);
  }

  /** The same of packs that were found damaged when they were last read. */
  damagedTimes(nowMs: number): ReadonlyMap<string, number> {
    return this.#times('SELECT pack AS key, at_ms FROM damaged_packs', nowMs);
  }

  /** The same of snapshots, by their ids: when every page was last read, right or not. */
  checkedTimes(nowMs: number): ReadonlyMap<string, number> {
    return this.#times('SELECT snapshot_id AS key, at_ms FROM checked_snapshots', nowMs);
  }

  #times(sql: string, nowMs: number): ReadonlyMap<string, number> {
    const rows = this.#database.all<{ key: string; at_ms: number }>(sql);
    // No checksum guards these rows: what is no time is passed over.
    const intact = rows.filter(({ at_ms: atMs }) => {
      return Number.isSafeInteger(atMs) && atMs > 0 && atMs <= nowMs;
    });
    return new Map(intact.map((row) => [row.key, row.at_ms]));
  }

  /** Records that every page of these packs was found right, but for those that are gone by now. */
  async putVerified(packs: readonly string[], atMs: number): Promise<void> {
    const put = 'INSERT OR REPLACE INTO verified SELECT name, ? FROM packs WHERE name = ?';
    await this.#putTimes(put, packs, atMs, 'DELETE FROM damaged_packs WHERE pack = ?');
  }

  /** The same of packs that were found damaged: until they are found right. */
  async putDamaged(packs: readonly string[], atMs: number): Promise<void> {
    const put = 'INSERT OR REPLACE INTO damaged_packs SELECT name, ? FROM packs WHERE name = ?';
    await this.#putTimes(put, packs, atMs);
  }

  /** The same of snapshots of which every page was read. */
  async putChecked(ids: readonly string[], atMs: number): Promise<void> {
    const put = 'INSERT OR REPLACE INTO checked_snapshots SELECT id, ? FROM snapshots WHERE id = ?';
    await this.#putTimes(put, ids, atMs);
  }

  async #putTimes(
    put: string,
    keys: readonly string[],
    atMs: number,
    forget?: string,
  ): Promise<void> {
    await this.#database.write(undefined, () => {
      for (const key of keys) {
        this.#database.run(put, atMs, key);
        if (forget !== undefined) this.#database.run(forget, key);
      }
    });
  }

  /** Takes frames off the record that were read again, and found right; their packs are unread. */
  async removeLostFrames(frames: readonly LostFrameRow[]): Promise<void> {
    await this.#database.write(undefined, () => {
      const sql = 'DELETE FROM lost_frames WHERE pack = ? AND offset = ?';
      for (const { pack, offset } of frames) {
        this.#database.run(sql, pack, offset);
        this.#database.run('DELETE FROM damaged_packs WHERE pack = ?', pack);
      }
    });
  }

  /** Lets go of packs whose files are still to be unlinked. */
  async retire(
    packs: readonly Pick<PackRow, 'name' | 'sizeBytes'>[],
    generation: number,
  ): Promise<void> {
    await this.#database.write(undefined, () => {
      const put = 'INSERT OR REPLACE INTO retired VALUES (?, ?, ?)';
      for (const { name, sizeBytes } of packs) {
        this.#database.run(put, name, generation, sizeBytes);
      }
    });
  }
}
