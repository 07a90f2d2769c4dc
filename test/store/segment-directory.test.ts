/** Rows of segments that are read unchecked: each is checked before anything is done with it. */
import { describe, expect, it } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { rowChecksum } from '../../src/catalog/rows.ts';
import { Pacer } from '../../src/store/clock.ts';
import { SegmentDirectory } from '../../src/store/segment-directory.ts';
import { captureOf, newCatalog, openRaw } from '../support/made-catalogs.ts';
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
