/** Repairs that are killed between two calls: the next one goes on, and leaves no second names. */
import { existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { SnapshotStore } from '../../src/index.ts';
import { watchedFiles } from '../support/faulty-files.ts';
import { copyStore, expectWhole, makeRichStore, type RichStore } from '../support/repairs.ts';
import { packFiles } from '../support/store-contents.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const original = makeRichStore(newPath);
/** Calls that change names: a kill leaves all before it, and nothing after it. */
const CHANGES: readonly string[] = ['link', 'unlink', 'rename', 'mkdir', 'removeTree'];

/** Repairs until so many names have changed; returns whether that was before the end. */
async function repairAndDie(directory: string, changes: number): Promise<boolean> {
  let left = changes;
  const files = watchedFiles((call) => {
    if (CHANGES.includes(call) && left-- <= 0) throw new Error('killed');
  });
  return await SnapshotStore.repair(directory, { files }).then(
    () => false,
    () => true,
  );
}

async function expectMended(rich: RichStore): Promise<void> {
  await SnapshotStore.repair(rich.directory);
  const again = await SnapshotStore.repair(rich.directory, { level: 'packs' });
  expect(again).toMatchObject({ catalog: 'kept', changes: [], packs: { damaged: [] } });
  await expectWhole(rich, { states: true });
}

test.each([2, 3])('while it moves %d packs that have exchanged their names', async (count) => {
  const names = packFiles((await original).directory).map((path) => path.slice(-70));
  for (let changes = 0, isCut = true; isCut; changes++) {
    const rich = copyStore(await original, newPath());
    const paths = packFiles(rich.directory).slice(0, count);
    for (const path of paths) renameSync(path, `${path}.away`);
    paths.forEach((path, i) => {
      renameSync(`${path}.away`, paths[(i + 1) % count] ?? '');
    });
    isCut = await repairAndDie(rich.directory, changes);
    await expectMended(rich);
    const left = packFiles(rich.directory);
    // A catalog that is built again takes a pack of states along.
    expect(left.map((path) => path.slice(-70))).toEqual(expect.arrayContaining(names));
    expect(left.filter((path) => statSync(path).nlink !== 1)).toEqual([]);
    expect(left.filter((path) => !path.endsWith('.pack'))).toEqual([]);
    rmSync(rich.directory, { recursive: true });
  }
});

test('while the new catalog gets its name', async () => {
  const rich = copyStore(await original, newPath());
  const catalog = join(rich.directory, 'catalog.sqlite');
  for (const end of ['', '-wal', '-shm']) rmSync(catalog + end, { force: true });
  const files = watchedFiles((call, [path]) => {
    if (call === 'unlink' && String(path).endsWith('repaired.sqlite')) throw new Error('killed');
  });
  await expect(SnapshotStore.repair(rich.directory, { files })).rejects.toThrow('killed');
  expect(statSync(catalog).nlink).toBe(2);
  await SnapshotStore.repair(rich.directory);
  expect(statSync(catalog).nlink).toBe(1);
  await expectWhole(rich, { states: false });
});

test('strange files of one name in several directories are all set aside', async () => {
  const rich = copyStore(await original, newPath());
  const directories = [...new Set(packFiles(rich.directory).map((path) => dirname(path)))];
  const strange = directories.slice(0, 3).map((path) => join(path, 'notes.txt'));
  for (const path of strange) writeFileSync(path, path);
  const report = await SnapshotStore.repair(rich.directory);
  expect(report.packs.damaged).toHaveLength(3);
  expect(strange.some((path) => existsSync(path))).toBe(false);
  await expectMended(rich);
});
