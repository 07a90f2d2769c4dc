/** What the catalog remembers of packs; copies of it, beside writers and without processes. */
import { copyFileSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Catalog } from '../../src/catalog/catalog.ts';
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
const nameOf = (n: number): string => captureOf(n).pack.name;

describe('the records of packs', () => {
  it('say when a pack was last found right, and forget packs that are gone', async () => {
    const catalog = await newCatalog(nextPath());
    await catalog.commitCapture(captureOf(1));
    await catalog.commitCapture(captureOf(2));
    await catalog.packRecords.putVerified([nameOf(1), nameOf(2), nameOf(3)], 5);
    await catalog.packRecords.putVerified([nameOf(1)], 9);
    const times = [...catalog.packRecords.verifiedTimes(Date.now())].sort();
    expect(times).toEqual([
      [nameOf(1), 9],
      [nameOf(2), 5],
    ]);
  });

  it('say that a pack was found damaged until it is found right', async () => {
    const catalog = await newCatalog(nextPath());
    for (const n of [1, 2]) await catalog.commitCapture(captureOf(n));
    await catalog.packRecords.putDamaged([nameOf(1), nameOf(2), nameOf(3)], 5);
    await catalog.packRecords.putVerified([nameOf(2)], 5);
    expect([...catalog.packRecords.damagedTimes(Date.now())]).toEqual([[nameOf(1), 5]]);
  });

  it('say when a snapshot was last read, and forget snapshots that are gone', async () => {
    const catalog = await newCatalog(nextPath());
    for (const n of [1, 2]) await catalog.commitCapture(captureOf(n, { baseId: undefined }));
    await catalog.packRecords.putChecked([1, 2, 3].map(snapshotId), 5);
    const nothing = { pack: undefined, manifests: [], slots: [], lostFrames: [] };
    const sentence = { ...nothing, snapshots: [snapshotId(1)], statesChanged: undefined };
    const removed = { id: snapshotId(1), removed: true, pinned: false, note: '' };
    await catalog.setStates([removed]);
    await catalog.collections.condemn(sentence);
    await catalog.collections.bury();
    expect([...catalog.packRecords.checkedTimes(Date.now())]).toEqual([[snapshotId(2), 5]]);
  });

  it('take frames off that are lost no more, and leave the others', async () => {
    const catalog = await newCatalog(nextPath());
    const frame = (n: number, offset: number) => ({ pack: nameOf(n), offset });
    await catalog.commitCapture(captureOf(1));
    await catalog.commitCapture(captureOf(2));
    // Of a pack that is gone, nothing is recorded: it would be remembered for ever.
    await catalog.addLostFrames([frame(1, 16), frame(1, 99), frame(2, 16), frame(3, 16)]);
    await catalog.packRecords.putDamaged([nameOf(1), nameOf(2)], 5);
    await catalog.packRecords.removeLostFrames([frame(1, 16), frame(3, 1)]);
    expect(catalog.lostFrames()).toEqual([frame(1, 99), frame(2, 16)]);
    // What was found of the pack is true no more.
    expect([...catalog.packRecords.damagedTimes(Date.now()).keys()]).toEqual([nameOf(2)]);
  });

  it('pass over what is no pack, no place and no time', async () => {
    const file = nextPath();
    const catalog = await newCatalog(file);
    await catalog.commitCapture(captureOf(1));
    const raw = openRaw(file);
    raw.prepare('INSERT INTO lost_frames VALUES (?, 1)').run('../../etc/passwd');
    raw.prepare('INSERT INTO retired VALUES (?, 1, 1)').run('..');
    raw.prepare('INSERT INTO retired VALUES (?, 1, 1)').run(nameOf(7));
    raw.prepare('INSERT INTO verified VALUES (?, ?)').run(nameOf(1), -5);
    expect(catalog.lostFrames()).toEqual([]);
    expect(catalog.collections.retired().map(({ name }) => name)).toEqual([nameOf(7)]);
    expect([...catalog.packRecords.verifiedTimes(Date.now())]).toEqual([]);
  });

  it('let go of packs', async () => {
    const catalog = await newCatalog(nextPath());
    await catalog.packRecords.retire([{ name: nameOf(4), sizeBytes: 7 }], 3);
    const retired = [{ name: nameOf(4), generation: 3, sizeBytes: 7 }];
    expect(catalog.collections.retired()).toEqual(retired);
  });
});

describe('a copy', () => {
  it('made while another process writes is of one moment, and complete', async () => {
    const file = nextPath();
    const catalog = await newCatalog(file);
    // Long enough for some steps.
    for (let n = 1; n <= 60; n++) {
      const labels: [string, string][] = [['a', 'x'.repeat(40_000)]];
      await catalog.commitCapture(captureOf(n, { labels }));
    }
    const writer = await openCatalog(file);
    const copy = nextPath();
    writeFileSync(copy, '', { mode: 0o600 });
    let written = 60;
    let isDone = false;
    const copying = catalog.copyTo(copy).then(() => (isDone = true));
    while (!isDone && written < 250) {
      await writer.commitCapture(captureOf((written += 1)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await copying;
    expect(written).toBeGreaterThan(61);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const copied = await openCatalog(copy);
    expect(copied.check()).toEqual([]);
    const sequences = copied.snapshots.all().map(({ sequence }) => sequence);
    expect(sequences.length).toBeGreaterThanOrEqual(60);
    expect(sequences).toEqual(sequences.map((_, i) => i + 1));
  });

  it('forgets processes, and what is only true of the files of the original', async () => {
    const catalog = await newCatalog(nextPath());
    await catalog.commitCapture(captureOf(1));
    await catalog.putLease('mine', 1);
    await catalog.packRecords.putVerified([nameOf(1)], 5);
    await catalog.packRecords.putDamaged([nameOf(1)], 5);
    await catalog.packRecords.retire([{ name: nameOf(4), sizeBytes: 7 }], 3);
    const copy = nextPath();
    writeFileSync(copy, '');
    await catalog.copyTo(copy);
    const copied = await openCatalog(copy);
    await copied.forgetOriginal();
    expect(copied.leaseNames()).toEqual([]);
    expect(copied.collections.retired()).toEqual([]);
    expect([...copied.packRecords.verifiedTimes(Date.now())]).toEqual([]);
    expect([...copied.packRecords.damagedTimes(Date.now())]).toEqual([]);
    expect(copied.packs()).toEqual(catalog.packs());
    expect(copied.timelines()).toEqual([{ name: 'web', lastSequence: 1 }]);
    expect(catalog.leaseNames()).toEqual(['mine']);
  });

  it('stops when its signal fires, and of a damaged catalog is CORRUPT', async () => {
    const file = nextPath();
    const catalog = await newCatalog(file);
    await catalog.commitCapture(captureOf(1, { labels: [['a', 'x'.repeat(4_000_000)]] }));
    const copy = nextPath();
    writeFileSync(copy, '');
    const stopping = catalog.copyTo(copy, AbortSignal.abort());
    await expect(stopping).rejects.toMatchObject({ name: 'AbortError' });
    const other = nextPath();
    copyFileSync(copy, other);
    const broken = Catalog.open(other, STORE_ID, { mayBeNew: false });
    await expect(broken).rejects.toMatchObject({ code: 'CORRUPT' });
  });
});
