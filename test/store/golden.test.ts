/** Golden stores: what a version wrote, this one reads, and goes on with. */
import { readFileSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SnapshotStore } from '../../src/index.ts';
import { goldenPath, readGolden, unpackGolden, writeGolden } from '../support/golden-store.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

if (process.env['CRIU_TIMELINE_GOLDEN'] === 'write') await writeGolden(4, newPath);

test.each([1, 2, 3, 4])(
  'a store whose catalog has version %d is read, verified, repaired and gone on with',
  async (version) => {
    expect(statSync(`${goldenPath(version)}.tar.zst`).size).toBeLessThan(200_000);
    const expected = JSON.parse(readFileSync(`${goldenPath(version)}.json`, 'utf8')) as unknown[];
    expect(expected.length).toBeGreaterThan(5);
    const directory = newPath();
    unpackGolden(version, directory);
    const store = await openStore(directory);
    expect(JSON.parse(JSON.stringify(await readGolden(store, newPath)))).toEqual(expected);
    expect((await store.verify()).problems).toEqual([]);
    const images = makeDump(newPath(), 3);
    const next = await store.timeline('dumps').capture({ images });
    expect(next.sequence).toBe(4);
    await expectRestores(next, images);
    await store.close();
    expect(await SnapshotStore.repair(directory, { level: 'packs' })).toMatchObject({
      catalog: 'kept',
      snapshots: { lost: [] },
    });
  },
);
