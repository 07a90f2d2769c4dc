/**
 * Segments that several packs have, all of them damaged: a repair takes no page away that could be
 * read, and finds in one copy what another one lacks.
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { firstMemory, laterMemory } from '../support/collected-stores.ts';
import {
  capture,
  type Captured,
  damageEntry,
  expectCollects,
  lostIds,
  missingPages,
  repair,
} from '../support/healed-stores.ts';
import { type Memory, randomPage, withBytes } from '../support/made-memory.ts';
import { packFiles, readPack } from '../support/store-contents.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** Which tables a pack has: local number of the segment, and whether they are of deltas. */
async function tablesOf(path: string): Promise<string[]> {
  return await readPack(path, ({ footer }) =>
    footer.entries.flatMap((entry) =>
      entry.type === 'frameTable' ? [`${entry.segment}${entry.firstFrame > 0 ? 'd' : 'f'}`] : [],
    ),
  );
}

/** Removes a snapshot, and writes all packs once more; where copies of the former packs are. */
async function collectAll(directory: string, { id }: Captured): Promise<string> {
  const copies = newPath();
  cpSync(directory, copies, { recursive: true });
  await using store = await openStore(directory);
  await store.snapshot(id).remove();
  await store.collect({ wasteThreshold: 0 });
  return copies;
}

/** Of a memory of 200 pages, 100 others, and 40 changed by a byte. */
function changedMemory(memory: Memory): Memory {
  const pages = [...(memory.spaces.get('pagemap-1') as Map<number, Buffer>)];
  const changed = pages.map(([address, page], i): [number, Buffer] => {
    if (i < 100) return [address, randomPage(address + 9_000_000)];
    return [address, i < 140 ? withBytes(page, 8, Buffer.of(1)) : page];
  });
  return { ...memory, spaces: new Map([['pagemap-1', new Map(changed)]]) };
}

test('readers look where they did when another copy has more, but not the same', async () => {
  const directory = newPath();
  const first = firstMemory(200);
  const second = changedMemory(first);
  const pages = [...(second.spaces.get('pagemap-1') as Map<number, Buffer>)];
  const deltas = new Map(pages.slice(100, 140));
  const captured = [
    await capture(directory, first),
    await capture(directory, second),
    await capture(directory, { ...first, spaces: new Map([['pagemap-1', deltas]]) }),
  ] as [Captured, Captured, Captured];
  const before = packFiles(directory);
  const copies = await collectAll(directory, captured[0]);
  for (const path of packFiles(directory)) {
    const table = (await tablesOf(path)).indexOf('1f');
    if (table >= 0) await damageEntry(path, 'frameTable', table);
  }
  expect(await lostIds(directory)).toEqual([captured[1].id]);
  // The pack of the second is put back, with the other table damaged.
  for (const path of before) {
    const copy = join(copies, path.slice(directory.length));
    if (packFiles(directory).includes(path)) continue;
    if ((await tablesOf(copy)).join() !== '0f,0d') continue;
    cpSync(copy, path);
    await damageEntry(path, 'frameTable', 1);
  }
  const report = await repair(directory);
  // Between them they have everything.
  expect(report.snapshots.lost).toEqual([]);
  expect(await missingPages(directory, captured[1])).toBe(0);
  expect(await missingPages(directory, captured[2])).toBe(0);
  expect(await repair(directory, 'packs')).toMatchObject({ catalog: 'kept', changes: [] });
  await expectCollects(directory, captured.slice(1));
});

test('pages are healed once where two copies have deltas on what is lost', async () => {
  const directory = newPath();
  const first = firstMemory(130);
  const captured = [
    await capture(directory, first),
    await capture(directory, laterMemory(first, 1)),
  ] as [Captured, Captured];
  const before = packFiles(directory);
  const copies = await collectAll(directory, captured[0]);
  for (const path of before) cpSync(join(copies, path.slice(directory.length)), path);
  for (const path of packFiles(directory)) {
    const tables = (await tablesOf(path)).length;
    // The first segment, wherever it is.
    if (tables === 1 || tables === 3) await damageEntry(path, 'frameTable', 0);
  }
  await lostIds(directory);
  expect(await missingPages(directory, captured[1])).toBeGreaterThan(100);
  await capture(directory, captured[1].memory, 'u');
  const report = await repair(directory, 'packs');
  expect(report.snapshots.lost).toEqual([]);
  expect(report.packs.healed).toHaveLength(1);
  expect(await missingPages(directory, captured[1])).toBe(0);
  expect(await repair(directory, 'packs')).toMatchObject({ catalog: 'kept', changes: [] });
});
