/** What collections write to the catalog: each step whole or not at all. */
import { describe, expect, it } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog.ts';
import type { Sentence } from '../../src/catalog/collection-table.ts';
import { captureOf, newCatalog, openRaw, snapshotId } from '../support/made-catalogs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

/** A catalog of so many snapshots, each of which differs from the one before. */
async function catalogOf(count: number): Promise<{ catalog: Catalog; file: string }> {
  const file = nextPath();
  const catalog = await newCatalog(file);
  for (let n = 1; n <= count; n++) await catalog.commitCapture(captureOf(n));
  return { catalog, file };
}

const nothing: Sentence = {
  pack: undefined,
  manifests: [],
  snapshots: [],
  slots: [],
  lostFrames: [],
  statesChanged: 0,
};

async function mark(catalog: Catalog, ...numbers: number[]): Promise<void> {
  await catalog.setStates(numbers.map((n) => ({ id: snapshotId(n), removed: true })));
}

function rows(file: string, table: string): unknown[] {
  return openRaw(file).prepare(`SELECT * FROM ${table} ORDER BY 1`).all();
}

describe('condemning', () => {
  it('is one step: a snapshot that is not marked any more stops all of it', async () => {
    const { catalog, file } = await catalogOf(3);
    await mark(catalog, 1, 2);
    await catalog.setStates([{ id: snapshotId(2), removed: false }]);
    const tables = ['store', 'packs', 'snapshots', 'condemned', 'lost_frames'];
    const before = tables.map((table) => rows(file, table));
    const sentence = {
      ...nothing,
      pack: { name: 'f'.repeat(64), sizeBytes: 9 },
      snapshots: [snapshotId(1), snapshotId(2)],
      slots: [{ segment: 1, slots: Uint8Array.of(1, 1) }],
      lostFrames: [{ pack: captureOf(2).pack.name, offset: 0 }],
      statesChanged: catalog.statesChanged,
    };
    expect(await catalog.collections.condemn(sentence)).toBeUndefined();
    const after = tables.map((table) => rows(file, table));
    expect(after).toEqual(before);
    await mark(catalog, 2);
    const told = { ...sentence, statesChanged: catalog.statesChanged };
    expect(await catalog.collections.condemn(told)).toBe(1);
    expect([catalog.generation, catalog.statesChanged]).toEqual([1, 0]);
    expect(catalog.snapshots.byId(snapshotId(1))?.condemned).toBe(true);
    expect(catalog.collections.condemned()).toEqual([{ segment: 1, slots: Buffer.from([1, 1]) }]);
    expect(catalog.lostFrames()).toEqual(sentence.lostFrames);
    await expect(mark(catalog, 1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('tells only of the changes that its pack knows', async () => {
    const { catalog } = await catalogOf(2);
    await mark(catalog, 1);
    const known = catalog.statesChanged;
    await catalog.setStates([{ id: snapshotId(2), pinned: true }]);
    await catalog.collections.condemn({ ...nothing, statesChanged: known });
    expect(catalog.statesChanged).toBe(known + 1);
  });

  it('takes slots back with an empty set, and a damaged row is never believed', async () => {
    const { catalog, file } = await catalogOf(1);
    const slots = Uint8Array.of(1, 1);
    await catalog.collections.condemn({ ...nothing, slots: [{ segment: 1, slots }] });
    openRaw(file)
      .prepare('UPDATE condemned SET slots = ?')
      .run(Buffer.from([1, 3]));
    expect(() => catalog.collections.condemned()).toThrow(/condemned/);
    const none = new Uint8Array(0);
    await catalog.collections.condemn({ ...nothing, slots: [{ segment: 1, slots: none }] });
    expect(catalog.collections.condemned()).toEqual([]);
  });
});

describe('replacing packs', () => {
  it('moves segments and manifests, retires the old packs, and forgets what is gone', async () => {
    const { catalog } = await catalogOf(2);
    const [one, two] = [captureOf(1), captureOf(2)];
    const slots = Uint8Array.of(1, 1);
    await catalog.collections.condemn({
      ...nothing,
      slots: [
        { segment: 1, slots },
        { segment: 2, slots },
      ],
    });
    await catalog.addLostFrames([{ pack: one.pack.name, offset: 16 }]);
    const pack = { name: 'e'.repeat(64), sizeBytes: 77 };
    const generation = await catalog.collections.replace({
      packs: [one.pack.name, two.pack.name],
      pack,
      segments: [{ number: 2, identity: two.segment.identity, local: 4, pages: 3, frameBytes: 5 }],
      goneSegments: [1],
      manifests: [snapshotId(1), snapshotId(2)],
    });
    expect(generation).toBe(2);
    expect(catalog.packs().map(({ name }) => name)).toEqual([pack.name]);
    expect(catalog.segments()).toEqual([
      { number: 2, identity: Buffer.from(two.segment.identity), packName: pack.name, local: 4 },
    ]);
    expect(catalog.collections.condemned()).toEqual([]);
    expect(catalog.lostFrames()).toEqual([]);
    expect(catalog.collections.retired()).toEqual(
      [one, two].map(({ pack: { name, sizeBytes } }) => ({ name, sizeBytes, generation })),
    );
    expect(catalog.snapshots.byId(snapshotId(1))?.packName).toBe(pack.name);
    expect(catalog.check()).toEqual([]);
    await catalog.collections.forgetRetired([one.pack.name]);
    expect(catalog.collections.retired().map(({ name }) => name)).toEqual([two.pack.name]);
    // Numbers of what is gone are nobody's.
    await catalog.commitCapture({ ...captureOf(3), pack: { name: two.pack.name, sizeBytes: 9 } });
    expect(catalog.segments().map(({ number }) => number)).toEqual([2, 3]);
    // The same file is needed again: it must not be unlinked.
    expect(catalog.collections.retired()).toEqual([]);
  });

  it('of a pack that is not there changes nothing', async () => {
    const { catalog } = await catalogOf(1);
    const nowhere = { packs: ['d'.repeat(64)], pack: undefined, segments: [], goneSegments: [] };
    await expect(catalog.collections.replace({ ...nowhere, manifests: [] })).rejects.toMatchObject({
      code: 'CORRUPT',
    });
    expect(catalog.generation).toBe(0);
  });
});

describe('burying', () => {
  it('takes away what no recipe differs from, through any number of others', async () => {
    const { catalog } = await catalogOf(5);
    await mark(catalog, 1, 2, 4, 5);
    const snapshots = [1, 2, 4, 5].map(snapshotId);
    await catalog.collections.condemn({ ...nothing, snapshots });
    // 3 differs from 2, which differs from 1.
    expect((await catalog.collections.bury()).sort()).toEqual([snapshotId(4), snapshotId(5)]);
    expect(catalog.collections.tombstones()).toEqual([snapshotId(4), snapshotId(5)].sort());
    expect(catalog.snapshots.nextSequence('web')).toBe(6);
    await mark(catalog, 3);
    await catalog.collections.condemn({ ...nothing, snapshots: [snapshotId(3)] });
    expect(await catalog.collections.bury()).toHaveLength(3);
    expect(catalog.snapshots.all()).toEqual([]);
    await catalog.collections.forgetTombstones([snapshotId(4)]);
    expect(catalog.collections.tombstones()).toHaveLength(4);
    expect(catalog.snapshots.nextSequence('web')).toBe(6);
  });
});
