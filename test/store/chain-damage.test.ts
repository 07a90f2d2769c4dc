/**
 * Damage below what snapshots stand on: a full page under deltas, a delta in the middle of a chain,
 * a manifest in the middle of recipes, a whole pack. Those that need it, and no others, are lost,
 * with the place; the next capture is whole.
 */
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  type OpenOptions,
  type Snapshot,
  type SnapshotStore,
  StoreError,
} from '../../src/index.ts';
import { damageBlock } from '../support/damaged-store.ts';
import { type Memory, randomPages, withBytes, writeDump } from '../support/made-memory.ts';
import { depthsOf, packsOf, type StoredPack } from '../support/store-contents.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

const SNAPSHOTS = 20;

/**
 * Two processes. In the first one, some pages change in a few bytes each time; in the second one,
 * each snapshot has a page of its own, and those of the snapshots before.
 */
function memoryAt(moment: number): Memory {
  const steady = randomPages(16, 80, 1);
  for (const address of [16, 50, 90]) {
    const page = steady.get(address) ?? Buffer.alloc(4096);
    steady.set(address, withBytes(page, 3 * address, Uint8Array.of(moment, address)));
  }
  const growing = randomPages(5000, moment + 1, 2);
  const spaces = new Map([
    ['pagemap-1', steady],
    ['pagemap-2', growing],
  ]);
  const own = Buffer.concat([...randomPages(0, 2, 100 + moment).values()]).subarray(0, 5000);
  return { spaces, files: new Map([['own', own]]) };
}

interface Made {
  readonly directory: string;
  readonly ids: readonly string[];
  readonly dumps: readonly string[];
  readonly packs: readonly StoredPack[];
}

async function makeSeries(options: OpenOptions = {}): Promise<Made> {
  const directory = newPath();
  const store = await openUnmanaged(directory, { create: true, ...options });
  const dumps = Array.from({ length: SNAPSHOTS }, (_, i) => writeDump(newPath(), memoryAt(i)));
  const ids: string[] = [];
  for (const images of dumps) ids.push((await store.timeline('t').capture({ images })).id);
  await store.close();
  return { directory, ids, dumps, packs: await packsOf(directory) };
}

/** Fails unless exactly these snapshots are lost, by restores and by verify, for this pack. */
async function expectLost(
  store: SnapshotStore,
  { ids, dumps }: Made,
  lost: readonly number[],
  pack: StoredPack | undefined,
): Promise<void> {
  const found: number[] = [];
  for (const [i, id] of ids.entries()) {
    try {
      await expectRestores(store.snapshot(id), dumps[i] ?? '');
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      const { code, file, message } = error;
      expect({ code, file }, message).toEqual({ code: 'CORRUPT', file: pack?.path });
      found.push(i);
    }
  }
  expect(found).toEqual(lost);
  const { problems } = await store.verify();
  const named = new Set(problems.flatMap(({ snapshot }) => snapshot ?? []));
  expect([...named].map((id) => ids.indexOf(id)).sort((a, b) => a - b)).toEqual(lost);
  expect(new Set(problems.map(({ file }) => file))).toEqual(new Set([pack?.path]));
}

/** Fails unless captures after the damage are whole, and stay so. */
async function expectHealed(directory: string, { dumps }: Made): Promise<number[]> {
  const store = await openStore(directory);
  const snapshots: Snapshot[] = [];
  for (const moment of [SNAPSHOTS - 1, SNAPSHOTS, 0]) {
    const images = dumps[moment] ?? writeDump(newPath(), memoryAt(moment));
    const snapshot = await store.timeline('t').capture({ images });
    await expectRestores(snapshot, images);
    snapshots.push(snapshot);
  }
  const { problems } = await store.verify();
  const named = new Set(problems.map(({ snapshot }) => snapshot));
  for (const { id } of snapshots) expect(named).not.toContain(id);
  return snapshots.map(({ sizes }) => sizes.new.pages);
}

const all = Array.from({ length: SNAPSHOTS }, (_, i) => i);

describe('a damaged frame', () => {
  test('of full pages loses what stands on them, and they are stored again', async () => {
    const made = await makeSeries();
    // The first frame of the first capture: the first pages of the first process.
    const frame = made.packs[0]?.frames.find(({ isDelta }) => !isDelta);
    damageBlock(made.packs[0]?.path ?? '', frame?.offset ?? 0, frame?.blockBytes ?? 0);
    const store = await openStore(made.directory);
    await expectLost(store, made, all, made.packs[0]);
    await store.close();
    const pages = await expectHealed(made.directory, made);
    // Not only those that changed: all that were in the frame.
    expect(pages[0]).toBeGreaterThan(60);
    expect(pages[1]).toBeLessThan(20);
  });

  test('that nobody has met yet is no base, and never a wrong page', async () => {
    const made = await makeSeries();
    const frame = made.packs[0]?.frames.find(({ isDelta }) => !isDelta);
    damageBlock(made.packs[0]?.path ?? '', frame?.offset ?? 0, frame?.blockBytes ?? 0);
    const store = await openStore(made.directory);
    // The first capture meets it where pages changed, and the second knows.
    await store.timeline('t').capture({ images: writeDump(newPath(), memoryAt(SNAPSHOTS)) });
    await store.close();
    await expectHealed(made.directory, made);
  });

  test('of pages that only newer snapshots have loses only these', async () => {
    const made = await makeSeries();
    const pack = made.packs[7];
    const frame = pack?.frames.find(({ isDelta }) => !isDelta);
    damageBlock(pack?.path ?? '', frame?.offset ?? 0, frame?.blockBytes ?? 0);
    const store = await openStore(made.directory);
    await expectLost(store, made, all.slice(7), pack);
    await store.close();
    await expectHealed(made.directory, made);
  });

  test('of deltas in the middle of a chain loses the rest of the chain', async () => {
    const made = await makeSeries();
    const depths = made.packs.map((pack) => Math.max(0, ...depthsOf(pack)));
    // Where the chain starts again, the damage ends.
    const restart = depths.findIndex((depth, i) => i > 1 && depth <= 1);
    expect(restart).toBeGreaterThan(10);
    const pack = made.packs[5];
    const frame = pack?.frames.find(({ isDelta }) => isDelta);
    damageBlock(pack?.path ?? '', frame?.offset ?? 0, frame?.blockBytes ?? 0);
    const store = await openStore(made.directory);
    await expectLost(store, made, all.slice(5, restart), pack);
    await store.close();
    await expectHealed(made.directory, made);
  });
});

describe('a damaged manifest', () => {
  test('in the middle loses what differs from it, up to the next whole one', async () => {
    const made = await makeSeries();
    const bases = made.packs.map(({ manifest }) => manifest.base?.depth ?? 0);
    const whole = bases.indexOf(0, 1);
    expect(whole).toBe(16);
    const pack = made.packs[6];
    damageBlock(pack?.path ?? '', pack?.manifestOffset ?? 0, 300);
    const store = await openStore(made.directory);
    await expectLost(store, made, all.slice(6, whole), pack);
    await store.close();
    await expectHealed(made.directory, made);
  });

  test('of the newest snapshot: the next capture has no base, and is whole', async () => {
    const made = await makeSeries();
    const pack = made.packs.at(-1);
    damageBlock(pack?.path ?? '', pack?.manifestOffset ?? 0, 300);
    const store = await openStore(made.directory);
    await expectLost(store, made, [SNAPSHOTS - 1], pack);
    const images = made.dumps[SNAPSHOTS - 1] ?? '';
    const snapshot = await store.timeline('t').capture({ images });
    expect(snapshot.parentId).toBe(made.ids.at(-1));
    await expectRestores(snapshot, images);
    const [next] = (await packsOf(made.directory).catch(() => [])).slice(-1);
    expect(next?.manifest.base).toBeUndefined();
  });
});

describe('a pack that is gone', () => {
  test.each([0, 16, 19])('the one of snapshot %i', async (number) => {
    const made = await makeSeries();
    const pack = made.packs[number];
    rmSync(pack?.path ?? '');
    const store = await openStore(made.directory);
    await expectLost(store, made, all.slice(number), pack);
    await store.close();
    await expectHealed(made.directory, made);
  });
});
