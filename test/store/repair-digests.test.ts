/**
 * Damage to the digests that a pack keeps of its full pages: no page is lost with them, and a
 * repair computes them once more.
 */
import { hash } from 'node:crypto';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BlockPlace } from '../../src/pack/footer.ts';
import { firstMemory, laterMemory } from '../support/collected-stores.ts';
import { damageBlock } from '../support/damaged-store.ts';
import {
  capture,
  type Captured,
  damageEntry,
  expectCollects,
  expectPart,
  expectWhole,
  lostIds,
  missingPages,
  repair,
} from '../support/healed-stores.ts';
import type { Memory } from '../support/made-memory.ts';
import {
  packFiles,
  packsOf,
  readPack,
  type StoredFrame,
  type StoredPack,
} from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const PAGES = 230;

/** Two captures, the second of deltas and new pages on the first. */
async function makeTwo(): Promise<{ directory: string; captured: Captured[]; pack: StoredPack }> {
  const directory = newPath();
  const first = firstMemory(PAGES);
  const captured = [
    await capture(directory, first),
    await capture(directory, laterMemory(first, 1)),
  ];
  const [pack] = (await packsOf(directory)) as [StoredPack];
  return { directory, captured, pack };
}

function damageDigests({ path, digests }: StoredPack): void {
  expect(digests.length).toBeGreaterThan(0);
  for (const { offset, blockBytes } of digests) damageBlock(path, offset, blockBytes);
}

function damageFrame({ path, frames }: StoredPack, number: number): void {
  const frame = frames.filter(({ isDelta }) => !isDelta)[number] as StoredFrame;
  damageBlock(path, frame.offset, frame.blockBytes);
}

describe('damaged digests of a pack', () => {
  test('are found, and lose no page of any snapshot', async () => {
    const { directory, captured, pack } = await makeTwo();
    damageDigests(pack);
    await using store = await openStore(directory);
    const { problems } = await store.verify({ level: 'snapshots' });
    expect(problems.map(({ file }) => file)).toEqual(problems.map(() => pack.path));
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.filter(({ snapshot }) => snapshot !== undefined)).toEqual([]);
    for (const { id } of captured) await store.snapshot(id).restore(newPath());
  });

  test('are computed once more by a repair: the pack is again what it was', async () => {
    const { directory, captured, pack } = await makeTwo();
    damageDigests(pack);
    await lostIds(directory);
    const report = await repair(directory);
    const name = basename(pack.path, '.pack');
    expect(report.packs.healed).toEqual([{ name, newName: name, pages: 0 }]);
    expect(report.changes).toContainEqual(expect.stringMatching(/its digests were computed/));
    expect(report.snapshots).toMatchObject({ whole: 2, lost: [] });
    expect(hash('sha256', readFileSync(pack.path))).toBe(name);
    await expectWhole(directory, captured);
    const again = await repair(directory, 'packs');
    expect(again).toMatchObject({ catalog: 'kept', changes: [], healedPages: 0 });
    await expectCollects(directory, captured);
  });

  test.each(['heads', 'nothing'])(
    'with lost pages of which %s tells come back as those do, once they are captured again',
    async (teller) => {
      const { directory, captured, pack } = await makeTwo();
      damageDigests(pack);
      damageFrame(pack, 1);
      if (teller === 'nothing') rmSync(join(directory, 'cache'), { recursive: true });
      const ids = captured.map(({ id }) => id);
      expect(await lostIds(directory)).toEqual([...ids].sort());
      const first = await repair(directory);
      // Whether anything was found or not, the digests that are there are right again.
      expect(first.packs.healed).toMatchObject([{ pages: 0 }]);
      expect(await lostIds(directory)).toEqual([...ids].sort());
      await expectPart(directory, captured[0] as Captured, 64);
      captured.push(await capture(directory, (captured[0] as Captured).memory));
      const second = await repair(directory);
      expect(second).toMatchObject({ healedPages: 64, snapshots: { whole: 3, lost: [] } });
      await expectWhole(directory, captured);
      await expectCollects(directory, captured);
    },
  );

  test('are no hindrance to finding the pages of another pack there', async () => {
    const { directory, captured, pack } = await makeTwo();
    damageFrame(pack, 0);
    await lostIds(directory);
    captured.push(await capture(directory, (captured[0] as Captured).memory, 'another'));
    const all = await packsOf(directory);
    for (const other of all.filter(({ path, digests }) => path !== pack.path && digests.length > 0))
      damageDigests(other);
    const report = await repair(directory, 'packs');
    expect(report).toMatchObject({ healedPages: 64, snapshots: { whole: 3, lost: [] } });
    await expectWhole(directory, captured);
  });
});

/** Where the digests of a pack are, and its first frame of full pages. */
async function partsOf(
  path: string,
): Promise<{ digests: BlockPlace[]; frame: BlockPlace | undefined }> {
  return await readPack(path, (reader) => {
    const { references, entries } = reader.footer;
    const tables = references.flatMap((_, local) => reader.frameTables(local));
    const frame = tables.find((table) => !table.isDelta(0))?.entryAt(0);
    return { digests: entries.filter(({ type }) => type === 'digests'), frame };
  });
}

describe('damaged digests of a pack that lacks more', () => {
  test('cost no page of the frames that another table lists', async () => {
    const { directory, captured } = await makeTwo();
    const [, pack] = (await packsOf(directory)) as [StoredPack, StoredPack];
    damageDigests(pack);
    // Of the tables, that of the deltas.
    await damageEntry(pack.path, 'frameTable', -1);
    rmSync(join(directory, 'cache'), { recursive: true });
    const [, second] = captured as [Captured, Captured];
    const before = await missingPages(directory, second);
    expect(before).toBeGreaterThan(0);
    await lostIds(directory);
    await repair(directory, 'packs');
    expect(await missingPages(directory, second)).toBe(before);
    expect(await repair(directory, 'packs')).toMatchObject({ changes: [] });
  });

  test('are left alone beside a damaged manifest: a second repair has nothing to do', async () => {
    const { directory, captured } = await makeTwo();
    const [, pack] = (await packsOf(directory)) as [StoredPack, StoredPack];
    damageDigests(pack);
    await damageEntry(pack.path, 'manifest', -1);
    await lostIds(directory);
    await repair(directory, 'packs');
    expect(await repair(directory, 'packs')).toMatchObject({ catalog: 'kept', changes: [] });
    await using store = await openStore(directory);
    await store.snapshot((captured[0] as Captured).id).restore(newPath());
  });
});

/** Of more full pages than one block of digests is about. */
function largeMemory(pages: number): Memory {
  const page = (n: number): Buffer => {
    const bytes = Buffer.alloc(4096);
    bytes.writeUInt32LE(n + 1, 8);
    return bytes;
  };
  const made = new Map(Array.from({ length: pages }, (_, i) => [16 + i, page(i)]));
  return { spaces: new Map([['pagemap-1', made]]), files: new Map() };
}

test('a damaged copy of segments is not written again where another copy has all', async () => {
  const directory = newPath();
  const captured: Captured[] = [];
  for (let i = 0, memory = firstMemory(100); i < 4; i++, memory = laterMemory(memory, i)) {
    captured.push(await capture(directory, memory));
  }
  const before = newPath();
  await (async () => {
    await using store = await openStore(directory);
    for (const { id } of captured.splice(0, 1)) await store.snapshot(id).remove();
    cpSync(directory, before, { recursive: true });
    await store.collect({ wasteThreshold: 0 });
  })();
  const names = packFiles(before).map((path) => basename(path));
  for (const path of packFiles(directory)) {
    if (names.includes(basename(path))) continue;
    const { digests, frame } = await partsOf(path);
    if (frame === undefined) continue;
    for (const { offset, blockBytes } of [...digests, frame]) {
      damageBlock(path, offset, blockBytes);
    }
  }
  cpSync(join(before, 'packs'), join(directory, 'packs'), { recursive: true });
  await repair(directory, 'packs');
  expect(await repair(directory, 'packs')).toMatchObject({ changes: [] });
  await expectWhole(directory, captured);
});

test('one damaged block of digests does not cost those in another', async () => {
  const directory = newPath();
  const captured = [await capture(directory, largeMemory(8192 + 128))];
  const [pack] = (await packsOf(directory)) as [StoredPack];
  expect(pack.digests).toHaveLength(2);
  const [, second] = pack.digests as [BlockPlace, BlockPlace];
  damageBlock(pack.path, second.offset, second.blockBytes);
  damageFrame(pack, 1);
  // Nothing else tells what was lost.
  rmSync(join(directory, 'cache'), { recursive: true });
  await lostIds(directory);
  const first = await repair(directory);
  expect(first.packs.healed).toMatchObject([{ pages: 0 }]);
  captured.push(await capture(directory, largeMemory(128), 'another'));
  const again = await repair(directory);
  expect(again).toMatchObject({ healedPages: 64, snapshots: { whole: 2, lost: [] } });
  await expectWhole(directory, captured);
});
