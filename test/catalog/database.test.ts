/** The connection: how SQLite is set up in it, and what its errors mean. */
import { writeFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CatalogDatabase } from '../../src/catalog/database.ts';
import { openRaw } from '../support/made-catalogs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

/** A connection to a catalog that was there already: what a new one sets may differ. */
async function opened(): Promise<CatalogDatabase> {
  const file = nextPath();
  writeFileSync(file, '');
  const first = await CatalogDatabase.open(file);
  first.exec('CREATE TABLE t (a INTEGER PRIMARY KEY)');
  first.close();
  const database = await CatalogDatabase.open(file);
  onTestFinished(() => database.close());
  return database;
}

describe('CatalogDatabase', () => {
  it('writes ahead, syncs each commit, keeps references whole, waits 5 ms at most', async () => {
    const database = await opened();
    const names = ['journal_mode', 'synchronous', 'foreign_keys', 'busy_timeout'];
    // 2 is FULL: the -wal is synced before a commit returns.
    expect(names.map((name) => database.pragma(name))).toEqual(['wal', 2, 1, 5]);
  });

  it('undoes a write that fails', async () => {
    const database = await opened();
    const writing = database.write(undefined, () => {
      database.run('INSERT INTO t VALUES (1)');
      throw new Error('not so');
    });
    await expect(writing).rejects.toThrow('not so');
    expect(database.all('SELECT * FROM t')).toEqual([]);
    await database.write(undefined, () => database.run('INSERT INTO t VALUES (?)', 2));
    expect(database.get('SELECT a FROM t')).toEqual({ a: 2 });
  });

  it('says which file it could not use', async () => {
    const database = await opened();
    const error = expect.objectContaining({ code: 'STORAGE', file: database.file });
    expect(() => database.get('SELECT * FROM nothing')).toThrow(error);
  });

  it('waits for a file that another process is about to change into a catalog', async () => {
    const file = nextPath();
    writeFileSync(file, '');
    const other = openRaw(file);
    other.exec('BEGIN EXCLUSIVE');
    const signal = AbortSignal.timeout(30);
    await expect(CatalogDatabase.open(file, signal)).rejects.toThrow(/abort/);
    const opening = CatalogDatabase.open(file);
    other.exec('COMMIT');
    (await opening).close();
  });
});
