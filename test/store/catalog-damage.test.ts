/** Damage of the catalog: rows that were changed, pages of SQLite that were, and its loss. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { type SnapshotStore, StoreError } from '../../src/index.ts';
import { type ClosedStore, flipped, makeClosedStore } from '../support/damaged-store.ts';
import { expectFailure } from '../support/failures.ts';
import { makeImageDirectory } from '../support/image-directories.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectRestores } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { describeTree } from '../support/trees.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

/** The store that damaged ones are copies of. */
const original = makeClosedStore(newPath);

/** A copy of a closed store, to be damaged. */
function copyOf(closed: ClosedStore): string {
  const directory = newPath();
  execFileSync('cp', ['-a', closed.directory, directory]);
  return directory;
}

function change(directory: string, ...statements: string[]): void {
  const catalog = new Database(join(directory, 'catalog.sqlite'));
  catalog.pragma('foreign_keys = OFF');
  for (const statement of statements) {
    const { changes } = catalog.prepare(statement).run();
    expect(changes > 0 || statement.startsWith('CREATE')).toBe(true);
  }
  catalog.close();
}

/** What may go wrong with a store whose catalog is damaged. */
const MEANT = ['CORRUPT', 'NOT_FOUND', 'STORAGE', 'UNSUPPORTED_VERSION'];

/** Runs `action`; passes over the failures that a damaged catalog may have. */
async function tolerate(action: () => unknown): Promise<string> {
  try {
    await action();
    return 'done';
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    expect(MEANT, error.message).toContain(error.code);
    return error.code;
  }
}

/**
 * Uses a store in every way. Fails on a wrong byte or an error that is not the library's; returns
 * what verify found, `throws` when it could not run.
 */
async function useAll(closed: ClosedStore, directory: string): Promise<readonly string[]> {
  let store: SnapshotStore | undefined;
  const opening = await tolerate(async () => (store = await openUnmanaged(directory)));
  if (store === undefined) return [opening];
  const opened = store;
  try {
    await tolerate(() => opened.statistics());
    await tolerate(() => opened.timelines());
    await tolerate(() => opened.timeline('t').list());
    await tolerate(() => opened.timeline('t').latest());
    for (const [i, id] of closed.ids.entries()) {
      const target = newPath();
      const outcome = await tolerate(() => opened.snapshot(id).restore(target));
      if (outcome !== 'done') continue;
      expect(describeTree(target)).toEqual(describeTree(closed.dumps[i] ?? ''));
    }
    const images = makeDump(newPath(), 99);
    await tolerate(async () => {
      await expectRestores(await opened.timeline('u').capture({ images }), images);
    });
    return (await opened.verify()).problems.map(({ code }) => code);
  } finally {
    await tolerate(() => opened.close());
  }
}

const COLUMNS: Record<string, readonly string[]> = {
  store: ['store_id', 'generation', 'states_changed', 'checksum'],
  timelines: ['number', 'name', 'last_sequence', 'checksum'],
  packs: ['number', 'name', 'size_bytes', 'generation', 'checksum'],
  segments: ['number', 'identity', 'pack', 'local', 'pages', 'checksum'],
  snapshots: [
    'number',
    'id',
    'timeline',
    'sequence',
    'kind',
    'taken_at_ms',
    'digest',
    'parent_id',
    'parent_digest',
    'criu_run_id',
    'labels',
    'logical_bytes',
    'logical_pages',
    'new_pages',
    'stored_bytes',
    'pack',
    'manifest_digest',
    'revision',
    'removed',
    'pinned',
    'note',
    'checksum',
  ],
};

/** SQL that makes another value of the same type out of one of a column. */
function other(column: string): string {
  return `CASE typeof(${column})
    WHEN 'integer' THEN ${column} + 1000
    WHEN 'blob' THEN randomblob(length(${column}))
    WHEN 'null' THEN ${column === 'parent_digest' ? 'randomblob(32)' : "'x'"}
    ELSE 'x' || ${column} END`;
}

const ROWS = Object.entries(COLUMNS).flatMap(([table, columns]) =>
  columns.map((column) => [table, column] as const),
);

describe('a row of the catalog', () => {
  test.each(ROWS)(
    'of %s with another %s is found, and restores nothing wrong',
    async (...place) => {
      const [table, column] = place;
      const closed = await makeClosedStore(newPath);
      const directory = copyOf(closed);
      const first = `rowid = (SELECT min(rowid) FROM ${table})`;
      change(directory, `UPDATE ${table} SET ${column} = ${other(column)} WHERE ${first}`);
      expect(await useAll(closed, directory)).toContain('CORRUPT');
    },
  );

  test('that has changed its name with another is found', async () => {
    const closed = await original;
    for (const [table, columns] of [
      ['packs', 'name, checksum'],
      ['segments', 'identity, checksum'],
      ['snapshots', 'digest, manifest_digest, checksum'],
    ] as const) {
      const directory = copyOf(closed);
      const [key = ''] = columns.split(',');
      const of = (number: number): string => `SELECT ${columns} FROM kept WHERE number = ${number}`;
      change(
        directory,
        `CREATE TABLE kept AS SELECT * FROM ${table}`,
        // Unique columns must not be equal even for a moment.
        `UPDATE ${table} SET ${key} = ${other(key)} WHERE number = 2`,
        `UPDATE ${table} SET (${columns}) = (${of(2)}) WHERE number = 1`,
        `UPDATE ${table} SET (${columns}) = (${of(1)}) WHERE number = 2`,
      );
      expect(await useAll(closed, directory)).toContain('CORRUPT');
    }
  });

  test.each(['packs', 'segments', 'snapshots'])(
    'of %s that is damaged is no hindrance to others, and to captures',
    async (table) => {
      const closed = await makeClosedStore(newPath);
      const alone = makeImageDirectory(newPath(), {
        spaces: [{ name: 'pagemap-1', pagesId: 1, runs: [{ start: 5000, count: 9, seed: 5 }] }],
      });
      const writer = await openUnmanaged(closed.directory);
      const { id } = await writer.timeline('alone').capture({ images: alone });
      await writer.close();
      // Of the second capture: the first holds small images that all dumps share.
      change(closed.directory, `UPDATE ${table} SET checksum = randomblob(8) WHERE number = 2`);
      await using store = await openUnmanaged(closed.directory);
      await expectRestores(store.snapshot(id), alone);
      for (const timeline of ['alone', 't']) {
        const images = makeDump(newPath(), 80);
        await expectRestores(await store.timeline(timeline).capture({ images }), images);
      }
    },
  );

  test.each(['packs', 'segments'])('of %s that is gone is found', async (table) => {
    const closed = await original;
    const directory = copyOf(closed);
    change(directory, `DELETE FROM ${table} WHERE number = 1`);
    expect(await useAll(closed, directory)).toContain('CORRUPT');
  });
});

test('a pack that the catalog does not know is listed by verify, and left alone', async () => {
  const closed = await makeClosedStore(newPath);
  const stranger = join(closed.directory, 'packs', 'ab', `ab${'0'.repeat(62)}.pack`);
  mkdirSync(join(stranger, '..'), { recursive: true });
  writeFileSync(stranger, 'of a capture that was cut off');
  await using store = await openUnmanaged(closed.directory);
  await store.timeline('t').capture({ images: makeDump(newPath(), 7) });
  const report = await store.verify({ level: 'quick' });
  expect(report).toMatchObject({ unknownPacks: [stranger], problems: [] });
  expect(readFileSync(stranger, 'utf8')).toBe('of a capture that was cut off');
});

describe('the file of the catalog', () => {
  test('that was copied without its -wal is CORRUPT while packs are there', async () => {
    const writer = await openUnmanaged(newPath(), { create: true });
    await writer.timeline('t').capture({ images: makeDump(newPath(), 1) });
    const copy = newPath();
    cpSync(writer.directory, copy, { recursive: true });
    await writer.close();
    rmSync(join(copy, 'catalog.sqlite-wal'));
    rmSync(join(copy, 'catalog.sqlite-shm'), { force: true });
    for (const options of [{}, { create: true }, { readOnly: true }]) {
      await expect(openUnmanaged(copy, options)).rejects.toMatchObject({ code: 'CORRUPT' });
    }
  });

  test('with any bit flipped restores nothing wrong', async () => {
    const closed = await original;
    const bits = statSync(join(closed.directory, 'catalog.sqlite')).size * 8;
    for (let i = 0; i < 40; i++) {
      const directory = copyOf(closed);
      const file = join(directory, 'catalog.sqlite');
      const bit = Math.floor(((i * 17) % 40) * (bits / 40)) + ((i * 13) % 997);
      writeFileSync(file, flipped(readFileSync(file), Math.min(bit, bits - 1)));
      await useAll(closed, directory);
      rmSync(directory, { recursive: true });
    }
  });

  test('that is cut off, or something else, is CORRUPT', async () => {
    const closed = await original;
    for (const bytes of [5000, 100, 20]) {
      const directory = copyOf(closed);
      const file = join(directory, 'catalog.sqlite');
      writeFileSync(file, readFileSync(file).subarray(0, bytes));
      const [code] = await useAll(closed, directory);
      expect(code, `${bytes} bytes`).toBe('CORRUPT');
    }
    const directory = copyOf(closed);
    writeFileSync(join(directory, 'catalog.sqlite'), 'something else'.repeat(1000));
    const open = () => openUnmanaged(directory);
    await expectFailure(open, { code: 'CORRUPT', file: join(directory, 'catalog.sqlite') });
  });

  test.each([{}, { create: true }, { readOnly: true }])(
    'that is gone while packs are there is CORRUPT, and not made anew, with %o',
    async (options) => {
      const closed = await makeClosedStore(newPath);
      const file = join(closed.directory, 'catalog.sqlite');
      rmSync(file);
      const open = () => openUnmanaged(closed.directory, options);
      await expectFailure(open, { code: 'CORRUPT', file, message: /missing|lost/ });
      expect(() => statSync(file)).toThrow(/ENOENT/);
    },
  );

  test('that is empty while packs are there is CORRUPT, and no new one', async () => {
    const closed = await makeClosedStore(newPath);
    const file = join(closed.directory, 'catalog.sqlite');
    writeFileSync(file, '');
    await expectFailure(() => openUnmanaged(closed.directory), { code: 'CORRUPT', file });
  });

  test('of another store is CORRUPT', async () => {
    const [closed, other] = [await makeClosedStore(newPath), await makeClosedStore(newPath)];
    const file = join(closed.directory, 'catalog.sqlite');
    writeFileSync(file, readFileSync(join(other.directory, 'catalog.sqlite')));
    const open = () => openUnmanaged(closed.directory);
    await expectFailure(open, { code: 'CORRUPT', file, message: /another store/ });
  });

  test('of a newer version is refused', async () => {
    const closed = await makeClosedStore(newPath);
    const file = join(closed.directory, 'catalog.sqlite');
    const catalog = new Database(file);
    catalog.pragma('user_version = 99');
    catalog.close();
    const open = () => openUnmanaged(closed.directory);
    await expectFailure(open, { code: 'UNSUPPORTED_VERSION', file });
  });
});
