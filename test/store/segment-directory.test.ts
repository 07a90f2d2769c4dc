/** Rows of segments that are read unchecked: each is checked before anything is done with it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { rowChecksum } from '../../src/catalog/rows.ts';
import { SegmentTable } from '../../src/pack/segment-table.ts';
import { Pacer } from '../../src/store/clock.ts';
import { SegmentDirectory } from '../../src/store/segment-directory.ts';
import { expectFailure } from '../support/failures.ts';
import { captureOf, newCatalog, openCatalog, openRaw } from '../support/made-catalogs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const identity = (n: number): Uint8Array => new Uint8Array(16).fill(n);
const packName = (n: number): string => n.toString(16).padStart(64, '0');

/** A catalog of three segments, changed by SQL behind its back. */
async function made(...changes: readonly string[]): Promise<Catalog> {
  const file = nextPath();
  const catalog = await newCatalog(file);
  for (const n of [1, 2, 3]) await catalog.commitCapture(captureOf(n));
  for (const sql of changes) openRaw(file).exec(`PRAGMA foreign_keys = OFF; ${sql}`);
  return catalog;
}

/** A catalog of three segments, of which bytes of the second one's row are others. */
async function damaged(change: (row: Buffer, leaf: Buffer) => void): Promise<Catalog> {
  const file = nextPath();
  const catalog = await newCatalog(file);
  for (const n of [1, 2, 3]) await catalog.commitCapture(captureOf(n));
  catalog.close();
  const raw = openRaw(file);
  raw.pragma('wal_checkpoint(TRUNCATE)');
  const rootOf = "SELECT rootpage FROM sqlite_schema WHERE name = 'segments'";
  const page = raw.prepare(rootOf).pluck().get() as number;
  const pageBytes = raw.pragma('page_size', { simple: true }) as number;
  raw.close();
  const bytes = readFileSync(file);
  const leaf = bytes.subarray((page - 1) * pageBytes, page * pageBytes);
  // A leaf of a table (13) has pointers to its cells from byte 8 on, in the order of rows.
  expect([leaf[0], leaf.readUInt16BE(3)]).toEqual([13, 3]);
  change(leaf.subarray(leaf.readUInt16BE(8 + 2)), leaf);
  writeFileSync(file, bytes);
  return await openCatalog(file);
}

/** Puts the second segment in another pack, as collections do. */
async function moveSecond(catalog: Catalog): Promise<void> {
  const { pages, frameBytes } = captureOf(2).segment;
  await catalog.collections.replace({
    packs: [packName(2)],
    pack: { name: packName(9), sizeBytes: 9 },
    segments: [{ number: 2, identity: identity(2), local: 0, pages, frameBytes }],
    goneSegments: [],
    manifests: [captureOf(2).snapshot.id],
  });
}

function directoryOf(catalog: Catalog): SegmentDirectory {
  const directory = new SegmentDirectory(catalog);
  directory.refresh();
  return directory;
}

/** What a directory says of the three segments, twice. */
function described(directory: SegmentDirectory): unknown {
  const once = [1, 2, 3].map((n) => {
    const number = directory.find(identity(n));
    return number === 0 ? 'unknown' : [number, directory.at(number)?.packName];
  });
  const again = [1, 2, 3].map((n) => directory.find(identity(n)) !== 0);
  expect(again).toEqual(once.map((found) => found !== 'unknown'));
  return once;
}

const ALL = [1, 2, 3].map((n) => [n, packName(n)]);
const [FIRST, , THIRD] = ALL;

describe('a directory of segments', () => {
  it('knows those that the catalog has, and those that come', async () => {
    const catalog = await made();
    const directory = directoryOf(catalog);
    expect(described(directory)).toEqual(ALL);
    await catalog.commitCapture(captureOf(4));
    expect(directory.find(identity(4))).toBe(0);
    directory.refresh();
    expect(directory.at(directory.find(identity(4)))).toEqual({
      identity: identity(4),
      packName: packName(4),
      local: 0,
    });
    expect([...directory.numbers()]).toEqual([1, 2, 3, 4]);
  });

  it('knows tens of thousands, and leaves out none behind a pack without a name', async () => {
    const count = 40_000;
    const catalog = await made(`WITH RECURSIVE
      n (n) AS (SELECT 4 UNION SELECT n + 1 FROM n WHERE n < ${count})
      INSERT INTO segments SELECT n, randomblob(16), 1, n, 0, 0, x'00' FROM n WHERE n <> 77;
      UPDATE packs SET name = substr(name, 1, 63) || 'x' WHERE number = 2`);
    const directory = directoryOf(catalog);
    const numbers = Array.from({ length: count }, (_, i) => i + 1).filter((n) => n !== 77);
    expect(directory.filter((number) => number !== 88)).toEqual(numbers.filter((n) => n !== 88));
    expect(directory.table.local(count)).toBe(count);
    expect(directory.table.packName(count)).toBe(packName(1));
    expect(described(directory)).toEqual([FIRST, 'unknown', THIRD]);
  });

  it.each([
    [0xa0, 4],
    [0x80, 7],
  ])(
    'finds those behind a row over whose number are bytes of %d, %d times',
    async (byte, count) => {
      const catalog = await damaged((row) => {
        row.fill(byte, 1, 1 + count);
      });
      expect(described(directoryOf(catalog))).toEqual([FIRST, 'unknown', THIRD]);
    },
  );

  it('gets none behind a number that only damage can have made', async () => {
    const catalog = await made('UPDATE segments SET number = 1 << 33 WHERE number = 2');
    const error = { code: 'CORRUPT', message: /a segment has the number 8589934592/ } as const;
    await expectFailure(() => catalog.commitCapture(captureOf(4)), error);
    expect(described(directoryOf(catalog))).toEqual([FIRST, 'unknown', THIRD]);
  });

  it('says so where the place of a row has become another', async () => {
    const catalog = await damaged((_, leaf) => {
      leaf.writeUInt8(0x39, 9);
    });
    const directory = new SegmentDirectory(catalog);
    try {
      directory.refresh();
    } catch (error) {
      expect(error).toMatchObject({ code: 'CORRUPT' });
      return;
    }
    expect(directory.filter(() => true).length).toBeGreaterThanOrEqual(2);
  });

  it.each([
    ['identity', "identity = x'99999999999999999999999999999999'"],
    ['identity, a shorter one', "identity = x'02'"],
    ['pack', 'pack = 3'],
    ['local number', 'local = 1'],
    ['pages', 'pages = 7'],
    ['checksum', "checksum = x'0011223344556677'"],
  ])('does not know one whose row has another %s', async (_, change) => {
    const catalog = await made(`UPDATE segments SET ${change} WHERE number = 2`);
    const directory = directoryOf(catalog);
    expect(directory.at(2)).toBeUndefined();
    expect(described(directory)).toEqual([FIRST, 'unknown', THIRD]);
    expect(directory.table.find(identity(2))).toBe(0);
    expect([...directory.numbers()]).toEqual([1, 3]);
    const all = [9, 3, 2, 1, 3].map(identity);
    expect(directoryOf(catalog).findAll(all)).toEqual([0, 3, 0, 1, 3]);
  });

  it.each([
    ['name', `name = '${packName(9)}'`],
    ['name that is none', "name = '../../etc'"],
    ['size', 'size_bytes = 1'],
    ['checksum', "checksum = x'00'"],
  ])('does not know one in a pack whose row has another %s', async (_, change) => {
    const directory = directoryOf(await made(`UPDATE packs SET ${change} WHERE number = 2`));
    expect(described(directory)).toEqual([FIRST, 'unknown', THIRD]);
  });

  it.each([1, 3, 6, 64])(
    'is not misled by a row that damage has given the number %d',
    async (n) => {
      const catalog = await damaged((row) => {
        // After the length of the row.
        expect(row[1]).toBe(2);
        row.writeUInt8(n, 1);
      });
      const directory = directoryOf(catalog);
      const base = new SegmentTable(directory.table.buffer);
      expect([1, 3].map((other) => base.find(identity(other)))).toEqual([1, 3]);
      expect(described(directory)).toEqual([FIRST, 'unknown', THIRD]);
      await catalog.commitCapture(captureOf(4));
      directory.refresh();
      expect(directory.at(directory.find(identity(4)))?.packName).toBe(packName(4));
      expect(described(directory)).toEqual([FIRST, 'unknown', THIRD]);
    },
  );

  it('does not know one whose local number damage has made bytes', async () => {
    const catalog = await damaged((row) => {
      // The types of number, identity, pack, local: an 8 is the number 0, a 12 are no bytes.
      expect([...row.subarray(3, 7)]).toEqual([0, 44, 1, 8]);
      row.writeUInt8(12, 6);
    });
    expect(described(directoryOf(catalog))).toEqual([FIRST, 'unknown', THIRD]);
  });

  it.each([5, 2 ** 33, Number.MAX_SAFE_INTEGER])(
    'makes no room for a number that damage has made %d',
    async (number) => {
      const catalog = await made(`UPDATE segments SET number = ${number} WHERE number = 2`);
      const directory = directoryOf(catalog);
      expect(directory.table.buffer.byteLength).toBeLessThan(10_000);
      expect(described(directory)).toEqual([FIRST, 'unknown', THIRD]);
    },
  );

  it('finds one whose number is far above the others', async () => {
    const number = 2 ** 21;
    const sum = Buffer.from(rowChecksum('segments', [number, identity(3), 3, 0, 13, 503]));
    const change = `number = ${number}, checksum = x'${sum.toString('hex')}'`;
    const directory = directoryOf(await made(`UPDATE segments SET ${change} WHERE number = 3`));
    expect(directory.at(number)?.packName).toBe(packName(3));
  });

  it('goes on with where a segment was, once it has moved in another generation', async () => {
    const catalog = await made();
    const directory = directoryOf(catalog);
    await moveSecond(catalog);
    expect(described(directory)).toEqual(ALL);
    directory.reload(catalog.generation);
    expect(described(directory)).toEqual([FIRST, [2, packName(9)], THIRD]);
  });

  it('that was read in pieces is checked while it is read', async () => {
    const catalog = await made();
    const directory = new SegmentDirectory(catalog);
    const install = await directory.readInPieces(new Pacer(undefined));
    install?.(catalog.generation);
    expect(described(directory)).toEqual(ALL);
    const damaged = new SegmentDirectory(await made('UPDATE segments SET local = 1'));
    expect(await damaged.readInPieces(new Pacer(undefined))).toBeUndefined();
  });
});
