/** Timelines: order, time, branches, labels, sizes, references, removal and the digest chain. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CaptureSource, Snapshot, SnapshotStore } from '../../src/index.ts';
import { expectFailure } from '../support/failures.ts';
import { fixture } from '../support/fixtures.ts';
import { makeImageDirectory } from '../support/image-directories.ts';
import { makeDump } from '../support/made-dumps.ts';
import { packsOf, pageBytesOf } from '../support/store-contents.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { treeBytes } from '../support/trees.ts';

const newPath = temporaryPaths();
const noon = Date.parse('2026-11-21T12:00:00Z');

/** Captures dumps of the seeds 1, 2, … at the given minutes after noon. */
async function captureAt(store: SnapshotStore, minutes: readonly number[]): Promise<Snapshot[]> {
  const snapshots: Snapshot[] = [];
  for (const minute of minutes) {
    const takenAt = new Date(noon + minute * 60_000);
    const images = makeDump(newPath(), snapshots.length + 1);
    snapshots.push(await store.timeline('web').capture({ images, takenAt }));
  }
  return snapshots;
}

function ids(snapshots: readonly (Snapshot | undefined)[]): (string | undefined)[] {
  return snapshots.map((snapshot) => snapshot?.id);
}

describe('a timeline', () => {
  test('exists from its first capture on', async () => {
    const store = await openStore(newPath());
    const timeline = store.timeline('web-1');
    expect(timeline.list()).toEqual([]);
    expect(timeline.latest()).toBeUndefined();
    expect(timeline.at(new Date())).toBeUndefined();
    expect(store.timelines()).toEqual([]);
    await timeline.capture({ images: makeDump(newPath(), 1) });
    expect(store.timelines().map(({ name }) => name)).toEqual(['web-1']);
  });

  test('has letters, digits and ._:-/ in its name, at most 255', async () => {
    const store = await openStore(newPath());
    for (const name of ['a', 'Größe/7', 'x'.repeat(255), 'a._:-/b', '界']) {
      expect(store.timeline(name).name).toBe(name);
    }
    for (const name of ['', 'a@b', 'a b', 'x'.repeat(256), 'a\n', '\0', 5, undefined, null]) {
      expect(() => store.timeline(name as string)).toThrow(TypeError);
    }
  });

  test('lists by sequence, and finds the newest and that of a time', async () => {
    const store = await openStore(newPath());
    const [first, second, third, fourth] = await captureAt(store, [10, 30, 20, 30]);
    const timeline = store.timeline('web');
    expect(ids(timeline.list())).toEqual(ids([first, second, third, fourth]));
    expect(timeline.list().map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect(timeline.latest()?.id).toBe(fourth?.id);
    const at = (minute: number, ms = 0) =>
      timeline.at(new Date(noon + minute * 60_000 + ms))?.sequence;
    expect([at(9), at(10), at(10, -1), at(19), at(20), at(29, 59_999), at(30), at(999)]).toEqual([
      undefined,
      1,
      undefined,
      1,
      3,
      3,
      4,
      4,
    ]);
    expect(() => timeline.at(new Date(Number.NaN))).toThrow(TypeError);
  });

  test('keeps any time that a Date can hold', async () => {
    const store = await openStore(newPath());
    for (const ms of [0, 1, -1, -8.64e15, 8.64e15]) {
      const images = makeDump(newPath(), 1);
      const snapshot = await store.timeline('t').capture({ images, takenAt: new Date(ms) });
      expect(snapshot.takenAt.getTime()).toBe(ms);
      await expectRestores(snapshot, images);
    }
    expect((await store.verify()).problems).toEqual([]);
  });

  test('takes the time of the call when none is given', async () => {
    const store = await openStore(newPath());
    const before = Date.now();
    const { takenAt } = await store.timeline('t').capture({ images: makeDump(newPath(), 1) });
    expect(takenAt.getTime()).toBeGreaterThanOrEqual(before);
    expect(takenAt.getTime()).toBeLessThanOrEqual(Date.now());
  });

  test('branches from any snapshot, of another timeline too', async () => {
    const store = await openStore(newPath());
    const [first, second] = await captureAt(store, [1, 2]);
    const branch = (name: string, parent: string | undefined): Promise<Snapshot> =>
      store.timeline(name).capture({ images: makeDump(newPath(), 9), parent });
    expect(await branch('web', first?.id)).toMatchObject({ parentId: first?.id, sequence: 3 });
    expect(await branch('other', 'web@2')).toMatchObject({ parentId: second?.id, sequence: 1 });
    const alone = await branch('alone', undefined);
    expect(alone).toMatchObject({ parentId: undefined, sequence: 1 });
    for (const parent of ['nothing', 'web@99', '']) {
      await expectFailure(() => branch('web', parent), { code: 'NOT_FOUND' });
    }
    expect(store.timeline('web').list()).toHaveLength(3);
  });

  test('may have pre-dumps, which are no moments to go back to', async () => {
    const store = await openStore(newPath());
    const [full] = await captureAt(store, [1]);
    const images = makeImageDirectory(newPath(), { imageVersion: 0 });
    const takenAt = new Date(noon + 120_000);
    const preDump = await store.timeline('web').capture({ images, takenAt });
    expect(preDump).toMatchObject({ kind: 'pre-dump', sequence: 2, parentId: full?.id });
    const timeline = store.timeline('web');
    expect(ids([timeline.latest(), timeline.at(takenAt), store.snapshot('web')])).toEqual(
      ids([full, full, full]),
    );
    expect(store.snapshot('web@2').id).toBe(preDump.id);
    expect(ids(timeline.list())).toEqual(ids([full, preDump]));
  });
});

describe('a snapshot', () => {
  test('is found by id in any case, prefix, timeline, sequence and time', async () => {
    const store = await openStore(newPath());
    const [first, second, third] = await captureAt(store, [1, 2, 3]);
    const id = second?.id ?? '';
    expect(id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
    const found = [
      id,
      id.toLowerCase(),
      id.slice(0, 25),
      'web',
      'web@1',
      'web@2026-11-21T12:02:59Z',
    ];
    expect(ids(found.map((reference) => store.snapshot(reference)))).toEqual(
      ids([second, second, second, third, first, second]),
    );
  });

  test.each([
    ['', 'nothing'],
    ['web@0', 'sequence 0'],
    ['web@01', 'a sequence with a zero in front'],
    ['web@4', 'a sequence that is not there'],
    ['web@-1', 'a negative sequence'],
    ['web@1.5', 'a fraction'],
    ['web@99999999999999999999', 'a sequence beyond all numbers'],
    ['web@yesterday', 'a word'],
    ['web@last 5', 'words with a number'],
    ['web@', 'nothing after the @'],
    ['@1', 'nothing before the @'],
    ['web@1@1', 'two @'],
    ['other', 'another timeline'],
    ['0'.repeat(26), 'another id'],
    ['0'.repeat(27), 'a longer id'],
  ])('is not found by %j: %s', async (reference) => {
    const store = await openStore(newPath());
    await captureAt(store, [1, 2, 3]);
    // Old enough for every date that a lenient parser might make up.
    const images = makeDump(newPath(), 1);
    await store.timeline('old').capture({ images, takenAt: new Date(0) });
    const find = (text: string) => () => store.snapshot(text);
    await expectFailure(find(reference), { code: 'NOT_FOUND' });
    await expectFailure(find(reference.replace('web', 'old').replace('@4', '@2')), {
      code: 'NOT_FOUND',
    });
  });

  test('is not found by a time before the first', async () => {
    const store = await openStore(newPath());
    await captureAt(store, [1, 2, 3]);
    const find = () => store.snapshot('web@2026-11-21T12:00:59Z');
    await expectFailure(find, { code: 'NOT_FOUND' });
  });

  test('is not found by a prefix that is too short or not unique', async () => {
    const store = await openStore(newPath());
    const snapshots = await captureAt(store, [1, 2, 3, 4, 5, 6, 7, 8]);
    // Eight characters of an id are 2^10 ms: of these captures, some share them.
    const starts = snapshots.map((snapshot) => snapshot.id.slice(0, 8));
    const id = starts.find((start, i) => starts.indexOf(start) !== i) ?? '';
    expect(id).toHaveLength(8);
    await expectFailure(() => store.snapshot(id.slice(0, 7)), { code: 'NOT_FOUND' });
    await expectFailure(() => store.snapshot(id.slice(0, 8)), {
      code: 'NOT_FOUND',
      message: /several/,
    });
  });

  test('keeps its labels, whatever is in them', async () => {
    const store = await openStore(newPath());
    const labels = { reason: 'ticker', ä: '', __proto__x: 'y', 'a b': '\n"', '': undefined };
    const { '': _, ...good } = labels;
    const snapshot = await store
      .timeline('t')
      .capture({ images: makeDump(newPath(), 1), labels: good });
    expect(snapshot.labels).toEqual(good);
    expect(store.snapshot(snapshot.id).labels).toEqual(good);
    const bad: [unknown, new () => Error][] = [
      [{ '': 'x' }, RangeError],
      [{ a: 'x'.repeat(4097) }, RangeError],
      [{ a: 5 }, TypeError],
      [{ a: '\ud800' }, TypeError],
      [Object.fromEntries(Array.from({ length: 100_000 }, (__, i) => [String(i), ''])), RangeError],
    ];
    for (const [value, kind] of bad) {
      const source = { images: makeDump(newPath(), 1), labels: value } as CaptureSource;
      await expect(store.timeline('t').capture(source)).rejects.toThrow(kind);
    }
    expect(store.timeline('t').list()).toHaveLength(1);
  });

  test('wants the path of a directory, and takes none for the working directory', async () => {
    const store = await openStore(newPath());
    for (const source of [undefined, {}, { images: '' }, { images: 5 }]) {
      const capture = store.timeline('t').capture(source as unknown as CaptureSource);
      await expect(capture).rejects.toThrow(TypeError);
    }
  });

  test('tells its sizes, and the store the sum of them', async () => {
    const store = await openStore(newPath());
    const images = makeDump(newPath(), 1);
    const first = await store.timeline('t').capture({ images });
    const second = await store.timeline('t').capture({ images });
    const bytes = treeBytes(images);
    expect(first.sizes.logical.bytes).toBe(bytes);
    expect(second.sizes.logical).toEqual(first.sizes.logical);
    expect(second.sizes.new).toEqual({ bytes: 0, pages: 0 });
    const packs = treeBytes(join(store.directory, 'packs'));
    const frames = (await packsOf(store.directory)).map(pageBytesOf);
    expect(first.sizes.stored.bytes + second.sizes.stored.bytes).toBe(packs);
    expect(store.statistics()).toEqual({
      timelines: 1,
      snapshots: 2,
      removedSnapshots: 0,
      logicalBytes: bytes * 2,
      packs: 2,
      storedBytes: packs,
      pages: first.sizes.new.pages,
      frameBytes: frames.reduce((sum, frameBytes) => sum + frameBytes, 0),
      generation: 0,
    });
    await first.remove();
    expect(store.statistics()).toMatchObject({ snapshots: 1, removedSnapshots: 1 });
  });

  test('describes its images and processes', async () => {
    const store = await openStore(newPath());
    const snapshot = await store.timeline('t').capture({ images: fixture('zoo-4.2/001') });
    const { images, processes, dumpPageBytes } = snapshot.describe();
    expect(dumpPageBytes).toBe(4096);
    expect(images.find(({ name }) => name === 'inventory.img')).toMatchObject({ kind: 'file' });
    const spaces = images.flatMap(({ space }) => space ?? []);
    expect(spaces.some((space) => space.startsWith('pagemap-shmem-'))).toBe(true);
    expect(processes.length).toBeGreaterThan(1);
    expect(snapshot.criuRunId).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.parse(JSON.stringify(snapshot))).toMatchObject({
      id: snapshot.id,
      timeline: 't',
      sequence: 1,
      removed: false,
    });
  });
});

describe('removing', () => {
  test('any snapshot leaves all of them restorable; undelete lists it again', async () => {
    const store = await openStore(newPath());
    const dumps = [1, 2, 3].map((seed) => makeDump(newPath(), seed));
    const snapshots: Snapshot[] = [];
    for (const images of dumps) snapshots.push(await store.timeline('t').capture({ images }));
    for (const snapshot of snapshots) {
      await snapshot.remove();
      expect(snapshot.isRemoved).toBe(true);
    }
    expect(store.timeline('t').list()).toEqual([]);
    expect(ids(store.timeline('t').list({ removed: true }))).toEqual(ids(snapshots));
    expect(store.timeline('t').latest()).toBeUndefined();
    await expectFailure(() => store.snapshot('t'), { code: 'NOT_FOUND' });
    for (const [i, { id }] of snapshots.entries()) {
      await expectRestores(store.snapshot(id), dumps[i] ?? '');
      expect(store.snapshot(`t@${i + 1}`).isRemoved).toBe(true);
    }
    const next = await store.timeline('t').capture({ images: dumps[0] ?? '' });
    expect(next).toMatchObject({ sequence: 4, parentId: undefined });
    await store.snapshot('t@2').undelete();
    await store.snapshot('t@2').undelete();
    expect(ids(store.timeline('t').list())).toEqual(ids([snapshots[1], next]));
    expect((await store.verify()).problems).toEqual([]);
  });

  test('a parent keeps nobody from naming it, but nobody can continue it', async () => {
    const store = await openStore(newPath());
    const [first, second] = await captureAt(store, [1, 2]);
    await first?.remove();
    expect(second?.parentId).toBe(first?.id);
    const source = { images: makeDump(newPath(), 3), parent: first?.id };
    await expectFailure(() => store.timeline('web').capture(source), { code: 'NOT_FOUND' });
  });
});

describe('the digest of a snapshot', () => {
  const digestOf = async (source: Partial<CaptureSource>, timeline = 't'): Promise<string> => {
    const store = await openStore(newPath());
    const given = { images: makeDump(newPath(), 1), takenAt: new Date(noon), ...source };
    return (await store.timeline(timeline).capture(given)).digest;
  };

  test('is the same for the same content, in whatever store', async () => {
    const digest = await digestOf({});
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(await digestOf({})).toBe(digest);
    const store = await openStore(newPath(), { compressionLevel: 9 });
    await store.timeline('before').capture({ images: makeDump(newPath(), 1) });
    const source = { images: makeDump(newPath(), 1), takenAt: new Date(noon) };
    expect((await store.timeline('t').capture(source)).digest).toBe(digest);
  });

  test('tells a byte, a name, the time, a label and the parent apart', async () => {
    const changed = (change: (path: string) => void): string => {
      const path = makeDump(newPath(), 1);
      change(path);
      return path;
    };
    const digests = [
      await digestOf({}),
      await digestOf({ takenAt: new Date(noon + 1) }),
      await digestOf({ labels: { a: 'b' } }),
      await digestOf({ images: makeDump(newPath(), 2) }),
      await digestOf({ images: changed((path) => writeFileSync(join(path, 'empty'), '')) }),
    ];
    const store = await openStore(newPath());
    for (const seed of [5, 6]) {
      await store.timeline('p').capture({ images: makeDump(newPath(), seed) });
      const source = { images: makeDump(newPath(), 1), takenAt: new Date(noon), parent: 'p' };
      digests.push((await store.timeline(`t${seed}`).capture(source)).digest);
    }
    expect(new Set(digests).size).toBe(digests.length);
  });

  test('chains: a change in the first snapshot changes all that follow', async () => {
    const chain = async (seed: number): Promise<string[]> => {
      const store = await openStore(newPath());
      const digests: string[] = [];
      for (const each of [seed, 7, 8]) {
        const source = { images: makeDump(newPath(), each), takenAt: new Date(noon) };
        digests.push((await store.timeline('t').capture(source)).digest);
      }
      return digests;
    };
    const [one, same, other] = [await chain(1), await chain(1), await chain(2)];
    expect(same).toEqual(one);
    expect(other.filter((digest) => one.includes(digest))).toEqual([]);
  });
});
