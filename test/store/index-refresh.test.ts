/** The index follows the catalog: whatever becomes of its runs, every page is found again. */
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import { RunBuilder } from '../../src/index/run-builder.ts';
import { decodeFrameTable, encodeFrameTable } from '../../src/pack/frame-table.ts';
import { Pacer } from '../../src/store/clock.ts';
import type { StoreContext } from '../../src/store/context.ts';
import { refreshIndex } from '../../src/store/index-refresh.ts';
import { addSegment as addPages } from '../../src/store/index-write.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import {
  addSegment,
  isFound,
  numbers,
  openContext,
  publishSegment,
  runFiles,
  stagedFiles,
} from '../support/made-segments.ts';
import { finishWork, readRun } from '../support/made-runs.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const refresh = (context: StoreContext, signal?: AbortSignal) =>
  refreshIndex(context, new Pacer(signal));

function expectFound(context: StoreContext, pages: readonly number[]): void {
  expect(pages.filter((page) => !isFound(context, page))).toEqual([]);
}

describe('refreshIndex', () => {
  it('takes the runs that captures wrote, of this handle and of others', async () => {
    const directory = newPath();
    const contexts = [await openContext(directory), await openContext(directory)];
    const [one, two] = contexts as [StoreContext, StoreContext];
    await addSegment(one, numbers(0, 100));
    await addSegment(two, numbers(100, 100));
    const before = runFiles(one);
    expect(before).toHaveLength(2);
    for (const context of contexts) {
      await refresh(context);
      expectFound(context, numbers(0, 200));
      expect(isFound(context, 200)).toBe(false);
    }
    expect(runFiles(one)).toEqual(before);
  });

  it('ignores a run until its segment is committed, and then builds no other', async () => {
    const context = await openContext(newPath());
    const pending = await publishSegment(context, [1, 2, 3]);
    await refresh(context);
    expect(isFound(context, 2)).toBe(false);
    await pending.commit();
    await refresh(context);
    expectFound(context, [1, 2, 3]);
    expect(runFiles(context)).toHaveLength(1);
  });

  it('builds one run for many segments, those without pages included', async () => {
    const context = await openContext(newPath());
    for (let i = 0; i < 40; i++) await addSegment(context, numbers(i * 10, i % 10), { run: false });
    await refresh(context);
    const built = runFiles(context);
    expect(built).toHaveLength(1);
    expectFound(
      context,
      numbers(0, 40).flatMap((i) => numbers(i * 10, i % 10)),
    );
    // Those without pages are covered too: nothing is built again.
    await refresh(context);
    expect(runFiles(context)).toEqual(built);
    for (const path of built) rmSync(path);
    await refresh(context);
    expect(runFiles(context)).toHaveLength(1);
    expectFound(context, numbers(390, 9));
  });

  it('throws away runs that are damaged, and builds them again', async () => {
    const context = await openContext(newPath());
    await addSegment(context, numbers(0, 500));
    await addSegment(context, numbers(500, 5));
    const [first] = runFiles(context) as [string];
    writeFileSync(first, readFileSync(first).subarray(10));
    await refresh(context);
    expect(existsSync(first)).toBe(false);
    expect(runFiles(context)).toHaveLength(2);
    expectFound(context, numbers(0, 505));
  });

  it('leaves out a pack that cannot be read, until nobody calls it lost any more', async () => {
    const context = await openContext(newPath());
    await addSegment(context, [1], { run: false });
    const { packName } = await addSegment(context, [2], { run: false });
    await addSegment(context, [3], { run: false });
    const path = context.layout.packFile(packName);
    renameSync(path, `${path}.away`);
    await refresh(context);
    await refresh(context);
    expect(runFiles(context)).toHaveLength(1);
    expect([1, 2, 3].map((page) => isFound(context, page))).toEqual([true, false, true]);
    renameSync(`${path}.away`, path);
    await refresh(context);
    expect(isFound(context, 2)).toBe(false);
    // As a verification does that has read it.
    for (const frame of context.packs.lostFrames.all()) context.packs.lostFrames.forget(frame);
    await refresh(context);
    expectFound(context, [1, 2, 3]);
  });

  it('writes nothing for packs that cannot be read at all', async () => {
    const context = await openContext(newPath());
    const { packName } = await addSegment(context, [2], { run: false });
    rmSync(context.layout.packFile(packName));
    await refresh(context);
    expect([runFiles(context), stagedFiles(context)]).toEqual([[], []]);
  });

  it('that is stopped, or has no space, leaves nothing half done', async () => {
    const door = new FaultyFiles();
    const context = await openContext(newPath(), { files: door.files });
    for (let i = 0; i < 3; i++) await addSegment(context, numbers(i * 700, 700), { run: false });
    await expect(refresh(context, AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
    let failed = 0;
    for (let nth = 1; ; nth++) {
      door.arm({ calls: ['open', 'write', 'rename'], nth, code: 'ENOSPC' });
      const outcome = await refresh(context).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (door.disarm() === undefined) break;
      // A pack that cannot be opened for another reason than damage stops it too.
      expect(outcome).toMatchObject({ code: 'STORAGE' });
      // Complete, where what failed was to open it.
      expect(runFiles(context).length).toBeLessThanOrEqual(1);
      expect(stagedFiles(context)).toEqual([]);
      failed += 1;
    }
    expect(failed).toBeGreaterThan(4);
    expectFound(context, numbers(0, 2100));
  });

  it('reads no digests of delta frames', async () => {
    const entry = { slotsLow: 3, slotsHigh: 0, offset: 16, blockBytes: 30 };
    const entries = [
      { ...entry, frame: 2 ** 25 - 1, digestsOffset: 100 },
      { ...entry, frame: 2 ** 25, digestsOffset: 0 },
    ];
    const table = decodeFrameTable(encodeFrameTable(entries, []), 'a', 0);
    const pack = {
      frameTables: () => [table],
      frameDigests: (_: unknown, index: number) => {
        if (index !== 0) throw new Error('a delta frame has no digests');
        return new Uint8Array(64);
      },
    };
    const context = { packs: { reader: () => pack } } as unknown as StoreContext;
    const builder = new RunBuilder(nodeFiles, { newPath });
    const segment = { identity: new Uint8Array(16), packName: 'a', local: 0 };
    await addPages(context, builder, segment, new Pacer(undefined));
    const path = newPath();
    finishWork(builder.finish(path));
    expect(readRun(path).entries.map(({ slot }) => slot)).toEqual([2 ** 31 - 64, 2 ** 31 - 63]);
  });
});

describe('the run of a capture', () => {
  it('of ten new pages is less than 300 bytes', async () => {
    const context = await openContext(newPath());
    await addSegment(context, numbers(0, 10));
    expect(statSync(runFiles(context)[0] as string).size).toBeLessThan(300);
  });
});
