/**
 * Collections of damaged stores: what is damaged stays as it is and is reported, what a snapshot
 * needs is never guessed, and no damage is ever given a new checksum.
 */
import { cpSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import { openPack } from '../../src/pack/pack-set.ts';
import { DescriptorPool } from '../../src/files/descriptor-pool.ts';
import { type CollectReport, type SnapshotStore, StoreError } from '../../src/index.ts';
import {
  captureMemory,
  expectMemory,
  firstMemory,
  laterMemory,
} from '../support/collected-stores.ts';
import { damageBlock } from '../support/damaged-store.ts';
import { expectFailure } from '../support/failures.ts';
import type { Memory } from '../support/made-memory.ts';
import { zstd } from '../support/made-packs.ts';
import { packFiles } from '../support/store-contents.ts';
import { storeState } from '../support/store-state.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

/** A store in which every other of six snapshots is marked as removed; copied for each test. */
let original = '';
let memories: readonly Memory[] = [];
let packs: readonly string[] = [];

beforeAll(async () => {
  const series = await openSeriesClosed();
  original = series.directory;
  memories = series.memories;
  packs = series.packs;
});

async function openSeriesClosed(): Promise<{
  directory: string;
  memories: readonly Memory[];
  packs: string[];
}> {
  // The store of openSeries is closed when a test is done: here there is none.
  const directory = newPath();
  await using store = await openUnmanaged(directory, { create: true });
  const all = [firstMemory(200)];
  const names: string[] = [];
  for (let i = 0; i < 6; i++) {
    if (i > 0) all.push(laterMemory(all[i - 1] as Memory, i));
    await captureMemory(store, newPath, all[i] as Memory);
    const known = new Set(names);
    names.push(
      ...packFiles(directory)
        .map((path) => basename(path))
        .filter((name) => !known.has(name)),
    );
  }
  for (const i of [1, 3, 5]) await store.snapshot(`t@${i}`).remove();
  return { directory, memories: all, packs: names };
}

function copy(): { directory: string; pack: (i: number) => string } {
  const directory = newPath();
  cpSync(original, directory, { recursive: true });
  const pack = (i: number): string => {
    const name = packs[i] ?? '';
    return join(directory, 'packs', name.slice(0, 2), name);
  };
  return { directory, pack };
}

/** Where the blocks of a pack are. */
function blocksOf(
  path: string,
): Record<'full' | 'delta' | 'digests' | 'table' | 'manifest', Place> {
  const descriptors = new DescriptorPool(nodeFiles, 2);
  try {
    const reader = openPack(nodeFiles, descriptors, zstd, path);
    const tables = reader.footer.references.flatMap((_, segment) => reader.frameTables(segment));
    const frameOf = (isDelta: boolean): Place => {
      const table = tables.find((each) => each.isDelta(0) === isDelta);
      return table?.entryAt(0) ?? { offset: -1, blockBytes: 0 };
    };
    const of = (type: string): Place =>
      reader.footer.entries.find((entry) => entry.type === type) ?? { offset: -1, blockBytes: 0 };
    return {
      full: frameOf(false),
      delta: frameOf(true),
      digests: of('digests'),
      table: of('frameTable'),
      manifest: of('manifest'),
    };
  } finally {
    descriptors.close();
  }
}

interface Place {
  readonly offset: number;
  readonly blockBytes: number;
}

/** The live snapshots that do not come out; fails where one comes out wrong. */
async function lostOf(directory: string): Promise<number[]> {
  const store = await openStore(directory, { readOnly: true });
  const lost: number[] = [];
  for (const { sequence } of store.timeline('t').list()) {
    try {
      await expectMemory(store.snapshot(`t@${sequence}`), memories[sequence - 1], newPath);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'CORRUPT') throw error;
      lost.push(sequence);
    }
  }
  await store.close();
  return lost;
}

/** What a collection of everything comes to. */
async function outcomeOf(store: SnapshotStore): Promise<CollectReport | StoreError> {
  try {
    return await store.collect({ wasteThreshold: 0 });
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}

describe('damage', () => {
  test.each(['full', 'delta', 'digests', 'table'] as const)(
    'in the %s of a pack that is needed in part stays where it is, and is reported',
    async (part) => {
      for (const i of [0, 1]) {
        const { directory, pack } = copy();
        const place = blocksOf(pack(i))[part];
        // The first pack has no deltas.
        if (place.offset < 0) continue;
        damageBlock(pack(i), place.offset, place.blockBytes);
        const before = readFileSync(pack(i));
        const lost = await lostOf(directory);
        const store = await openStore(directory);
        const problems = (await store.verify()).problems.filter(({ file }) => file === pack(i));
        expect(problems.length).toBeGreaterThan(0);
        const outcome = await outcomeOf(store);
        // What the deltas of such a segment stand on cannot be known.
        if (part === 'table') expect(outcome).toMatchObject({ code: 'CORRUPT', file: pack(i) });
        else expect((outcome as CollectReport).damage.join()).toContain(pack(i));
        expect(readFileSync(pack(i)).equals(before)).toBe(true);
        const after = (await store.verify()).problems.map(({ file }) => file);
        expect(after).toContain(pack(i));
        await store.close();
        expect(await lostOf(directory)).toEqual(lost);
      }
    },
  );

  test('in the manifest of a live snapshot stops the collection, which loses nothing', async () => {
    const { directory, pack } = copy();
    const { manifest } = blocksOf(pack(3));
    damageBlock(pack(3), manifest.offset, manifest.blockBytes);
    const state = storeState(directory);
    const store = await openStore(directory);
    await expectFailure(() => store.collect({ wasteThreshold: 0 }), {
      code: 'CORRUPT',
      file: pack(3),
    });
    await store.close();
    expect(storeState(directory).files.filter(isPack)).toEqual(state.files.filter(isPack));
    // It can be told to go: then everything else can be collected.
    const again = await openStore(directory);
    for (const sequence of [4, 6]) await again.snapshot(`t@${sequence}`).remove();
    expect(await again.collect({ wasteThreshold: 0 })).toMatchObject({ damage: [] });
    await expectMemory(again.snapshot('t@2'), memories[1], newPath);
    expect((await again.verify()).problems).toEqual([]);
  });

  test('in packs that nobody needs goes with them', async () => {
    const { directory, pack } = copy();
    for (const i of [2, 3, 4, 5]) {
      damageBlock(pack(i), 16, statSync(pack(i)).size - 60);
      if (i > 3) rmSync(pack(i));
    }
    const store = await openStore(directory);
    for (const sequence of [4, 6]) await store.snapshot(`t@${sequence}`).remove();
    await store.collect({ wasteThreshold: 0 });
    const report = await store.collect({ wasteThreshold: 0 });
    expect(report).toMatchObject({ complete: true, damage: [], waitingPacks: 0 });
    expect((await store.verify()).problems).toEqual([]);
    await expectMemory(store.snapshot('t@2'), memories[1], newPath);
  });

  test('of a pack that is missing and needed is reported, and the rest is collected', async () => {
    const { directory, pack } = copy();
    rmSync(pack(0));
    const store = await openStore(directory);
    const outcome = await outcomeOf(store);
    if (outcome instanceof StoreError) expect(outcome.code).toBe('CORRUPT');
    else expect(JSON.stringify(outcome)).toContain(packs[0]);
    expect((await store.verify()).problems.map(({ file }) => file)).toContain(pack(0));
  });

  test('of any byte loses no snapshot that was not lost before, and heals none', async () => {
    let [stopped, found] = [0, 0];
    for (const i of [0, 1, 3]) {
      const { size } = statSync(copy().pack(i));
      for (let at = 7; at < size - 1; at += Math.ceil(size / 9)) {
        const { directory, pack } = copy();
        damageBlock(pack(i), at, 1);
        const lost = await lostOf(directory);
        const store = await openStore(directory);
        const outcome = await outcomeOf(store);
        if (outcome instanceof StoreError) {
          expect(outcome.code, outcome.message).toBe('CORRUPT');
          stopped += 1;
        }
        const { problems } = await store.verify();
        if (lost.length > 0) expect(problems.length, `byte ${at} of pack ${i}`).toBeGreaterThan(0);
        if (problems.length > 0) found += 1;
        await store.close();
        expect(await lostOf(directory), `byte ${at} of pack ${i}`).toEqual(lost);
        rmSync(directory, { recursive: true });
      }
    }
    expect(stopped).toBeLessThan(found);
  });
});

function isPack(line: string): boolean {
  return line.endsWith('.pack');
}

test('the stores of these tests have what is to be damaged', async () => {
  const { pack } = copy();
  expect(blocksOf(pack(1)).delta.offset).toBeGreaterThan(0);
  expect(blocksOf(pack(0)).full.offset).toBeGreaterThan(0);
});

test('damage of one pack does not keep the space of those that are compacted with it', async () => {
  const { directory, pack } = copy();
  const { offset, blockBytes } = blocksOf(pack(0)).full;
  damageBlock(pack(0), offset, blockBytes);
  const lost = await lostOf(directory);
  const store = await openStore(directory);
  const dead = (await store.collect({ wasteThreshold: 0, dryRun: true })).deadBytes;
  const report = await store.collect({ wasteThreshold: 0 });
  expect(report.damage.join()).toContain(pack(0));
  expect(report.compactedPacks).toBeGreaterThan(0);
  const left = await store.collect({ wasteThreshold: 0, dryRun: true });
  expect(left.deadBytes).toBeLessThan(dead);
  await store.close();
  expect(await lostOf(directory)).toEqual(lost);
});
