/**
 * What a store holds, seen from outside: every file of packs, index, staging and cache with its
 * bytes, and every row of the catalog that decides what exists. A failed operation must not
 * change it. Leases and the -wal are left out: they come and go with whoever has the store open.
 */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describeTree } from './trees.ts';

/** The files and rows of a store. */
export interface StoreState {
  readonly files: readonly string[];
  readonly rows: readonly string[];
}

const NOT_CONTENT = ['leases', 'catalog.sqlite', 'catalog.sqlite-wal', 'catalog.sqlite-shm'];
/** Subdirectories of packs stay when they are empty: they say nothing about what there is. */
const PACK_DIRECTORY = /^directory 0700 packs\/[0-9a-f]{2}$/;
const TABLES = ['store', 'timelines', 'packs', 'segments', 'snapshots'];
const COLLECTED = ['condemned', 'retired', 'tombstones'];

/** Looks at a store, open or not. */
export function storeState(directory: string): StoreState {
  const rows = readCatalog(directory, (catalog) =>
    [...TABLES, ...COLLECTED].flatMap((table) => {
      const all = catalog.prepare(`SELECT * FROM ${table} ORDER BY 1`).raw().all() as unknown[][];
      return all.map((row) => `${table} ${row.map(shown).join(' ')}`);
    }),
  );
  const files = describeTree(directory, { topMode: false, without: NOT_CONTENT });
  return { files: files.filter((line) => !PACK_DIRECTORY.test(line)), rows };
}

/** Runs `action` on a copy of a store's catalog. */
export function readCatalog<T>(directory: string, action: (catalog: Database.Database) => T): T {
  const copy = mkdtempSync(join(tmpdir(), 'criu-timeline-catalog-'));
  try {
    for (const name of ['catalog.sqlite', 'catalog.sqlite-wal']) {
      const path = join(directory, name);
      if (existsSync(path)) copyFileSync(path, join(copy, name));
    }
    const catalog = new Database(join(copy, 'catalog.sqlite'));
    try {
      return action(catalog);
    } finally {
      catalog.close();
    }
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function shown(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('hex') : String(value);
}
