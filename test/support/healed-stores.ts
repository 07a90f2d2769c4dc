/** Captures into stores that are damaged and healed, for tests of repairs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { SnapshotStore, StoreError, type RepairReport } from '../../src/index.ts';
import { expectMemory } from './collected-stores.ts';
import { damageBlock } from './damaged-store.ts';
import { type Memory, writeDump } from './made-memory.ts';
import { packFiles, packsOf, readPack, type StoredPack } from './store-contents.ts';
import { openStore } from './stores.ts';
import { temporaryPaths } from './temporary.ts';

const newPath = temporaryPaths();

/** A snapshot, and what was captured. */
export interface Captured {
  readonly id: string;
  readonly memory: Memory;
}

/** Captures a memory, by a store that is opened for it. */
export async function capture(
  directory: string,
  memory: Memory,
  timeline = 't',
): Promise<Captured> {
  await using store = await openStore(directory);
  const images = writeDump(newPath(), memory);
  const { id } = await store.timeline(timeline).capture({ images });
  return { id, memory };
}

/** Damages the frames of deltas of a capture. */
export async function damageDeltas(directory: string, number: number): Promise<void> {
  const pack = (await packsOf(directory))[number] as StoredPack;
  const frames = pack.frames.filter(({ isDelta }) => isDelta);
  if (frames.length === 0) throw new Error('no deltas there');
  for (const { offset, blockBytes } of frames) damageBlock(pack.path, offset, blockBytes);
}

/** Damages one of the blocks of a type that the footer of a pack lists, by its place among them. */
export async function damageEntry(
  path: string,
  type: 'frameTable' | 'manifest',
  number: number,
): Promise<void> {
  const entries = await readPack(path, ({ footer }) => footer.entries);
  const entry = entries.filter((listed) => listed.type === type).at(number);
  if (entry === undefined) throw new Error(`no such ${type} there`);
  damageBlock(path, entry.offset, entry.blockBytes);
}

/** Ids of the snapshots that verify finds problems with, which it has then recorded. */
export async function lostIds(directory: string): Promise<string[]> {
  await using store = await openStore(directory);
  const { problems } = await store.verify({ level: 'snapshots' });
  return [...new Set(problems.flatMap(({ snapshot }) => snapshot ?? []))].sort();
}

/** Fails unless everything is as it was captured. */
export async function expectWhole(directory: string, captured: readonly Captured[]): Promise<void> {
  await using store = await openStore(directory);
  for (const { id, memory } of captured) await expectMemory(store.snapshot(id), memory, newPath);
  const { problems, unknownPacks } = await store.verify({ level: 'snapshots' });
  expect({ problems, unknownPacks }).toEqual({ problems: [], unknownPacks: [] });
}

/** Also after a collection that writes everything once more. */
export async function expectCollects(
  directory: string,
  captured: readonly Captured[],
): Promise<void> {
  await (async () => {
    await using store = await openStore(directory);
    const before = await store.collect({ wasteThreshold: 0 });
    expect(before).toMatchObject({ complete: true, damage: [], unknownPacks: [] });
    expect(packFiles(directory)).toHaveLength(store.statistics().packs);
  })();
  await expectWhole(directory, captured);
}

/** Repairs, having asked what it would do. */
export async function repair(
  directory: string,
  level: 'quick' | 'packs' = 'quick',
): Promise<RepairReport> {
  const dry = await SnapshotStore.repair(directory, { level, dryRun: true });
  const report = await SnapshotStore.repair(directory, { level });
  expect({ ...report, dryRun: true }).toEqual(dry);
  return report;
}

/** A partial restore is exact but for so many pages, which it names. */
export async function expectPart(
  directory: string,
  captured: Captured,
  pages: number,
): Promise<void> {
  await using store = await openStore(directory);
  const [target, expected] = [newPath(), writeDump(newPath(), captured.memory)];
  const snapshot = store.snapshot(captured.id);
  const failure: unknown = await snapshot.restore(newPath()).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(StoreError);
  expect(failure).toMatchObject({ code: 'CORRUPT' });
  const { missing } = await snapshot.restore(target, { partial: true });
  const runs = missing.runs.filter(({ image }) => image === 'pages-1.img');
  expect(runs.reduce((sum, run) => sum + run.bytes, 0)).toBe(pages * 4096);
  const bytes = readFileSync(join(expected, 'pages-1.img'));
  for (const run of runs) bytes.fill(0, run.offset, run.offset + run.bytes);
  expect(readFileSync(join(target, 'pages-1.img')).equals(bytes)).toBe(true);
}

/** How many pages of memory a snapshot lacks. */
export async function missingPages(directory: string, { id }: Captured): Promise<number> {
  await using store = await openStore(directory);
  const { missing } = await store.snapshot(id).restore(newPath(), { partial: true });
  const runs = missing.runs.filter(({ image }) => image === 'pages-1.img');
  return runs.reduce((sum, { bytes }) => sum + bytes, 0) / 4096;
}
