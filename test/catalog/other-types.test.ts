/** Damage that gives a column a value of another type, which STRICT forbids to everybody else. */
import type Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import {
  captureOf,
  newCatalog,
  openCatalog,
  openRaw,
  snapshotId,
} from '../support/made-catalogs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const TABLES = ['store', 'timelines', 'packs', 'segments', 'snapshots'];
/** Values of every type, and those that are nearly the same as others by a bit. */
const VALUES = ["x''", "x'00'", "''", "'seven'", '1.5', '9e999', "CAST(x'e2' AS TEXT)"];

/** Runs a statement as if no table were strict. */
function damage(file: string, statement: string): void {
  const database = openRaw(file);
  setStrict(database, false);
  database.pragma('foreign_keys = OFF');
  database.exec(statement);
  setStrict(database, true);
  database.pragma('wal_checkpoint(TRUNCATE)');
  database.close();
}

function setStrict(database: Database.Database, isStrict: boolean): void {
  database.unsafeMode(true);
  database.pragma('writable_schema = ON');
  const sql = isStrict ? "sql || ' STRICT'" : "replace(sql, ') STRICT', ')')";
  database.exec(
    `UPDATE sqlite_schema SET sql = ${sql} WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
  );
  database.pragma('writable_schema = RESET');
}

async function damagedCatalog(table: string, column: string, value: string): Promise<string> {
  const file = newPath();
  const catalog = await newCatalog(file);
  for (const n of [1, 2, 3]) await catalog.commitCapture(captureOf(n));
  catalog.close();
  const where = table === 'store' ? 'id = 1' : 'number = (SELECT max(number) FROM ' + table + ')';
  damage(file, `UPDATE ${table} SET ${column} = ${value} WHERE ${where}`);
  return file;
}

function columnsOf(catalog: string, table: string): string[] {
  const rows = openRaw(catalog).pragma(`table_info(${table})`) as { name: string; pk: number }[];
  return rows.filter(({ pk }) => pk === 0).map(({ name }) => name);
}

/** Everything that reads rows. */
function readAll(catalog: Catalog): void {
  catalog.timelines();
  const damaged = catalog.check();
  if (damaged[0] !== undefined) throw damaged[0];
  catalog.snapshots.ofTimeline('web');
  catalog.snapshots.get(snapshotId(3));
}

describe.each(TABLES)('in table %s', (table) => {
  test('a column of another type is CORRUPT, whichever it is', async () => {
    const whole = newPath();
    (await newCatalog(whole)).close();
    for (const column of columnsOf(whole, table)) {
      // A note is empty to begin with.
      for (const value of VALUES.filter((each) => column !== 'note' || each !== "''")) {
        const file = await damagedCatalog(table, column, value);
        const read = async () => readAll(await openCatalog(file));
        await expect(read(), `${column} = ${value}`).rejects.toMatchObject({ code: 'CORRUPT' });
      }
    }
  });
});

test('a row of another type in an index alone is not taken for one that is gone', async () => {
  const file = newPath();
  const catalog = await newCatalog(file);
  for (const n of [1, 2]) await catalog.commitCapture(captureOf(n));
  expect(await catalog.removeUnpinned([snapshotId(9)])).toBe(false);
  const index = "SELECT name FROM sqlite_schema WHERE tbl_name = 'snapshots' AND type = 'index'";
  const raw = openRaw(file);
  const [name] = raw.prepare(index).pluck().all() as string[];
  expect(name).toBe('sqlite_autoindex_snapshots_1');
  const rootOf = `SELECT rootpage FROM sqlite_schema WHERE name = '${name}'`;
  const page = raw.prepare(rootOf).pluck().get() as number;
  // An index of an empty table: what it knew of snapshots is gone.
  raw.unsafeMode(true);
  raw.pragma('writable_schema = ON');
  raw.exec('CREATE TABLE spare (id TEXT UNIQUE)');
  const spare = raw
    .prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_spare_1'")
    .pluck()
    .get() as number;
  expect(spare).not.toBe(page);
  raw.exec(`UPDATE sqlite_schema SET rootpage = ${spare} WHERE name = '${name}'`);
  raw.pragma('writable_schema = RESET');
  raw.close();
  const damaged = await openCatalog(file);
  expect(damaged.snapshots.ofTimeline('web')).toHaveLength(2);
  const gone = damaged.removeUnpinned([snapshotId(1)]);
  await expect(gone).rejects.toMatchObject({ code: 'CORRUPT', file });
});
