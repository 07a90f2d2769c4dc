/** The catalog: what a commit makes, all or nothing, durable, beside other processes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
import { MIGRATIONS } from '../../src/catalog/schema.ts';
import {
  captureOf,
  newCatalog,
  openCatalog,
  openRaw,
  snapshotId,
  STORE_ID,
} from '../support/made-catalogs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

/** A closed catalog with two captures. */
async function madeFile(): Promise<string> {
  const file = nextPath();
  writeFileSync(file, '');
  const catalog = await Catalog.open(file, STORE_ID);
  await catalog.commitCapture(captureOf(1));
  await catalog.commitCapture(captureOf(2, { timelineName: 'db', sequence: 1 }));
  catalog.close();
  return file;
}

describe('opening', () => {
  it('makes the schema in an empty file, and finds it again', async () => {
    const file = nextPath();
    const first = await newCatalog(file);
    expect(first.generation).toBe(0);
    await first.commitCapture(captureOf(1));
    const second = await openCatalog(file);
    expect(second.snapshots.all()).toEqual(first.snapshots.all());
    expect(second.snapshots.all()).toHaveLength(1);
    const raw = openRaw(file);
    expect(raw.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length);
    first.check();
  });

  it('by several at once makes one schema', async () => {
    const file = nextPath();
    writeFileSync(file, '');
    const all = await Promise.all(Array.from({ length: 4 }, () => openCatalog(file)));
    await Promise.all(all.map((catalog, i) => catalog.commitCapture(captureOf(i + 1))));
    for (const catalog of all) expect(catalog.snapshots.all()).toHaveLength(4);
  });

  it('writes ahead', async () => {
    const file = nextPath();
    const catalog = await newCatalog(file);
    const raw = openRaw(file);
    expect(raw.pragma('journal_mode', { simple: true })).toBe('wal');
    await catalog.commitCapture(captureOf(1));
    expect(readFileSync(`${file}-wal`).length).toBeGreaterThan(4096);
  });

  it('refuses a catalog of a newer version, and leaves it alone', async () => {
    const file = await madeFile();
    openRaw(file).pragma(`user_version = ${MIGRATIONS.length + 1}`);
    const error = expect.objectContaining({ code: 'UNSUPPORTED_VERSION', file });
    await expect(Catalog.open(file, STORE_ID)).rejects.toThrow(error);
    expect(openRaw(file).pragma('user_version', { simple: true })).toBe(MIGRATIONS.length + 1);
  });

  it('refuses the catalog of another store', async () => {
    const file = await madeFile();
    const opening = Catalog.open(file, new Uint8Array(16));
    await expect(opening).rejects.toThrow(expect.objectContaining({ code: 'CORRUPT', file }));
    await expect(opening).rejects.toThrow(/another store/);
  });

  it('refuses garbage, and a file that is cut', async () => {
    const file = await madeFile();
    const content = readFileSync(file);
    const damaged = [
      Buffer.alloc(5000, 'garbage'),
      Buffer.from('SQLite format 3\0 and no more'),
      content.subarray(0, 1000),
      content.subarray(0, 4096),
      Buffer.concat([Buffer.alloc(100), content.subarray(100)]),
    ];
    for (const bytes of damaged) {
      const path = nextPath();
      writeFileSync(path, bytes);
      const error = expect.objectContaining({ code: 'CORRUPT', file: path });
      await expect(Catalog.open(path, STORE_ID)).rejects.toThrow(error);
    }
  });

  it('refuses a file that is not there, and makes none', async () => {
    const file = nextPath();
    const error = expect.objectContaining({ code: 'STORAGE', file });
    await expect(Catalog.open(file, STORE_ID)).rejects.toThrow(error);
    expect(() => readFileSync(file)).toThrow(/ENOENT/);
  });

  it('finds a version that was changed to that of an empty file', async () => {
    const file = await madeFile();
    openRaw(file).pragma('user_version = 0');
    const error = expect.objectContaining({ code: 'CORRUPT', file });
    await expect(Catalog.open(file, STORE_ID)).rejects.toThrow(error);
  });

  it('finds a catalog that lost its owner', async () => {
    const file = await madeFile();
    openRaw(file).exec('DELETE FROM store');
    const error = expect.objectContaining({ code: 'CORRUPT', file });
    await expect(Catalog.open(file, STORE_ID)).rejects.toThrow(error);
  });
});

describe('damage inside', () => {
  it('is CORRUPT when SQLite meets it at a read, and when it looks for it', async () => {
    const file = nextPath();
    const writer = await Catalog.open((writeFileSync(file, ''), file), STORE_ID);
    const label = 'x'.repeat(900);
    for (let n = 1; n <= 40; n++) {
      await writer.commitCapture(captureOf(n, { labels: [['a', label]] }));
    }
    writer.close();
    const bytes = readFileSync(file);
    // Headers of pages: everything after the schema's.
    for (let page = 22; page < bytes.length / 4096; page++)
      bytes.fill(0xff, page * 4096, page * 4096 + 100);
    writeFileSync(file, bytes);
    const catalog = await openCatalog(file);
    const error = expect.objectContaining({ code: 'CORRUPT', file });
    expect(() => catalog.snapshots.all()).toThrow(error);
    expect(() => catalog.check()).toThrow(error);
  });
});

describe('commitCapture', () => {
  it('adds pack, segment, timeline and snapshot together', async () => {
    const catalog = await newCatalog(nextPath());
    const one = captureOf(1);
    const row = await catalog.commitCapture(one);
    const state = { removed: false, condemned: false, pinned: false, note: '' };
    const { name: packName } = one.pack;
    expect(row).toEqual({ ...one.snapshot, number: 1, packName, ...state });
    await catalog.commitCapture(captureOf(2));
    await catalog.commitCapture(captureOf(3, { timelineName: 'Über', sequence: 1 }));
    expect(catalog.timelineNames()).toEqual(['web', 'Über']);
    expect(catalog.packs()).toEqual(
      [1, 2, 3].map((number) => ({ number, ...captureOf(number).pack })),
    );
    expect(catalog.packs(2).map(({ number }) => number)).toEqual([3]);
    const identity = (n: number) => Buffer.alloc(16, n);
    expect(catalog.segments()).toEqual([
      { number: 1, identity: identity(1), packName: one.pack.name, local: 0 },
      { number: 2, identity: identity(2), packName: captureOf(2).pack.name, local: 0 },
      { number: 3, identity: identity(3), packName: captureOf(3).pack.name, local: 0 },
    ]);
    expect(catalog.segments(2).map(({ number }) => number)).toEqual([3]);
    expect(catalog.totals()).toEqual({
      timelines: 2,
      snapshots: 3,
      removedSnapshots: 0,
      packs: 3,
      packBytes: 3006,
      pages: 36,
      frameBytes: 1506,
      logicalBytes: 4096 * 6,
      generation: 0,
    });
  });

  it.each([
    ['pack', { ...captureOf(2), pack: captureOf(1).pack }],
    ['segment', { ...captureOf(2), segment: captureOf(1).segment }],
    ['id', captureOf(2, { id: snapshotId(1) })],
    ['sequence', captureOf(2, { sequence: 1 })],
  ])('leaves nothing behind when the %s is there already', async (_, capture) => {
    const file = nextPath();
    const catalog = await newCatalog(file);
    await catalog.commitCapture(captureOf(1));
    const before = [catalog.snapshots.all(), catalog.packs(), catalog.segments()];
    const failing = { ...capture, snapshot: { ...capture.snapshot, criuRunId: 'failing' } };
    const error = expect.objectContaining({ code: 'STORAGE', file });
    await expect(catalog.commitCapture(failing)).rejects.toThrow(error);
    expect([catalog.snapshots.all(), catalog.packs(), catalog.segments()]).toEqual(before);
    expect(catalog.timelineNames()).toEqual(['web']);
    // And the next one finds no open transaction.
    await catalog.commitCapture(captureOf(2));
    expect(catalog.snapshots.all()).toHaveLength(2);
  });

  it('leaves no timeline behind either', async () => {
    const catalog = await newCatalog(nextPath());
    await catalog.commitCapture(captureOf(1));
    const failing = captureOf(2, { timelineName: 'new', id: snapshotId(1) });
    await expect(catalog.commitCapture(failing)).rejects.toThrow();
    expect(catalog.timelineNames()).toEqual(['web']);
  });
});

describe('a write', () => {
  it('waits for another connection without holding the thread up, and goes through', async () => {
    const file = nextPath();
    const catalog = await newCatalog(file);
    const other = openRaw(file);
    other.exec('BEGIN IMMEDIATE');
    let done = false;
    const writing = catalog.commitCapture(captureOf(1)).then(() => (done = true));
    let [longest, last] = [0, performance.now()];
    for (let i = 0; i < 30; i++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }
    expect(done).toBe(false);
    // Reading does not wait.
    expect(catalog.snapshots.all()).toEqual([]);
    other.exec('COMMIT');
    await writing;
    expect(catalog.snapshots.all()).toHaveLength(1);
    expect(longest).toBeLessThan(1000);
  });

  it('stops waiting when its signal fires, and has done nothing', async () => {
    const file = nextPath();
    const catalog = await newCatalog(file);
    const other = openRaw(file);
    other.exec('BEGIN IMMEDIATE');
    const signal = AbortSignal.timeout(30);
    await expect(catalog.commitCapture(captureOf(1), signal)).rejects.toThrow(/abort/);
    other.exec('COMMIT');
    await expect(catalog.commitCapture(captureOf(1), signal)).rejects.toThrow(/abort/);
    expect(catalog.snapshots.all()).toEqual([]);
  });

  it('of leases is seen by everybody', async () => {
    const file = nextPath();
    const [catalog, other] = [await newCatalog(file), await openCatalog(file)];
    await catalog.putLease('a', 1);
    await catalog.putLease('a', 2);
    await catalog.putLease('b', 3);
    expect(other.leaseNames().toSorted()).toEqual(['a', 'b']);
    await other.deleteLease('a');
    expect(catalog.leaseNames()).toEqual(['b']);
  });
});
