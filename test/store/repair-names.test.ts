/** Packs whose names were exchanged or changed: their bytes tell which they are. */
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type RepairReport, SnapshotStore } from '../../src/index.ts';
import { damageBlock } from '../support/damaged-store.ts';
import { copyStore, expectWhole, makeRichStore, type RichStore } from '../support/repairs.ts';
import { packsOf, type StoredPack } from '../support/store-contents.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const original = makeRichStore(newPath);

async function copyOfOriginal(): Promise<{ rich: RichStore; packs: StoredPack[] }> {
  const rich = copyStore(await original, newPath());
  return { rich, packs: await packsOf(rich.directory) };
}

async function repair(rich: RichStore, level: 'quick' | 'packs'): Promise<RepairReport> {
  const dry = await SnapshotStore.repair(rich.directory, { level, dryRun: true });
  const report = await SnapshotStore.repair(rich.directory, { level });
  expect({ ...report, dryRun: true }).toEqual(dry);
  return report;
}

const namesOf = (packs: readonly StoredPack[]) => packs.map(({ path }) => basename(path, '.pack'));

/** Everything is whole and in its place, and there is nothing left to do. */
async function expectMended(rich: RichStore, packs: readonly StoredPack[]): Promise<void> {
  expect(namesOf(await packsOf(rich.directory))).toEqual(namesOf(packs));
  const again = await SnapshotStore.repair(rich.directory, { level: 'packs' });
  expect(again).toMatchObject({
    catalog: 'kept',
    changes: [],
    packs: { renamed: [], damaged: [] },
  });
  await expectWhole(rich, { states: true });
}

/** Gives each of these packs the name of the next. */
function rotate(packs: readonly StoredPack[]): void {
  for (const { path } of packs) renameSync(path, `${path}.away`);
  packs.forEach(({ path }, i) => {
    renameSync(`${path}.away`, packs[(i + 1) % packs.length]?.path ?? '');
  });
}

describe.each(['quick', 'packs'] as const)('at level %s', (level) => {
  test.each([
    [0, 1],
    [3, 4],
    [1, 4, 7],
  ])('packs that have each other’s names get their own again (%d, %d …)', async (...indexes) => {
    const { rich, packs } = await copyOfOriginal();
    const rotated = indexes.map((index) => packs[index] as StoredPack);
    rotate(rotated);
    const report = await repair(rich, level);
    expect(report).toMatchObject({ catalog: 'kept', snapshots: { lost: [] } });
    expect(report.packs.renamed.map(({ name }) => name).sort()).toEqual(namesOf(rotated).sort());
    expect(report.changes).toHaveLength(rotated.length);
    await expectMended(rich, packs);
  });

  test.each([
    ['another pack’s', (path: string) => path.replace(/.{6}\.pack$/, '000000.pack')],
    ['no pack’s', (path: string) => `${path}.bak`],
    ['its own, elsewhere', (path: string) => join(dirname(path), '..', basename(path))],
  ])('a pack whose name is %s gets its own again', async (_, change) => {
    const { rich, packs } = await copyOfOriginal();
    const { path } = packs[3] as StoredPack;
    renameSync(path, change(path));
    const report = await repair(rich, level);
    expect(report).toMatchObject({ catalog: 'kept', snapshots: { lost: [] } });
    expect(report.packs.renamed).toEqual([{ path: change(path), name: basename(path, '.pack') }]);
    await expectMended(rich, packs);
  });

  test('a pack beside itself is taken away, or replaces it if that is damaged', async () => {
    const { rich, packs } = await copyOfOriginal();
    const { path, frames } = packs[3] as StoredPack;
    cpSync(path, `${path}.copy`);
    expect((await repair(rich, level)).packs).toMatchObject({ renamed: [] });
    expect(readdirSync(dirname(path)).filter((name) => name.endsWith('.copy'))).toEqual([]);
    cpSync(path, `${path}.copy`);
    const bytes = readFileSync(path);
    const [frame] = frames;
    damageBlock(path, frame?.offset ?? 0, frame?.blockBytes ?? 0);
    const report = await repair(rich, level);
    expect(report.packs).toMatchObject({ renamed: [{ path: `${path}.copy` }] });
    expect(readFileSync(path).equals(bytes)).toBe(true);
    chmodSync(path, 0o400);
    await expectMended(rich, packs);
  });

  test('a renaming that was cut off is completed', async () => {
    const { rich, packs } = await copyOfOriginal();
    const { path } = packs[4] as StoredPack;
    renameSync(path, `${path}.moving`);
    expect((await repair(rich, level)).packs.renamed).toHaveLength(1);
    await expectMended(rich, packs);
  });
});

test('a pack under another’s name, without a catalog, is found out when all is read', async () => {
  const { rich, packs } = await copyOfOriginal();
  rotate(packs.slice(3, 5));
  rmSync(join(rich.directory, 'catalog.sqlite'));
  const report = await repair(rich, 'packs');
  expect(report.packs.renamed).toHaveLength(2);
  expect(report).toMatchObject({ catalog: 'rebuilt', snapshots: { lost: [] } });
  expect(namesOf(await packsOf(rich.directory))).toEqual(namesOf(packs));
  await expectWhole(rich);
});

test('a pack that is damaged keeps its name, whatever its bytes say', async () => {
  const { rich, packs } = await copyOfOriginal();
  const { path, frames } = packs[3] as StoredPack;
  const [frame] = frames;
  damageBlock(path, frame?.offset ?? 0, frame?.blockBytes ?? 0);
  mkdirSync(join(rich.directory, 'packs', 'zz'));
  const report = await repair(rich, 'packs');
  expect(report.packs.renamed).toEqual([]);
  expect(report.packs.damaged).toMatchObject([{ name: basename(path, '.pack'), now: 'kept' }]);
});
