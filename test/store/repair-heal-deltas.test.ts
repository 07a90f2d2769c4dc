/**
 * Healing of what has no digests beside it: lost pages of deltas, and those of packs that are gone.
 * What they were is known from heads, and from leaves that are the same.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { expectMemory, firstMemory } from '../support/collected-stores.ts';
import { damageBlock } from '../support/damaged-store.ts';
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
import { type Memory, randomPage, withBytes } from '../support/made-memory.ts';
import {
  packFiles,
  packsOf,
  type StoredFrame,
  type StoredPack,
} from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** Pages of the first capture: four frames, the last of which is not full. */
const PAGES = 230;

/** Captures of a memory that changes, each of deltas upon those of the one before. */
async function makeSeries(count: number): Promise<{ directory: string; captured: Captured[] }> {
  const directory = newPath();
  let memory = firstMemory(PAGES);
  const captured = [await capture(directory, memory)];
  for (let moment = 1; moment < count; moment++) {
    memory = nextMemory(memory, moment);
    captured.push(await capture(directory, memory));
  }
  return { directory, captured };
}

/** Every fourth page is another one by a byte: always the same pages, so that chains grow. */
function nextMemory(memory: Memory, moment: number): Memory {
  const pages = new Map(memory.spaces.get('pagemap-1'));
  for (const [address, page] of pages) {
    if (address % 4 === 0) pages.set(address, withBytes(page, 8 * moment, Buffer.of(moment)));
  }
  return { ...memory, spaces: new Map([['pagemap-1', pages]]) };
}

describe('deltas of a damaged frame', () => {
  test.each([true, false])(
    'come back when a later capture has brought the same leaf again; heads are there: %s',
    async (hasHeads) => {
      const { directory, captured } = await makeSeries(4);
      const [, second, third, fourth] = captured as [Captured, Captured, Captured, Captured];
      await damageDeltas(directory, 1);
      expect(await lostIds(directory)).toEqual([second.id, third.id, fourth.id].sort());
      captured.push(await capture(directory, second.memory, 'another'));
      if (!hasHeads) rmSync(join(directory, 'cache'), { recursive: true });
      const report = await repair(directory);
      // Those of the third and fourth stand on them, and are whole with them.
      expect(report).toMatchObject({ catalog: 'rebuilt', snapshots: { lost: [], whole: 5 } });
      expect(report.healedPages).toBeGreaterThanOrEqual(58);
      await expectWhole(directory, captured);
      expect(await repair(directory, 'packs')).toMatchObject({ catalog: 'kept', healedPages: 0 });
      await expectCollects(directory, captured);
      captured.push(await capture(directory, nextMemory(fourth.memory, 9)));
      await expectWhole(directory, captured);
    },
  );

  test('come back in part, page by page, where heads tell what stands on them', async () => {
    const { directory, captured } = await makeSeries(3);
    const [, second, third] = captured as [Captured, Captured, Captured];
    await damageDeltas(directory, 1);
    expect(await lostIds(directory)).toEqual([second.id, third.id].sort());
    // Half of what changed before changes once more: no leaf is the same.
    const pages = new Map(third.memory.spaces.get('pagemap-1'));
    const changed = [...pages].filter(([address]) => address % 8 === 0);
    for (const [address, page] of changed) {
      pages.set(address, withBytes(page, 2000, Buffer.from('once more')));
    }
    const memory = { ...third.memory, spaces: new Map([['pagemap-1', pages]]) };
    captured.push(await capture(directory, memory));
    // And heads of a time when all was there are kept, however often it is captured since.
    captured.push(await capture(directory, nextMemory(memory, 7)));
    captured.push(await capture(directory, nextMemory(memory, 8)));
    const report = await repair(directory);
    const perPage = (id: string) =>
      report.snapshots.lost
        .filter((snapshot) => snapshot.id === id)
        .flatMap(({ spaces }) => spaces)
        .reduce((sum, { lostBytes }) => sum + lostBytes / 4096, 0);
    // Of the third, those that the fourth has as well are there again.
    expect(perPage(third.id)).toBe(changed.length);
    expect(perPage(second.id)).toBe(
      [...pages.keys()].filter((address) => address % 4 === 0).length,
    );
    expect(report.healedPages).toBe(perPage(second.id) - changed.length);
    const whole = captured.filter(({ id }) => id !== second.id && id !== third.id);
    await (async () => {
      await using store = await openStore(directory);
      for (const { id, memory: expected } of whole) {
        await expectMemory(store.snapshot(id), expected, newPath);
      }
    })();
    await expectPart(directory, third, changed.length);
    expect(await repair(directory, 'packs')).toMatchObject({ catalog: 'kept', changes: [] });
    // The rest, of both.
    captured.push(await capture(directory, third.memory, 'u'));
    captured.push(await capture(directory, second.memory, 'v'));
    expect((await repair(directory)).snapshots.lost).toEqual([]);
    await expectWhole(directory, captured);
    await expectCollects(directory, captured);
  });

  test('make a chain shorter than it says, on which later captures stand', async () => {
    const { directory, captured } = await makeSeries(4);
    const third = captured[2] as Captured;
    await damageDeltas(directory, 2);
    await lostIds(directory);
    captured.push(await capture(directory, third.memory, 'another'));
    expect((await repair(directory)).snapshots.lost).toEqual([]);
    // Chains of two deltas, the upper one of which says that it is the third.
    for (const moment of [4, 5]) {
      captured.push(await capture(directory, nextMemory((captured[3] as Captured).memory, moment)));
    }
    await expectWhole(directory, captured);
    await expectCollects(directory, captured);
  });

  test('in pieces are all found, and what each stands on stays when it is collected', async () => {
    const { directory, captured } = await makeSeries(2);
    const second = captured[1] as Captured;
    await damageDeltas(directory, 1);
    await lostIds(directory);
    // Some of the pages that are lost, then others, as full pages of other timelines.
    const pages = [...(second.memory.spaces.get('pagemap-1') as Map<number, Buffer>)];
    let left = 58;
    for (const [timeline, rests] of [
      ['u', [0]],
      ['v', [4]],
      ['w', [8, 12]],
    ] as const) {
      const some = pages.filter(([address]) => rests.some((rest) => address % 16 === rest));
      const memory = { spaces: new Map([['pagemap-1', new Map(some)]]), files: new Map() };
      captured.push(await capture(directory, memory, timeline));
      const { snapshots, healedPages } = await repair(directory);
      expect(healedPages).toBe(some.length);
      left -= some.length;
      const lost = snapshots.lost.flatMap(({ spaces }) => spaces.map(({ lostBytes }) => lostBytes));
      expect(lost).toEqual(left === 0 ? [] : [left * 4096]);
      const again = await repair(directory, 'packs');
      expect(again).toMatchObject({ catalog: 'kept', changes: [], healedPages: 0 });
    }
    await expectWhole(directory, captured);
    await (async () => {
      await using store = await openStore(directory);
      for (const { id } of captured) if (id !== second.id) await store.snapshot(id).remove();
      const collected = await store.collect({ wasteThreshold: 0 });
      expect(collected).toMatchObject({ complete: true, damage: [], condemnedSnapshots: 4 });
    })();
    await expectCollects(directory, [second]);
    expect(await repair(directory, 'packs')).toMatchObject({ catalog: 'kept', changes: [] });
  });

  test('are healed beside damage that nobody has met before', async () => {
    const { directory, captured } = await makeSeries(2);
    const memory = nextMemory((captured[1] as Captured).memory, 2);
    const files = new Map([['new.img', randomPage(77)]]);
    captured.push(await capture(directory, { ...memory, files }));
    const third = captured[2] as Captured;
    const pack = (await packsOf(directory))[2] as StoredPack;
    await damageDeltas(directory, 1);
    await lostIds(directory);
    captured.push(await capture(directory, third.memory, 'another'));
    // Deltas of the third stand on what is lost, and a frame of it is damaged by now as well.
    const [frame] = pack.frames.filter(({ isDelta }) => !isDelta) as [StoredFrame];
    damageBlock(pack.path, frame.offset, frame.blockBytes);
    const report = await repair(directory);
    expect(report.healedPages).toBeGreaterThan(0);
    expect(await repair(directory)).toMatchObject({ catalog: 'kept', changes: [] });
    const lost = report.snapshots.lost.map(({ id }) => id).sort();
    expect(lost).toEqual(await lostIds(directory));
    captured.push(await capture(directory, third.memory, 'u'));
    captured.push(await capture(directory, (captured[1] as Captured).memory, 'v'));
    expect((await repair(directory)).snapshots.lost).toEqual([]);
    await expectWhole(directory, captured);
  });

  test('are written as full pages where only deltas have the same content', async () => {
    const { directory, captured } = await makeSeries(2);
    const second = captured[1] as Captured;
    // The same history in a timeline of its own: its full pages are those of the first.
    const [pack] = (await packsOf(directory)).slice(1) as [StoredPack];
    const other = await capture(directory, (captured[0] as Captured).memory, 'u');
    const same = await capture(directory, second.memory, 'u');
    captured.push(other, same);
    await damageDeltas(directory, 1);
    expect(await lostIds(directory)).toEqual([second.id]);
    expect(await repair(directory)).toMatchObject({ healedPages: 58, snapshots: { lost: [] } });
    expect(existsSync(pack.path)).toBe(false);
    await expectWhole(directory, captured);
    // And once more, when those are lost in turn.
    const healed = (await packsOf(directory)).find(({ snapshot }) => snapshot === second.id);
    const frames = healed?.frames.filter(({ isDelta }) => !isDelta) ?? [];
    expect(frames).toHaveLength(1);
    for (const { offset, blockBytes } of frames) {
      damageBlock((healed as StoredPack).path, offset, blockBytes);
    }
    expect(await lostIds(directory)).toEqual([second.id]);
    expect((await repair(directory)).snapshots.lost).toEqual([]);
    await expectWhole(directory, captured);
    expect(await repair(directory, 'packs')).toMatchObject({ catalog: 'kept', changes: [] });
    await expectCollects(directory, captured);
  });
});

/** Every other page of a memory. */
function halfOf(memory: Memory): Memory {
  const pages = [...(memory.spaces.get('pagemap-1') as Map<number, Buffer>)];
  const half = new Map(pages.filter((_, i) => i % 2 === 0));
  return { spaces: new Map([['pagemap-1', half]]), files: new Map() };
}

describe('pages of a pack that is gone', () => {
  test('come back in parts, as later captures bring them', async () => {
    const { directory, captured } = await makeSeries(2);
    const { memory } = captured[1] as Captured;
    const others = [await capture(directory, memory, 'u')];
    const [gone] = (await packsOf(directory)) as [StoredPack];
    rmSync(gone.path);
    expect(await lostIds(directory)).toContain((others[0] as Captured).id);
    others.push(await capture(directory, halfOf(memory), 'v'));
    const part = await repair(directory);
    expect(part.packs.healed.map(({ name }) => name)).toEqual([undefined]);
    const lost = part.snapshots.lost.find(({ id }) => id === (others[0] as Captured).id);
    expect(lost?.lost).toBe('partly');
    expect(await repair(directory, 'packs')).toMatchObject({ changes: [], healedPages: 0 });
    // The files beside the memory, too.
    others.push(await capture(directory, memory, 'v'));
    const rest = await repair(directory);
    expect(rest.healedPages).toBeGreaterThan(50);
    expect(rest.snapshots.lost.map(({ id }) => id)).not.toContain((others[0] as Captured).id);
    await expectWhole(directory, others);
    await expectCollects(directory, others);
  });

  test('are written under the same name when what was written is cut short', async () => {
    const { directory, captured } = await makeSeries(2);
    const { memory } = captured[1] as Captured;
    const others = [await capture(directory, memory, 'u')];
    rmSync(((await packsOf(directory)) as [StoredPack])[0].path);
    await lostIds(directory);
    others.push(await capture(directory, memory, 'v'));
    const first = await repair(directory);
    const newName = first.packs.healed[0]?.newName as string;
    const path = packFiles(directory).find((file) => file.includes(newName)) as string;
    writeFileSync(path, readFileSync(path).subarray(0, 5000));
    expect((await repair(directory, 'packs')).packs.healed).toMatchObject([{ newName }]);
    await expectWhole(directory, others);
    expect(await repair(directory, 'packs')).toMatchObject({ catalog: 'kept', changes: [] });
  });

  test.each([
    ['deleted', (path: string) => rmSync(path)],
    ['cut short', (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 5000))],
  ])('%s come back when a later capture has brought them again', async (_, damage) => {
    const { directory, captured } = await makeSeries(3);
    const [first, second, third] = captured as [Captured, Captured, Captured];
    // Whole recipes, of pages that the first timeline has.
    const others = [await capture(directory, third.memory, 'u')];
    others.push(await capture(directory, nextMemory(third.memory, 5), 'u'));
    const packs = await packsOf(directory);
    for (const { path } of packs.slice(0, 2)) damage(path);
    expect((await lostIds(directory)).length).toBeGreaterThan(2);
    others.push(await capture(directory, third.memory, 'v'));
    const report = await repair(directory);
    const ids = report.snapshots.lost.map(({ id }) => id).sort();
    // What these were has gone with their packs, and the third differs from the second.
    expect(ids).toEqual([first.id, second.id, third.id].sort());
    expect(report.packs.healed.find(({ name }) => name === undefined)?.pages).toBe(175);
    await expectWhole(directory, others);
    await expectCollects(directory, others);
    const again = await repair(directory, 'packs');
    expect(again).toMatchObject({ catalog: 'kept', changes: [], healedPages: 0 });
  });
});
