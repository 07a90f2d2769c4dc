/** Checksummed rows: whatever column of whatever table is changed, the next read says which row. */
import { describe, expect, it } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { checkRow, rowChecksum } from '../../src/catalog/rows.ts';
import {
  captureOf,
  newCatalog,
  openCatalog,
  openRaw,
  snapshotId,
} from '../support/made-catalogs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

/** How each authoritative table is read, and the key that an error must name. */
const TABLES: Record<string, { key: string; read: (catalog: Catalog) => unknown }> = {
  store: { key: '1', read: (catalog) => catalog.generation },
  timelines: { key: '1', read: (catalog) => catalog.timelineNames() },
  packs: { key: '2', read: (catalog) => throwDamage(catalog, 'packs') },
  segments: { key: '2', read: (catalog) => throwDamage(catalog, 'segments') },
  snapshots: { key: snapshotId(2), read: (catalog) => throwDamage(catalog, 'snapshots') },
};

/** Lists leave damaged rows out; the check names them. */
function throwDamage(catalog: Catalog, table: string): void {
  const damage = catalog.check().find(({ message }) => message.includes(`of table ${table}`));
  if (damage !== undefined) throw damage;
}

const columns = Object.keys(TABLES).flatMap((table) => {
  const names: Record<string, string[]> = {
    store: ['store_id', 'generation', 'states_changed', 'checksum'],
    timelines: ['number', 'name', 'last_sequence', 'checksum'],
    packs: ['number', 'name', 'size_bytes', 'generation', 'checksum'],
    segments: ['number', 'identity', 'pack', 'local', 'pages', 'frame_bytes', 'checksum'],
    snapshots: [
      'number id timeline sequence kind taken_at_ms digest parent_id parent_digest criu_run_id',
      'labels logical_bytes logical_pages new_pages stored_bytes pack manifest_digest revision',
      'base_id removed pinned note checksum',
    ].flatMap((line) => line.split(' ')),
  };
  return (names[table] ?? []).map((column): [string, string] => [table, column]);
});

async function made(): Promise<{ file: string; catalog: Catalog }> {
  const file = nextPath();
  const catalog = await newCatalog(file);
  await catalog.commitCapture(captureOf(1));
  await catalog.commitCapture(captureOf(2));
  await catalog.commitCapture(captureOf(3, { timelineName: 'other', sequence: 1 }));
  return { file, catalog };
}

describe('a row', () => {
  it('is tested in every column that its table has', async () => {
    const { file } = await made();
    const raw = openRaw(file);
    for (const table of Object.keys(TABLES)) {
      const all = raw.pragma(`table_info(${table})`) as { name: string }[];
      const tested = columns.filter(([name]) => name === table).map(([, column]) => column);
      const names = all.map(({ name }) => name).filter((name) => `${table}.${name}` !== 'store.id');
      expect([table, tested]).toEqual([table, names]);
    }
  });

  it.each(columns)('of %s with another %s is CORRUPT at the next read', async (table, column) => {
    const { file, catalog } = await made();
    const { key, read } = TABLES[table]!;
    read(catalog);
    const raw = openRaw(file);
    raw.pragma('foreign_keys = OFF');
    const row = { store: 'id = 1', timelines: 'number = 1' }[table] ?? 'number = 2';
    const old = raw.prepare(`SELECT ${column} FROM ${table} WHERE ${row}`).pluck().get();
    const value = changed(old, column);
    raw.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${row}`).run(value);
    // Such a change takes the key along.
    const named = column === 'number' || column === 'id' ? String(value) : key;
    const shown = table === 'snapshots' && column === 'number' ? key : named;
    const expected = expect.objectContaining({
      code: 'CORRUPT',
      file,
      message: expect.stringContaining(`damaged row ${shown} of table ${table}`),
    });
    expect(() => read(catalog)).toThrow(expected);
    const opening = openCatalog(file);
    if (table === 'store') await expect(opening).rejects.toThrow(expected);
    else await opening;
  });

  it.each([
    ['packs', 'name', (catalog: Catalog) => catalog.snapshots.byIdPrefix(snapshotId(1), 1)],
    ['packs', 'name', (catalog: Catalog) => catalog.snapshots.bySequence('web', 1)],
    ['timelines', 'name', (catalog: Catalog) => catalog.snapshots.ofTimeline('x')],
    ['timelines', 'name', (catalog: Catalog) => catalog.snapshots.byIdPrefix(snapshotId(1), 1)],
  ])('of %s with another %s is CORRUPT where others refer to it', async (table, column, read) => {
    const { file, catalog } = await made();
    openRaw(file).prepare(`UPDATE ${table} SET ${column} = 'x' WHERE number = 1`).run();
    expect(() => read(catalog)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  });

  it('of packs is no hindrance to a list, which does not tell of them', async () => {
    const { file, catalog } = await made();
    openRaw(file).prepare("UPDATE packs SET name = 'x' WHERE number = 1").run();
    expect(catalog.snapshots.ofTimeline('web').map(({ id }) => id)).toContain(snapshotId(1));
    expect(() => catalog.snapshots.get(snapshotId(1))).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    );
  });

  it.each([
    '"quoted" \\ and / and \n\r\t\b\f',
    String.fromCharCode(...Array.from({ length: 31 }, (_, i) => i + 1), 0x7f, 0x80, 0xad),
    '\u2028\u2029\ufeff\u{1f600}\u{10ffff}',
    ',"x0011223344556677"]',
  ])('is read with the text that it was written with: %j', async (note) => {
    const { catalog } = await made();
    await catalog.setStates([{ id: snapshotId(2), note }]);
    const rows = catalog.snapshots.ofTimeline('web');
    expect(rows.map((row) => row.note)).toEqual(['', note]);
    expect(catalog.check()).toEqual([]);
  });

  it('that is damaged is not marked as removed, which would make it right again', async () => {
    const { file, catalog } = await made();
    openRaw(file).prepare('UPDATE snapshots SET pack = 1 WHERE number = 2').run();
    const error = expect.objectContaining({ code: 'CORRUPT', file });
    await expect(catalog.setStates([{ id: snapshotId(2), removed: true }])).rejects.toThrow(error);
    expect(catalog.check()).toContainEqual(error);
  });
});

/** Another value of the same type; 3 of everything is not there yet or may be there twice. */
function changed(value: unknown, column: string): unknown {
  if (value instanceof Uint8Array) return value.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
  if (typeof value === 'string') return `${value}0`;
  if (column === 'timeline' || column === 'pack') return value === 1 ? 2 : 1;
  return (value as number) + 70;
}

describe('rowChecksum', () => {
  it('tells types, borders and order of columns apart, and tables', () => {
    const rows = [
      ['a', 'b'],
      ['b', 'a'],
      ['ab', ''],
      ['', 'ab'],
      ['a', 'b', null],
      ['a', null, 'b'],
      [1, 23],
      [12, 3],
      ['1', 23],
      [new TextEncoder().encode('a'), 'b'],
      [],
    ];
    const sums = rows.map((row) => Buffer.from(rowChecksum('t', row)).toString('hex'));
    const other = Buffer.from(rowChecksum('u', rows[0]!)).toString('hex');
    expect(new Set([...sums, other]).size).toBe(rows.length + 1);
    expect(sums[0]).toHaveLength(16);
  });

  it('is what checkRow compares', () => {
    const columns = ['a', 1, null];
    checkRow('file', 'table', 5, columns, rowChecksum('table', columns));
    // What a damaged page of SQLite may give.
    const none = null as unknown as Uint8Array;
    const wrong = [rowChecksum('other', columns), new Uint8Array(8), new Uint8Array(0), none];
    for (const sum of wrong) {
      expect(() => checkRow('file', 'table', 5, columns, sum)).toThrow(
        /damaged row 5 of table tab/,
      );
    }
  });
});
