/**
 * Healing: pages that were lost with a damaged frame come back when a later capture, of the same or
 * another timeline, has brought the same pages again.
 */
import { hash } from 'node:crypto';
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { expectMemory, firstMemory, laterMemory } from '../support/collected-stores.ts';
import { damageBlock } from '../support/damaged-store.ts';
import { type Memory, randomPage, withBytes } from '../support/made-memory.ts';
import {
  packFiles,
  packsOf,
  type StoredFrame,
  type StoredPack,
} from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import {
  capture,
  type Captured,
  damageDeltas,
  expectCollects,
  expectPart,
  expectWhole,
  lostIds,
  repair,
} from '../support/healed-stores.ts';

const newPath = temporaryPaths();

/** Pages of the first capture: four frames, the last of which is not full. */
const PAGES = 230;

/** Two captures, the second of deltas and new pages on the first. */
async function makeTwo(): Promise<{ directory: string; captured: Captured[] }> {
  const directory = newPath();
  const first = firstMemory(PAGES);
  const captured = [
    await capture(directory, first),
    await capture(directory, laterMemory(first, 1)),
  ];
  return { directory, captured };
}

/** Every other page of the first frame. */
function halfOf(memory: Memory): Memory {
  const pages = [...(memory.spaces.get('pagemap-1') as Map<number, Buffer>)].slice(0, 61);
  const half = new Map(pages.filter((_, i) => i % 2 === 0));
  return { spaces: new Map([['pagemap-1', half]]), files: new Map() };
}

/** Damages a frame of full pages of the first capture; returns its pack. */
async function damageFull(directory: string, number = 0): Promise<StoredPack> {
  const [pack] = (await packsOf(directory)) as [StoredPack];
  const frame = pack.frames.filter(({ isDelta }) => !isDelta)[number] as StoredFrame;
  damageBlock(pack.path, frame.offset, frame.blockBytes);
  return pack;
}

describe('pages of a damaged frame', () => {
  test.each(['t', 'another'])(
    'come back when a later capture into %s has brought them again',
    async (timeline) => {
      const { directory, captured } = await makeTwo();
      const pack = await damageFull(directory);
      expect(await lostIds(directory)).toEqual(captured.map(({ id }) => id).sort());
      captured.push(await capture(directory, (captured[0] as Captured).memory, timeline));
      const report = await repair(directory);
      const name = basename(pack.path, '.pack');
      expect(report).toMatchObject({ catalog: 'rebuilt', healedPages: 64 });
      // All of it was found: the pack is again what it was.
      expect(report.packs.healed).toEqual([{ name, newName: name, pages: 64 }]);
      expect(report.packs.damaged).toEqual([]);
      expect(report.snapshots).toMatchObject({ whole: 3, lost: [], restored: [] });
      expect(hash('sha256', readFileSync(pack.path))).toBe(name);
      await expectWhole(directory, captured);
      const again = await repair(directory, 'packs');
      expect(again).toMatchObject({ catalog: 'kept', changes: [], healedPages: 0 });
      await expectCollects(directory, captured);
    },
  );

  test('that nobody has met yet come back, too, when all frames are read', async () => {
    const { directory, captured } = await makeTwo();
    const pack = await damageFull(directory, 1);
    // The same pages are in another pack only if that capture has met the damage.
    await lostIds(directory);
    captured.push(await capture(directory, (captured[0] as Captured).memory));
    rmSync(join(directory, 'catalog.sqlite'));
    expect(await repair(directory)).toMatchObject({ catalog: 'rebuilt', healedPages: 0 });
    expect(existsSync(pack.path)).toBe(true);
    expect(await repair(directory, 'packs')).toMatchObject({ healedPages: 64 });
    await expectWhole(directory, captured);
  });

  test('come back in part; what is left is named, and comes back later', async () => {
    const { directory, captured } = await makeTwo();
    const pack = await damageFull(directory);
    await lostIds(directory);
    const both = captured.map(({ id }) => id);
    const [{ memory }] = captured as [Captured];
    captured.push(await capture(directory, halfOf(memory), 'half'));
    const report = await repair(directory);
    // 31 of 61 pages of memory, and the inventory; not core-1.img and pagemap-1.img.
    expect(report).toMatchObject({ healedPages: 32 });
    const name = basename(pack.path, '.pack');
    expect(report.packs.damaged.find((one) => one.name === name)).toMatchObject({
      now: 'taken away',
    });
    expect(existsSync(pack.path)).toBe(false);
    const lost = report.snapshots.lost.map(({ id, spaces }) => {
      return { id, bytes: spaces.reduce((sum, { lostBytes }) => sum + lostBytes, 0) };
    });
    expect(lost.map(({ id }) => id)).toEqual(both);
    expect(lost[0]?.bytes).toBe(32 * 4096);
    expect(await lostIds(directory)).toEqual(both);
    await expectPart(directory, captured[0] as Captured, 30);
    const again = await repair(directory, 'packs');
    expect(again).toMatchObject({ catalog: 'kept', changes: [], healedPages: 0 });
    captured.push(await capture(directory, memory, 'another'));
    const last = await repair(directory);
    expect(last).toMatchObject({ healedPages: 32, snapshots: { lost: [] } });
    await expectWhole(directory, captured);
    await expectCollects(directory, captured);
    // What the deltas of the second stand on is in both pieces of that frame.
    await (async () => {
      await using store = await openStore(directory);
      for (const { id } of captured) if (id !== both[1]) await store.snapshot(id).remove();
      const collected = await store.collect({ wasteThreshold: 0 });
      expect(collected).toMatchObject({ complete: true, damage: [], condemnedSnapshots: 3 });
      expect(collected.compactedPacks).toBeGreaterThan(0);
    })();
    await expectCollects(directory, [captured[1] as Captured]);
  });

  test('of deltas stay lost until something brings them, and nothing else is', async () => {
    const { directory, captured } = await makeTwo();
    await damageDeltas(directory, 1);
    expect(await lostIds(directory)).toEqual([captured[1]?.id]);
    captured.push(await capture(directory, laterMemory((captured[1] as Captured).memory, 5)));
    rmSync(join(directory, 'cache'), { recursive: true });
    const report = await repair(directory, 'packs');
    expect(report).toMatchObject({ catalog: 'kept', healedPages: 0 });
    expect(report.snapshots.lost.map(({ id }) => id)).toEqual([captured[1]?.id]);
    await using store = await openStore(directory);
    for (const { id, memory } of [captured[0], captured[2]] as Captured[]) {
      await expectMemory(store.snapshot(id), memory, newPath);
    }
  });

  test('that are short come back with their lengths', async () => {
    const directory = newPath();
    const short = (size: number): Memory => ({
      spaces: new Map(),
      files: new Map([
        ['a.img', Buffer.concat([randomPage(1), randomPage(2).subarray(0, size)])],
        ['b.img', randomPage(3).subarray(0, 77)],
      ]),
    });
    const captured = [await capture(directory, short(1000))];
    await damageFull(directory);
    expect(await lostIds(directory)).toHaveLength(1);
    captured.push(await capture(directory, short(1000), 'u'));
    captured.push(await capture(directory, short(1001), 'v'));
    expect((await repair(directory)).healedPages).toBeGreaterThan(2);
    await expectWhole(directory, captured);
  });
});

describe('a repair that heals, cut off', () => {
  test('after its pack is there, or after its catalog, is completed by the next one', async () => {
    const { directory, captured } = await makeTwo();
    const pack = await damageFull(directory);
    await lostIds(directory);
    const [{ memory }] = captured as [Captured];
    captured.push(await capture(directory, halfOf(memory), 'half'));
    const before = newPath();
    cpSync(directory, before, { recursive: true });
    const whole = await repair(directory);
    // Its pack is there, and the old catalog.
    const early = newPath();
    cpSync(before, early, { recursive: true });
    cpSync(join(directory, 'packs'), join(early, 'packs'), { recursive: true });
    // Its catalog is there, and the damaged pack in its place.
    const late = newPath();
    cpSync(directory, late, { recursive: true });
    const place = join(late, pack.path.slice(directory.length));
    cpSync(join(before, pack.path.slice(directory.length)), place);
    for (const cut of [early, late]) {
      const report = await repair(cut);
      expect(report).toMatchObject({ healedPages: 0, snapshots: { lost: whole.snapshots.lost } });
      expect(packFiles(cut)).toHaveLength(3);
      expect(await repair(cut)).toMatchObject({ catalog: 'kept', changes: [] });
      const all = [...captured, await capture(cut, memory, 'another')];
      expect(await repair(cut)).toMatchObject({ healedPages: 32, snapshots: { lost: [] } });
      await expectWhole(cut, all);
      await expectCollects(cut, all);
    }
  });
});

test('a page that was changed by a few bytes does not heal what it was', async () => {
  const { directory, captured } = await makeTwo();
  // None but pages of memory are in it.
  await damageFull(directory, 1);
  await lostIds(directory);
  const [{ memory }] = captured as [Captured];
  const pages = new Map(memory.spaces.get('pagemap-1'));
  for (const [address, page] of pages) pages.set(address, withBytes(page, 9, Buffer.from('other')));
  captured.push(await capture(directory, { ...memory, spaces: new Map([['pagemap-1', pages]]) }));
  const report = await repair(directory);
  expect(report).toMatchObject({ healedPages: 0, catalog: 'kept' });
  expect(report.snapshots.lost).toHaveLength(2);
});
