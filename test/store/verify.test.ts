/**
 * Verification: with budgets that get round the whole store, and exact about what is lost; what
 * was put back is believed again.
 */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { sha256 } from '#digest';
import { toHex } from '../../src/bytes/hex.ts';
import { loadZstd } from '../../src/bytes/zstd.ts';
import { type ColumnValue, rowChecksum } from '../../src/catalog/rows.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import type { SnapshotStore } from '../../src/index.ts';
import { DescriptorPool } from '../../src/files/descriptor-pool.ts';
import { openPack } from '../../src/pack/pack-set.ts';
import type { PackReader } from '../../src/pack/reader.ts';
import { damageBlock, makeClosedStore } from '../support/damaged-store.ts';
import { makeDump } from '../support/made-dumps.ts';
import { readCatalog, storeState } from '../support/store-state.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

async function readPack(file: string): Promise<PackReader> {
  return openPack(nodeFiles, new DescriptorPool(nodeFiles, 1), await loadZstd(), file);
}

/** Damages the first frame of a pack; returns the digests of its pages. */
async function damageFirstFrame(file: string): Promise<Set<string>> {
  const pack = await readPack(file);
  const [table] = pack.frameTables(0);
  if (table === undefined) throw new Error('a pack without frames');
  const digests = pack.frameDigests(table, 0);
  const { offset, blockBytes } = table.entryAt(0);
  damageBlock(file, offset, blockBytes);
  const count = digests.length / 32;
  return new Set(
    Array.from({ length: count }, (_, i) => toHex(digests.slice(i * 32, i * 32 + 32))),
  );
}

async function damageManifest(file: string): Promise<void> {
  const pack = await readPack(file);
  const place = pack.footer.entries.find(({ type }) => type === 'manifest');
  damageBlock(file, place?.offset ?? 0, place?.blockBytes ?? 0);
}

/** The places of the pages of a file that have one of these digests. */
function pagesWith(file: string, digests: ReadonlySet<string>): number[] {
  const bytes = readFileSync(file);
  const places: number[] = [];
  for (let at = 0; at < bytes.length; at += 4096) {
    if (digests.has(toHex(sha256(bytes.subarray(at, at + 4096))))) places.push(at);
  }
  return places;
}

function lostFramesOf(directory: string): unknown[] {
  return readCatalog(directory, (catalog) => catalog.prepare('SELECT * FROM lost_frames').all());
}

function verifiedPacks(directory: string): string[] {
  return readCatalog(directory, (catalog) =>
    catalog.prepare('SELECT pack FROM verified ORDER BY pack').pluck().all(),
  ) as string[];
}

describe('a budget', () => {
  test('of few bytes gets round the whole store, the longest unread pack first', async () => {
    const closed = await makeClosedStore(newPath);
    const store = await openStore(closed.directory);
    const total = store.statistics();
    for (let run = 1; run <= 3; run++) {
      const report = await store.verify({ level: 'packs', maxBytes: 1 });
      expect(report).toMatchObject({ packs: 1, leftOut: { packs: 2 }, problems: [] });
      expect(report.leftOut.packBytes).toBeLessThan(total.storedBytes);
      expect(report.oldestVerifiedAt === undefined).toBe(run < 3);
      expect(verifiedPacks(closed.directory)).toHaveLength(run);
    }
    const before = verifiedPacks(closed.directory);
    const images = makeDump(newPath(), 9);
    await store.timeline('t').capture({ images });
    // The new one was never read, so it is next.
    await store.verify({ level: 'packs', maxBytes: 1 });
    expect(verifiedPacks(closed.directory)).toHaveLength(before.length + 1);
    const whole = await store.verify();
    expect(whole).toMatchObject({ packs: 4, snapshots: 4 });
    expect(whole.leftOut).toEqual({ packs: 0, packBytes: 0, snapshots: 0 });
    expect(Date.now() - (whole.oldestVerifiedAt?.getTime() ?? 0)).toBeLessThan(60_000);
  });

  test('that packs have used up leaves snapshots out, which come first the next time', async () => {
    const closed = await makeClosedStore(newPath);
    const store = await openStore(closed.directory);
    const { storedBytes } = store.statistics();
    const none = await store.verify({ maxBytes: storedBytes });
    expect(none).toMatchObject({ packs: 3, snapshots: 0, leftOut: { snapshots: 3 } });
    const one = await store.verify({ maxBytes: 1 });
    expect(one).toMatchObject({ packs: 0, snapshots: 1, leftOut: { packs: 3, snapshots: 2 } });
    await store.verify({ maxBytes: 1 });
    await store.verify({ maxBytes: 1 });
    const pack = await store.verify({ maxBytes: 1 });
    expect(pack).toMatchObject({ packs: 1, snapshots: 0, leftOut: { packs: 2, snapshots: 3 } });
  });

  test('gets round all snapshots, too, in as many runs as it takes', async () => {
    const closed = await makeClosedStore(newPath);
    const store = await openStore(closed.directory);
    const { packs, snapshots } = store.statistics();
    let checked = 0;
    for (let run = 0; run < 4 * (packs + snapshots); run++) {
      checked += (await store.verify({ maxBytes: 1 })).snapshots;
    }
    expect(checked).toBeGreaterThanOrEqual(snapshots);
  });

  test('does not leave a pack out for years because a clock was ahead once', async () => {
    const closed = await makeClosedStore(newPath);
    await (async () => {
      await using store = await openUnmanaged(closed.directory);
      await store.verify({ level: 'packs' });
    })();
    const catalog = new Database(join(closed.directory, 'catalog.sqlite'));
    const [ahead] = verifiedPacks(closed.directory);
    const inTenYears = Date.now() + 10 * 366 * 24 * 3600 * 1000;
    catalog.prepare('UPDATE verified SET at_ms = ? WHERE pack = ?').run(inTenYears, ahead);
    catalog.close();
    const store = await openStore(closed.directory);
    for (let run = 0; run < 9; run++) await store.verify({ level: 'packs', maxBytes: 1 });
    const times = readCatalog(closed.directory, (rows) =>
      rows.prepare('SELECT at_ms FROM verified').pluck().all(),
    ) as number[];
    expect(Math.max(...times)).toBeLessThan(inTenYears);
  });

  test('of hardly any time begins nothing, and says so', async () => {
    const closed = await makeClosedStore(newPath);
    const store = await openStore(closed.directory);
    const report = await store.verify({ maxMilliseconds: 1e-9 });
    expect(report).toMatchObject({ packs: 0, snapshots: 0, problems: [] });
    expect(report.leftOut).toMatchObject({ packs: 3, snapshots: 3 });
    expect(report.oldestVerifiedAt).toBeUndefined();
  });

  test.each([
    [{ maxBytes: 0 }, RangeError],
    [{ maxBytes: -1 }, RangeError],
    [{ maxMilliseconds: Number.NaN }, RangeError],
    [{ maxMilliseconds: '5' as unknown as number }, TypeError],
    [{ level: 'all' as 'quick' }, RangeError],
  ])('that is none (%o) is refused', async (options, type) => {
    const store = await openStore(newPath());
    await expect(store.verify(options)).rejects.toThrow(type);
  });

  test('is not spent on what is known to be damaged, which is named all the same', async () => {
    const closed = await makeClosedStore(newPath);
    const [file = ''] = closed.packs;
    await damageFirstFrame(file);
    const store = await openStore(closed.directory);
    const first = await store.verify({ level: 'packs', maxBytes: 1 });
    expect(first.damagedPacks).toMatchObject([{ file, name: basename(file, '.pack') }]);
    const second = await store.verify({ level: 'packs', maxBytes: 1 });
    expect(second.problems).toEqual([]);
    expect(second.damagedPacks).toMatchObject([
      { file, problems: ['on record as damaged, and not read this time'] },
    ]);
    expect(verifiedPacks(closed.directory)).toHaveLength(1);
  });

  test('gets round all others where the manifest of a pack is all that is damaged', async () => {
    const closed = await makeClosedStore(newPath);
    const [file = ''] = closed.packs;
    await damageManifest(file);
    const store = await openStore(closed.directory);
    const { packs, snapshots } = store.statistics();
    const read = { packs: 0, snapshots: 0 };
    for (let run = 0; run < packs + snapshots; run++) {
      const report = await store.verify({ maxBytes: 1 });
      expect(report.damagedPacks).toMatchObject([{ file }]);
      expect(report.oldestVerifiedAt).toBeUndefined();
      read.packs += report.packs;
      read.snapshots += report.snapshots;
    }
    expect(read).toEqual({ packs, snapshots });
    expect(verifiedPacks(closed.directory)).toHaveLength(packs - 1);
  });

  test('of a store that is only read is not written down', async () => {
    const closed = await makeClosedStore(newPath);
    const store = await openStore(closed.directory, { readOnly: true });
    const before = storeState(closed.directory);
    expect((await store.verify({ level: 'packs' })).packs).toBe(3);
    expect(verifiedPacks(closed.directory)).toEqual([]);
    expect(storeState(closed.directory)).toEqual(before);
  });

  test('level quick neither believes nor writes down anything about pages', async () => {
    const closed = await makeClosedStore(newPath);
    const store = await openStore(closed.directory);
    await store.verify({ level: 'quick', maxBytes: 1 });
    expect(verifiedPacks(closed.directory)).toEqual([]);
  });
});

describe('what is lost', () => {
  test.each([0, 2])('is told by image, space and bytes, with %i workers', async (workers) => {
    const closed = await makeClosedStore(newPath, { workers });
    const [file = ''] = closed.packs;
    const digests = await damageFirstFrame(file);
    const store = await openStore(closed.directory, { workers });
    const { lostSnapshots, damagedPacks } = await store.verify();
    expect(damagedPacks.map((pack) => pack.file)).toEqual([file]);
    // All of them have pages of the first pack. The newest is the first to be read.
    expect(lostSnapshots.map(({ id }) => id)).toEqual(closed.ids.toReversed());
    let exact = 0;
    for (const { id, lost, timeline, sequence, spaces } of lostSnapshots) {
      expect({ lost, timeline }).toEqual({ lost: 'partly', timeline: 't' });
      const dump = closed.dumps[sequence - 1] ?? '';
      expect(id).toBe(closed.ids[sequence - 1]);
      // Of the second snapshot, there may be deltas of lost pages besides.
      if (sequence === 2) continue;
      const expected = readdirSync(dump).flatMap((image) => {
        const places = pagesWith(join(dump, image), digests);
        return places.length === 0 ? [] : [{ image, places }];
      });
      expect(spaces.map(({ image }) => image).sort()).toEqual(expected.map(({ image }) => image));
      for (const { image, places } of expected) {
        const space = spaces.find((other) => other.image === image);
        const bytes = readFileSync(join(dump, image)).length;
        const lostPlaces = (space?.ranges ?? []).flatMap((range) =>
          Array.from({ length: Math.ceil(range.bytes / 4096) }, (_, i) => range.offset + i * 4096),
        );
        expect(lostPlaces).toEqual(places);
        const lostBytes = places.reduce((sum, at) => sum + Math.min(4096, bytes - at), 0);
        expect(space?.lostBytes).toBe(lostBytes);
        exact += 1;
      }
    }
    expect(exact).toBeGreaterThan(4);
    const memory = lostSnapshots[0]?.spaces.find(({ space }) => space === 'pagemap-7');
    // The dump's first run begins at page 16.
    expect(memory).toMatchObject({ image: 'pages-1.img', ranges: [{ address: '0x10000' }] });
  });

  test('is a whole snapshot when its manifest is, and each that differs from it', async () => {
    const closed = await makeClosedStore(newPath);
    const file = closed.packs[1] ?? '';
    await damageManifest(file);
    const store = await openStore(closed.directory);
    const report = await store.verify();
    const lost = report.lostSnapshots.map(({ id, lost: how, spaces }) => ({ id, how, spaces }));
    expect(lost).toEqual(
      closed.ids
        .slice(1)
        .toReversed()
        .map((id) => ({ id, how: 'whole', spaces: [] })),
    );
    expect((await store.verify({ level: 'quick' })).lostSnapshots).toMatchObject([
      { id: closed.ids[1], lost: 'whole' },
    ]);
  });
});

describe('a pack that was put back', () => {
  test.each(['packs', 'snapshots'] as const)('is believed again at level %s', async (level) => {
    const closed = await makeClosedStore(newPath);
    const [file = ''] = closed.packs;
    const copy = newPath();
    copyFileSync(file, copy);
    await damageFirstFrame(file);
    const other = await openStore(closed.directory);
    const store = await openStore(closed.directory);
    expect((await store.verify({ level })).problems).not.toEqual([]);
    expect(lostFramesOf(closed.directory)).toHaveLength(1);
    const newPages = async (from: SnapshotStore, timeline: string): Promise<number> => {
      const images = closed.dumps[0] ?? '';
      return (await from.timeline(timeline).capture({ images })).sizes.new.pages;
    };
    // What is lost equals nothing, in any process.
    expect(await newPages(other, 'while-damaged')).toBeGreaterThan(10);
    putBack(copy, file);
    expect((await store.verify({ level: 'quick' })).problems).toEqual([]);
    expect(lostFramesOf(closed.directory)).toHaveLength(1);
    const { problems, damagedPacks } = await store.verify({ level });
    expect({ problems, damagedPacks }).toEqual({ problems: [], damagedPacks: [] });
    expect(lostFramesOf(closed.directory)).toEqual([]);
    expect(verifiedPacks(closed.directory)).toContain(basename(file, '.pack'));
    for (const from of [store, other]) {
      await from.snapshot(closed.ids[0] ?? '').restore(newPath());
      expect(await newPages(from, 'mended')).toBe(0);
    }
  });

  test('with less than all of its frames mended keeps the others on record', async () => {
    const directory = newPath();
    const store = await openStore(directory);
    await store.timeline('t').capture({ images: makeDump(newPath(), 1, 400) });
    const packs = join(directory, 'packs');
    const [prefix = ''] = readdirSync(packs);
    const [name = ''] = readdirSync(join(packs, prefix));
    const file = join(packs, prefix, name);
    const [table] = (await readPack(file)).frameTables(0);
    const whole = readFileSync(file);
    for (const index of [0, 1]) {
      const entry = table?.entryAt(index);
      damageBlock(file, entry?.offset ?? 0, entry?.blockBytes ?? 0);
    }
    await store.verify({ level: 'packs' });
    expect(lostFramesOf(directory)).toHaveLength(2);
    writeFileSync(file, whole);
    const last = table?.entryAt(1);
    damageBlock(file, last?.offset ?? 0, last?.blockBytes ?? 0);
    await store.verify({ level: 'packs' });
    // Its name does not match: who knows what else is wrong with it.
    expect(lostFramesOf(directory)).toHaveLength(2);
    writeFileSync(file, whole);
    await store.verify({ level: 'packs' });
    expect(lostFramesOf(directory)).toEqual([]);
  });
});

function putBack(copy: string, file: string): void {
  // As another file under the same name: what is open is still the damaged one.
  copyFileSync(copy, `${file}.new`);
  chmodSync(`${file}.new`, 0o400);
  nodeFiles.rename(`${file}.new`, file);
}

describe('what a collection is about to let go of', () => {
  test('is neither unknown nor looked at', async () => {
    const closed = await makeClosedStore(newPath);
    const name = `ab${'0'.repeat(62)}`;
    const parent = join(closed.directory, 'packs', 'ab');
    mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `${name}.pack`), 'x');
    const catalog = new Database(join(closed.directory, 'catalog.sqlite'));
    catalog.prepare('INSERT INTO retired VALUES (?, 1, 1)').run(name);
    catalog.close();
    const store = await openStore(closed.directory);
    expect(await store.verify()).toMatchObject({ packs: 3, unknownPacks: [], problems: [] });
  });

  test('a condemned snapshot has no pages that could be lost, only its manifest', async () => {
    const closed = await makeClosedStore(newPath);
    const catalog = new Database(join(closed.directory, 'catalog.sqlite'));
    const row = catalog.prepare('SELECT * FROM snapshots WHERE sequence = 1').get() as Record<
      string,
      ColumnValue
    >;
    const columns = Object.entries({ ...row, removed: 2 }).filter(([name]) => name !== 'checksum');
    const checksum = rowChecksum(
      'snapshots',
      columns.map(([, value]) => value),
    );
    const update = 'UPDATE snapshots SET removed = 2, checksum = ? WHERE sequence = 1';
    catalog.prepare(update).run(checksum);
    catalog.close();
    await damageFirstFrame(closed.packs[0] ?? '');
    await using store = await openUnmanaged(closed.directory, { readOnly: true });
    const report = await store.verify();
    expect(report.lostSnapshots.map(({ id }) => id)).toEqual(closed.ids.slice(1).toReversed());
    expect(report.problems.map(({ snapshot }) => snapshot)).not.toContain(closed.ids[0]);
    expect(report.snapshots).toBe(3);
  });
});
