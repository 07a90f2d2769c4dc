/**
 * What importing and exporting are for: podman checkpoints a running container into archives, they
 * go into a timeline, the container is removed, and podman brings it back from what comes out, as
 * of any of the moments, with its memory and its files.
 */
import { hash } from 'node:crypto';
import { createReadStream, existsSync, lstatSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { decompress } from 'zstd-napi';
import type { Snapshot, SnapshotStore } from '../../src/index.ts';
import { documentOf, run } from '../cli/program.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';
import { PodmanStage, findPodman, logUpTo, type Moment } from './podman.ts';

const driver = findPodman();

/** How podman compresses the archives that are imported, in this order. */
const COMPRESSIONS = ['none', 'gzip', 'zstd'] as const;

/** What an archive is before it is compressed. */
function unpacked(archive: string): Uint8Array {
  const bytes = readFileSync(archive);
  if (archive.endsWith('gzip')) return gunzipSync(bytes);
  return archive.endsWith('zstd') ? decompress(bytes) : bytes;
}

describe.skipIf(driver === undefined)('a timeline of the archives of podman', () => {
  let stage: PodmanStage;
  let store: SnapshotStore;
  const moments: Moment[] = [];
  const snapshots: Snapshot[] = [];
  const closers: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    stage = new PodmanStage(driver ?? 'vfs');
    closers.push(() => stage.close());
    store = await openUnmanaged(stage.path('store'), { create: true });
    closers.push(() => store.close());
    const container = await stage.start();
    for (const compression of COMPRESSIONS) {
      await container.countAbove((moments.at(-1)?.count ?? 0) + 20);
      moments.push(await container.hold());
      await container.checkpoint(stage.path(compression), compression);
      await container.goOn();
    }
    await container.remove();
    const timeline = store.timeline('counting');
    snapshots.push(await timeline.import(stage.path('none')));
    snapshots.push(await timeline.import(createReadStream(stage.path('gzip'))));
    snapshots.push(await timeline.import(stage.path('zstd')));
  });

  afterAll(async () => {
    for (const close of closers.reverse()) await close();
  });

  /** Restores the container from an archive, and lets it prove that it is that of the moment. */
  async function expectToGoOn(archive: string, moment: Moment | undefined): Promise<void> {
    const container = await stage.restore(archive);
    onTestFinished(() => container.remove());
    const first = await container.moment();
    expect(first).toEqual({ ...moment, ticks: expect.any(Number) });
    expect(first.ticks).toBeGreaterThanOrEqual(moment?.ticks ?? Infinity);
    await container.goOn();
    await container.countAbove(first.count + 20);
    const later = await container.hold();
    // The next number comes from memory: with memory of another moment, the log would not go on.
    expect(later.log).toBe(logUpTo(later.count));
    expect(later.ticks).toBeGreaterThan(first.ticks);
  }

  test('brings a removed container back to a moment in the middle', async () => {
    expect(moments[0]?.count).toBeLessThan(moments[1]?.count ?? 0);
    expect(moments[1]?.count).toBeLessThan(moments[2]?.count ?? 0);
    await snapshots[1]?.export(stage.path('middle'), { compression: 'zstd' });
    await expectToGoOn(stage.path('middle'), moments[1]);
  });

  test.each(COMPRESSIONS)('gives back the archive of compression %s to the byte', async (name) => {
    const exported = stage.path(`exported-${name}`);
    await snapshots[COMPRESSIONS.indexOf(name)]?.export(exported, { compression: 'none' });
    const archive = unpacked(stage.path(name));
    expect(archive.length).toBeGreaterThan(256 * 1024);
    // Not the bytes themselves: what tells where they differ would take minutes.
    expect(hash('sha256', readFileSync(exported))).toBe(hash('sha256', archive));
  });

  test('restores the images and, beside them, the files of the moment', async () => {
    for (const [index, moment] of moments.entries()) {
      const files = stage.path(`files-${index}`);
      await snapshots[index]?.restore(stage.path(`images-${index}`), { files });
      expect(existsSync(stage.path(`images-${index}/inventory.img`))).toBe(true);
      expect(readFileSync(`${files}/srv/log`, 'utf8')).toBe(moment.log);
      expect(readFileSync(`${files}/srv/count`, 'utf8')).toBe(`${moment.count}\n`);
      expect(hash('sha256', readFileSync(`${files}/srv/table`))).toBe(moment.tableDigest);
      // What the container has not changed is not there, and what it has deleted is a whiteout.
      expect(existsSync(`${files}/srv/kept`)).toBe(false);
      const whiteout = lstatSync(`${files}/srv/deleted`);
      expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0]);
    }
  });

  test('is also made and read by the command line', async () => {
    const other = stage.path('other-store');
    const [archive, back] = [stage.path('zstd'), stage.path('back')];
    const { id } = await documentOf('import', '--store', other, 'counting', archive);
    expect(id).toEqual(expect.any(String));
    const { status, stderr } = await run('export', '--store', other, String(id), back);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    await expectToGoOn(back, moments[2]);
  });
});
