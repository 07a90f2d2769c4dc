/**
 * Collections of damaged stores: what is damaged stays as it is and is reported, with all that it
 * might need, so that it is whole once it is put back; and no damage is ever given a new checksum.
 */
import { cpSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import { openPack } from '../../src/pack/pack-set.ts';
import { DescriptorPool } from '../../src/files/descriptor-pool.ts';
import { StoreError } from '../../src/index.ts';
import {
  captureMemory,
  expectMemory,
  firstMemory,
  laterMemory,
} from '../support/collected-stores.ts';
import { damageBlock } from '../support/damaged-store.ts';
import type { Memory } from '../support/made-memory.ts';
import { zstd } from '../support/made-packs.ts';
import { packFiles } from '../support/store-contents.ts';
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
        const report = await store.collect({ wasteThreshold: 0 });
        expect(report).toMatchObject({ complete: false });
        expect(report.damage.join()).toContain(pack(i));
        expect(readFileSync(pack(i)).equals(before)).toBe(true);
        const after = (await store.verify()).problems.map(({ file }) => file);
        expect(after).toContain(pack(i));
        await store.close();
        expect(await lostOf(directory)).toEqual(lost);
      }
    },
  );

  test('in the manifest of a live snapshot keeps all that it might need', async () => {
    const { directory, pack } = copy();
    const { manifest } = blocksOf(pack(3));
    const whole = readFileSync(pack(3));
    damageBlock(pack(3), manifest.offset, manifest.blockBytes);
    const lost = await lostOf(directory);
    const files = packFiles(directory);
    await (async () => {
      await using store = await openUnmanaged(directory);
      // Twice: as if others would be collected when it is done again.
      for (let round = 0; round < 2; round++) {
        const report = await store.collect({ wasteThreshold: 0 });
        expect(report).toMatchObject({ complete: false, deadPages: 0, unlinkedBytes: 0 });
        expect(report.damage.join()).toContain(`${pack(3)}, offset ${manifest.offset}`);
        expect(report.damage.join()).toContain(`snapshot ${store.snapshot('t@4').id}`);
      }
    })();
    expect(packFiles(directory)).toEqual(expect.arrayContaining(files));
    expect(await lostOf(directory)).toEqual(lost);
    const damaged = newPath();
    cpSync(directory, damaged, { recursive: true });
    // It can be told to go: then everything else can be collected.
    const store = await openStore(damaged);
    for (const sequence of [4, 6]) await store.snapshot(`t@${sequence}`).remove();
    expect(await store.collect({ wasteThreshold: 0 })).toMatchObject({ damage: [] });
    await expectMemory(store.snapshot('t@2'), memories[1], newPath);
    expect((await store.verify()).problems).toEqual([]);
    // Or the pack can be put back.
    putBack(pack(3), whole);
    const mended = await openStore(directory);
    expect(await mended.collect({ wasteThreshold: 0 })).toMatchObject({ damage: [] });
    expect(await lostOf(directory)).toEqual([]);
    expect(packFiles(directory)).not.toEqual(expect.arrayContaining(files));
  });

  test('in a frame table does not keep what has nothing to do with it', async () => {
    const { directory, pack } = copy();
    const { table } = blocksOf(pack(1));
    const whole = readFileSync(pack(1));
    const store = await openStore(directory);
    await captureMemory(store, newPath, firstMemory(64, 77));
    const [other] = packFiles(directory).filter((path) => !packs.includes(basename(path)));
    await store.snapshot('t@7').remove();
    await store.close();
    damageBlock(pack(1), table.offset, table.blockBytes);
    const again = await openStore(directory);
    const report = await again.collect({ wasteThreshold: 0 });
    expect(report.droppedPacks).toBe(1);
    expect(packFiles(directory)).not.toContain(other);
    expect(report.damage.join()).toContain(`${pack(1)}, offset ${table.offset}`);
    putBack(pack(1), whole);
    expect(await lostOf(directory)).toEqual([]);
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

  test.each([
    [0, false],
    [1, false],
    [3, false],
    [1, true],
    [3, true],
  ])('of pack %i, which is gone, loses no more (manifests elsewhere: %s)', async (i, areMoved) => {
    const { directory, pack } = copy();
    if (areMoved) {
      await using store = await openUnmanaged(directory);
      // Writes manifests once more, since their bases go, and no pages.
      await store.collect({ wasteThreshold: 1 });
    }
    const whole = readFileSync(pack(i));
    rmSync(pack(i));
    const lost = await lostOf(directory);
    await (async () => {
      await using store = await openUnmanaged(directory);
      const report = await store.collect({ wasteThreshold: 0 });
      expect(report.damage.join()).toContain(pack(i));
      expect(report.complete).toBe(false);
      expect((await store.verify()).problems.map(({ file }) => file)).toContain(pack(i));
    })();
    expect(await lostOf(directory)).toEqual(lost);
    putBack(pack(i), whole);
    expect(await lostOf(directory)).toEqual([]);
  });

  test('of any byte loses no page, and heals none', async () => {
    let found = 0;
    for (const i of [0, 1, 3]) {
      const { size } = statSync(copy().pack(i));
      for (let at = 7; at < size - 1; at += Math.ceil(size / 9)) {
        const { directory, pack } = copy();
        const whole = readFileSync(pack(i));
        damageBlock(pack(i), at, 1);
        const lost = await lostOf(directory);
        const store = await openStore(directory);
        await store.collect({ wasteThreshold: 0 });
        const { problems } = await store.verify();
        if (lost.length > 0) expect(problems.length, `byte ${at} of pack ${i}`).toBeGreaterThan(0);
        if (problems.length > 0) found += 1;
        await store.close();
        expect(await lostOf(directory), `byte ${at} of pack ${i}`).toEqual(lost);
        // Nothing went that is needed when the pack is back.
        if (lost.length > 0) putBack(pack(i), whole);
        expect(await lostOf(directory), `byte ${at} of pack ${i}, put back`).toEqual([]);
        rmSync(directory, { recursive: true });
      }
    }
    expect(found).toBeGreaterThan(5);
  });
});

function putBack(path: string, bytes: Uint8Array): void {
  rmSync(path, { force: true });
  writeFileSync(path, bytes, { mode: 0o400 });
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
