/**
 * Damage to a frame table of a pack: what other tables list is as good as before, and what this one
 * listed comes back in its slots when later captures bring it.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BlockPlace } from '../../src/pack/footer.ts';
import { expectMemory, firstMemory, laterMemory } from '../support/collected-stores.ts';
import { damageBlock } from '../support/damaged-store.ts';
import {
  capture,
  type Captured,
  damageDeltas,
  damageEntry,
  expectCollects,
  expectWhole,
  lostIds,
  missingPages,
  repair,
} from '../support/healed-stores.ts';
import { type Memory, randomPage, writeDump } from '../support/made-memory.ts';
import { packFiles, packsOf, readPack, type StoredPack } from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** Captures of a memory that changes; the second and later ones have deltas and full pages. */
async function makeSeries(count: number): Promise<{ directory: string; captured: Captured[] }> {
  const directory = newPath();
  const captured: Captured[] = [];
  for (let i = 0, memory = firstMemory(230); i < count; memory = laterMemory(memory, ++i)) {
    captured.push(await capture(directory, memory));
  }
  return { directory, captured };
}

describe('what a damaged frame table listed', () => {
  test.each([
    ['full pages', 0, true],
    ['full pages', 0, false],
    ['deltas', 1, true],
    ['deltas', 1, false],
  ])('of %s (table %i) comes back later; heads are there: %s', async (_, table, hasHeads) => {
    const { directory, captured } = await makeSeries(2);
    const [, second] = captured as [Captured, Captured];
    const [, pack] = (await packsOf(directory)) as [StoredPack, StoredPack];
    await damageEntry(pack.path, 'frameTable', table);
    expect(await lostIds(directory)).toEqual([second.id]);
    // Nothing brings it yet.
    expect((await repair(directory)).healedPages).toBe(0);
    captured.push(await capture(directory, second.memory, 'another'));
    if (!hasHeads) rmSync(join(directory, 'cache'), { recursive: true });
    const report = await repair(directory);
    expect(report.snapshots).toMatchObject({ lost: [], whole: 3 });
    expect(report.healedPages).toBeGreaterThan(10);
    await expectWhole(directory, captured);
    expect(await repair(directory, 'packs')).toMatchObject({ catalog: 'kept', changes: [] });
    await expectCollects(directory, captured);
  });

  test('comes back in parts, and costs nothing of what other tables list', async () => {
    const { directory, captured } = await makeSeries(2);
    const [, second] = captured as [Captured, Captured];
    const [, pack] = (await packsOf(directory)) as [StoredPack, StoredPack];
    const deltas = pack.frames.filter(({ isDelta }) => isDelta);
    const full = pack.frames.filter(({ isDelta }) => !isDelta);
    const pagesOf = (frames: typeof deltas) => frames.reduce((sum, { pages }) => sum + pages, 0);
    await damageEntry(pack.path, 'frameTable', 0);
    expect(await missingPages(directory, second)).toBeLessThanOrEqual(pagesOf(full));
    await lostIds(directory);
    // The first half of what was lost, as the only pages of a container.
    const pages = [...(second.memory.spaces.get('pagemap-1') as Map<number, Buffer>)];
    const half = new Map(pages.slice(0, pages.length / 2));
    const before = await missingPages(directory, second);
    captured.push(
      await capture(directory, { spaces: new Map([['pagemap-1', half]]), files: new Map() }, 'u'),
    );
    const part = await repair(directory);
    expect(part.healedPages).toBeGreaterThan(0);
    expect(await missingPages(directory, second)).toBe(before - part.healedPages);
    expect(await repair(directory, 'packs')).toMatchObject({ changes: [], healedPages: 0 });
    captured.push(await capture(directory, second.memory, 'v'));
    expect((await repair(directory)).snapshots.lost).toEqual([]);
    await expectWhole(directory, captured);
    await expectCollects(directory, captured);
  });
});

/** A pack of two segments, the second of which has deltas, and a frame of the first. */
async function collectedPack(directory: string): Promise<[path: string, frame: BlockPlace]> {
  for (const path of packFiles(directory)) {
    const frame = await readPack(path, (reader) => {
      const tables = reader.footer.entries.filter((entry) => entry.type === 'frameTable');
      if (tables.map(({ segment }) => segment).join() !== '0,1,1') return undefined;
      return reader.frameTables(0)[0]?.entryAt(0);
    });
    if (frame !== undefined) return [path, frame];
  }
  throw new Error('no collected pack of two segments');
}

test('a damaged table of a collected pack costs no page of another table', async () => {
  const { directory, captured } = await makeSeries(4);
  await (async () => {
    await using store = await openStore(directory);
    await store.snapshot((captured[0] as Captured).id).remove();
    await store.collect({ wasteThreshold: 0 });
  })();
  captured.splice(0, 1);
  const [path, lost] = await collectedPack(directory);
  // Of the second segment there, the full pages; and of the first one, a frame.
  await damageEntry(path, 'frameTable', 1);
  damageBlock(path, lost.offset, lost.blockBytes);
  await lostIds(directory);
  rmSync(join(directory, 'cache'), { recursive: true });
  const missing = await Promise.all(captured.map((one) => missingPages(directory, one)));
  const last = captured.at(-1) as Captured;
  const fresh = [...(last.memory.spaces.get('pagemap-1') as Map<number, Buffer>)].slice(0, 40);
  await capture(
    directory,
    { spaces: new Map([['pagemap-1', new Map(fresh)]]), files: new Map() },
    'u',
  );
  await repair(directory);
  for (const [i, one] of captured.entries()) {
    expect(await missingPages(directory, one)).toBeLessThanOrEqual(missing[i] as number);
  }
  for (const [i, { memory }] of captured.entries()) await capture(directory, memory, `v${i}`);
  // What is left of the damage is in pages of the snapshot that was removed.
  expect((await repair(directory)).snapshots.lost).toEqual([]);
  await expectCollects(directory, captured);
});

/** What of a memory is in the one before it; the rest is other pages: no leaf is as it was. */
function keptPages(memory: Memory, before: Memory): Memory {
  const [pages, old] = [memory, before].map(({ spaces }) => spaces.get('pagemap-1')) as [
    Map<number, Buffer>,
    Map<number, Buffer>,
  ];
  const kept = [...pages].map(([address, page]): [number, Buffer] => {
    const isSame = old.get(address) === page;
    return [address, isSame ? page : randomPage(address + 7_000_000)];
  });
  return { spaces: new Map([['pagemap-1', new Map(kept)]]), files: memory.files };
}

describe('pages that only deltas stand on', () => {
  test.each(['is gone', 'has a damaged table'])(
    'are not taken for there when their pack %s, and what recipes need of it is found',
    async (how) => {
      const { directory, captured } = await makeSeries(2);
      const [first, second] = captured as [Captured, Captured];
      const [pack] = (await packsOf(directory)) as [StoredPack];
      await (async () => {
        await using store = await openStore(directory);
        await store.snapshot(first.id).remove();
        await store.collect({ wasteThreshold: 1 });
      })();
      if (how === 'is gone') rmSync(pack.path);
      else await damageEntry(pack.path, 'frameTable', 0);
      await capture(directory, keptPages(second.memory, first.memory), 'u');
      expect((await repair(directory)).snapshots.lost.map(({ id }) => id)).toEqual([second.id]);
      expect(await lostIds(directory)).toEqual([second.id]);
      await capture(directory, second.memory, 'v');
      expect((await repair(directory)).snapshots.lost).toEqual([]);
      await expectCollects(directory, [second]);
    },
  );
});

describe('a frame on record as lost that can be read again', () => {
  test.each(['quick', 'packs'] as const)(
    'is no hindrance to healing a table of its pack: %s',
    async (level) => {
      const { directory, captured } = await makeSeries(2);
      const [, second] = captured as [Captured, Captured];
      const [, { path }] = (await packsOf(directory)) as [StoredPack, StoredPack];
      const whole = readFileSync(path);
      await damageDeltas(directory, 1);
      expect(await lostIds(directory)).toEqual([second.id]);
      // The pack is put back from a copy, in which something else is damaged.
      writeFileSync(path, whole);
      await damageEntry(path, 'frameTable', 0);
      const pages = [...(second.memory.spaces.get('pagemap-1') as Map<number, Buffer>)];
      const fresh = new Map(pages.filter(([address]) => (address + 1) % 16 === 0));
      await capture(directory, { spaces: new Map([['pagemap-1', fresh]]), files: new Map() }, 'u');
      expect((await repair(directory, level)).snapshots.lost).toEqual([]);
      await expectWhole(directory, [second]);
      await expectCollects(directory, [second]);
    },
  );
});

test('captures of an open store refer to nothing that only a table in memory lists', async () => {
  const { directory, captured } = await makeSeries(3);
  const third = captured[2] as Captured;
  const { path } = (await packsOf(directory))[2] as StoredPack;
  const again = await (async () => {
    await using store = await openStore(directory);
    await store.snapshot(third.id).restore(newPath());
    await damageEntry(path, 'frameTable', 1);
    expect((await store.verify({ level: 'snapshots' })).problems).not.toEqual([]);
    const images = writeDump(newPath(), third.memory);
    return { ...third, id: (await store.timeline('t').capture({ images })).id };
  })();
  await using store = await openStore(directory);
  await expectMemory(store.snapshot(again.id), again.memory, newPath);
});
