/**
 * Damage under container files that have not changed: files that are not read are never found to be
 * lost, so once damage is known, everything is read again and stored whole.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  countingDoor,
  expectFiles,
  letSettle,
  listingOf,
  nextStamp,
  openFilesStore,
  python,
} from '../support/captured-files.ts';
import { damageBlock } from '../support/damaged-store.ts';
import { expectFailure } from '../support/failures.ts';
import { openStore } from '../support/stores.ts';
import { packsOf } from '../support/store-contents.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

const MADE = `
os.mkdir('a'); os.mkdir('b')
for i in range(30): write(f'a/{i}', noise(i, 9000))
write('large', noise(99, 400000))`;

/** A store with two snapshots of a tree, closed again. */
async function closedStore(): Promise<{ directory: string; images: string; upper: string }> {
  letSettle();
  const { capture, store, images } = await openFilesStore(newPath);
  const upper = python(newPath(), MADE);
  nextStamp();
  await capture(upper);
  await capture(upper);
  await store.close();
  return { directory: store.directory, images, upper };
}

const firstPack = async (directory: string) => {
  const [pack] = await packsOf(directory);
  if (pack === undefined) throw new Error('no pack');
  return pack;
};

/** Ways to lose what the first snapshot stored. */
const DAMAGES: readonly (readonly [string, (directory: string) => Promise<void>])[] = [
  [
    'one frame is damaged',
    async (directory) => {
      const { path, frames } = await firstPack(directory);
      const { offset, blockBytes } = frames.at(-2) ?? frames[0]!;
      damageBlock(path, offset, blockBytes);
    },
  ],
  [
    'every frame is damaged',
    async (directory) => {
      const { path, frames } = await firstPack(directory);
      for (const { offset, blockBytes } of frames) damageBlock(path, offset, blockBytes);
    },
  ],
  ['the pack is gone', async (directory) => rmSync((await firstPack(directory)).path)],
  [
    'the pack is cut off',
    async (directory) => {
      const { path } = await firstPack(directory);
      const bytes = readFileSync(path);
      rmSync(path);
      writeFileSync(path, bytes.subarray(0, bytes.length / 2));
    },
  ],
];

describe.each(DAMAGES)('after %s', (_, damage) => {
  test('and was found by verify, the next capture is whole, of an open store too', async () => {
    const { directory, images, upper } = await closedStore();
    await damage(directory);
    const { files, opened } = countingDoor();
    const store = await openStore(directory, { files });
    expect((await store.verify()).problems).not.toEqual([]);
    const capture = async () => await store.timeline('t').capture({ images, files: upper });
    await expectFiles(await capture(), listingOf(upper), newPath);
    expect(opened()).toBeGreaterThanOrEqual(31);
    await expectFiles(await capture(), listingOf(upper), newPath);
    // And with a change, on top of what was stored again.
    python(upper, `write('a/3', b'changed', 'r+b')`);
    nextStamp();
    await expectFiles(await capture(), listingOf(upper), newPath);
  });

  test('and was found by a restore in another process, the next capture is whole', async () => {
    const { directory, images, upper } = await closedStore();
    await damage(directory);
    const store = await openStore(directory);
    const files = newPath();
    const restore = () => store.snapshot('t@2').restore(newPath(), { files });
    await expectFailure(restore, { code: 'CORRUPT' });
    expect(() => readdirSync(files)).toThrow(/ENOENT/);
    await store.close();
    const again = await openStore(directory);
    const snapshot = await again.timeline('t').capture({ images, files: upper });
    await expectFiles(snapshot, listingOf(upper), newPath);
  });

  test('that nobody has found, a capture succeeds, and comes out whole or CORRUPT', async () => {
    const { directory, images, upper } = await closedStore();
    await damage(directory);
    const store = await openStore(directory);
    python(upper, `write('a/3', b'changed', 'r+b'); write('new', b'1')`);
    nextStamp();
    const snapshot = await store.timeline('t').capture({ images, files: upper });
    try {
      await expectFiles(snapshot, listingOf(upper), newPath);
    } catch (error) {
      expect(error).toMatchObject({ code: 'CORRUPT' });
      // Now it is known.
      const next = await store.timeline('t').capture({ images, files: upper });
      await expectFiles(next, listingOf(upper), newPath);
    }
  });
});

describe('every block of a store, damaged by itself', () => {
  test('fails no capture, and the one after it is found is whole', async () => {
    const { directory, images, upper } = await closedStore();
    const { path, frames, manifestOffset } = await firstPack(directory);
    const original = readFileSync(path);
    const places = [...frames.map(({ offset, blockBytes }) => offset + (blockBytes >>> 1))];
    places.push(manifestOffset + 60, original.length - 30, 20);
    for (const place of places) {
      const copy = newPath();
      python(newPath(), `shutil.copytree('${directory}', '${copy}')`);
      const damaged = Buffer.from(original);
      damaged.writeUInt8(damaged.readUInt8(place) ^ 16, place);
      const pack = path.replace(directory, copy);
      rmSync(pack);
      writeFileSync(pack, damaged);
      const store = await openStore(copy);
      const capture = async () => await store.timeline('t').capture({ images, files: upper });
      await capture();
      await store.verify();
      await expectFiles(await capture(), listingOf(upper), newPath);
      await store.close();
      rmSync(join(copy, 'packs'), { recursive: true });
    }
  });
});
