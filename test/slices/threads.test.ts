/** The calling thread and a pool of workers: what one of them does, the other does as well. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { StoreError } from '../../src/errors.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { PageRunsBuilder } from '../../src/manifest/page-runs.ts';
import { BLOCK, decodeBlock, FRAME_BYTES } from '../../src/pack/format.ts';
import { BLOCK_OFFSET, FRAME_BUFFER_BYTES } from '../../src/slices/encode.ts';
import { inlineThreads } from '../../src/slices/inline-threads.ts';
import type { ReadRequest, TaskReport } from '../../src/slices/tasks.ts';
import type { Threads } from '../../src/slices/threads.ts';
import { workerThreads } from '../../src/slices/worker-threads.ts';
import { zstd } from '../support/made-packs.ts';
import { type MadeFile, setupOf, storeFile } from '../support/made-slices.ts';
import { PackDirectory } from '../support/pack-directory.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

function requestFor(file: MadeFile): ReadRequest {
  const runs = new PageRunsBuilder();
  for (const { segment, slot } of file.places) runs.add(segment, slot, 1);
  const bytes = file.pages.reduce((sum, page) => sum + page.length, 0);
  const place = { snapshot: '01KAJ', image: 'a.img', offset: 0, path: 'a.img', fd: undefined };
  return { ...place, bytes, ...runs.finish(), leaves: file.leaves };
}

const kinds: [string, () => Threads][] = [
  ['the calling thread', () => inlineThreads(nodeFiles, zstd)],
  ['a pool of two workers', () => workerThreads(2, nodeFiles, zstd)],
];

describe.each(kinds)('%s', (_, make) => {
  function start(): { threads: Threads; directory: PackDirectory; reports: TaskReport[] } {
    const threads = make();
    onTestFinished(() => threads.close());
    return { threads, directory: new PackDirectory(nextPath()), reports: [] };
  }

  it('encodes frames in memory that is shared', async () => {
    const { threads, directory, reports } = start();
    const crew = threads.open(setupOf(directory), (report) => reports.push(report));
    const buffers = [1, 2, 3].map((value) => {
      const buffer = new SharedArrayBuffer(FRAME_BUFFER_BYTES);
      new Uint8Array(buffer, 0, FRAME_BYTES).fill(value);
      return buffer;
    });
    const request = { slice: undefined, type: BLOCK.frame, level: 1 };
    const frameIn = (buffer: SharedArrayBuffer) => ({
      buffer,
      rawBytes: FRAME_BYTES,
      pages: undefined,
    });
    const lengths = await Promise.all(
      buffers.map((buffer) => crew.run('encode', { ...request, frames: [frameIn(buffer)] })),
    );
    buffers.forEach((buffer, i) => {
      const block = Uint8Array.from(new Uint8Array(buffer, BLOCK_OFFSET, lengths[i]?.[0]));
      expect(decodeBlock(block, 'a.pack', 0)).toMatchObject({ type: 1, rawBytes: FRAME_BYTES });
      const raw = new Uint8Array(FRAME_BYTES);
      zstd.decompressInto(raw, block.subarray(24));
      expect(raw.every((byte) => byte === i + 1)).toBe(true);
    });
    expect(reports).toHaveLength(3);
    await crew.close();
  });

  it('reads for several operations, each with packs of its own', async () => {
    const { threads, reports } = start();
    const crews = await Promise.all(
      [100, 70].map(async (pages) => {
        const directory = new PackDirectory(nextPath());
        const file = storeFile(directory, pages);
        const crew = threads.open(setupOf(directory), (report) => reports.push(report));
        return { crew, file };
      }),
    );
    await Promise.all(crews.map(({ crew, file }) => crew.run('read', requestFor(file))));
    expect(reports.map(({ framesDecoded }) => framesDecoded).sort()).toEqual([2, 2]);
    await Promise.all(crews.map(({ crew }) => crew.close()));
  });

  it('fails a task with the error that it met, and reports what it found damaged', async () => {
    const { threads, directory, reports } = start();
    const file = storeFile(directory, 100);
    const path = directory.pathOf(directory.table.packName(1));
    const bytes = readFileSync(path);
    bytes[16 + 30]! ^= 1;
    rmSync(path);
    writeFileSync(path, bytes);
    const crew = threads.open(setupOf(directory), (report) => reports.push(report));
    const failure = crew.run('read', requestFor(file));
    await expect(failure).rejects.toBeInstanceOf(StoreError);
    await expect(failure).rejects.toMatchObject({ code: 'CORRUPT', file: path, offset: 16 });
    expect(reports.flatMap(({ lost }) => lost)).toEqual([{ file: path, offset: 16 }]);
    // The thread goes on as if nothing had been.
    await crew.runEverywhere('closeSources');
    await crew.close();
  });

  it('ends an operation only when its tasks have ended', async () => {
    const { threads, directory } = start();
    const file = storeFile(directory, 600);
    const crew = threads.open(setupOf(directory), () => undefined);
    let ended = 0;
    const tasks = [1, 2, 3, 4].map(async () => {
      await crew.run('read', requestFor(file));
      ended += 1;
    });
    await crew.close();
    await Promise.all(tasks);
    expect(ended).toBe(4);
    expect(crew.width).toBe(Math.max(1, threads.workers));
  });
});

describe('the calling thread', () => {
  it('lets the event loop turn between leaves, also of several readings at once', async () => {
    const threads = inlineThreads(nodeFiles, zstd);
    onTestFinished(() => threads.close());
    const directory = new PackDirectory(nextPath());
    const file = storeFile(directory, 600);
    const crew = threads.open(setupOf(directory), () => undefined);
    let [turns, isOver] = [0, false];
    const next = (): void => {
      turns += 1;
      if (!isOver) setImmediate(next);
    };
    setImmediate(next);
    await Promise.all(Array.from({ length: 4 }, () => crew.run('read', requestFor(file))));
    isOver = true;
    // Each has two leaves.
    expect(turns).toBeGreaterThanOrEqual(4);
    await crew.close();
  });

  it('lets the event loop turn between the frames of a slice, and closes behind them', async () => {
    const threads = inlineThreads(nodeFiles, zstd);
    onTestFinished(() => threads.close());
    const crew = threads.open(setupOf(new PackDirectory(nextPath())), () => undefined);
    const order: string[] = [];
    const encodeOne = async (name: string): Promise<void> => {
      const frame = {
        buffer: new SharedArrayBuffer(FRAME_BUFFER_BYTES),
        rawBytes: FRAME_BYTES,
        pages: undefined,
      };
      const request = { frames: [frame], slice: undefined, type: BLOCK.frame, level: 1 };
      await crew.run('encode', request);
      order.push(name);
      setImmediate(() => order.push('turn'));
    };
    const all = ['a', 'b', 'c'].map(encodeOne);
    await crew.close();
    expect(order.filter((each) => each !== 'turn')).toEqual(['a', 'b', 'c']);
    expect(order.slice(0, 5)).toEqual(['a', 'turn', 'b', 'turn', 'c']);
    await Promise.all(all);
  });
});

describe('a pool of workers', () => {
  it('starts for what is worth it, and then works for everybody', async () => {
    const threads = workerThreads(2, nodeFiles, zstd, 5000);
    onTestFinished(() => threads.close());
    const directory = new PackDirectory(nextPath());
    const file = storeFile(directory, 100);
    const widthFor = async (bytes?: number): Promise<number> => {
      const crew = threads.open(setupOf(directory), () => undefined, bytes);
      await crew.run('read', requestFor(file));
      await crew.close();
      return crew.width;
    };
    threads.prepare(4999);
    expect([await widthFor(4999), await widthFor(0)]).toEqual([1, 1]);
    expect([await widthFor(5000), await widthFor(4999)]).toEqual([2, 2]);
    await threads.close();
    expect([await widthFor(4999), await widthFor()]).toEqual([1, 2]);
  });

  it('starts for the second of what takes a while, and for none that does not', async () => {
    const mebibyte = 1024 * 1024;
    const threads = workerThreads(2, nodeFiles, zstd, 100 * mebibyte);
    onTestFinished(() => threads.close());
    const directory = new PackDirectory(nextPath());
    const widths: number[] = [];
    for (const mebibytes of [3, 3, 5, 3, 5]) {
      const crew = threads.open(setupOf(directory), () => undefined, mebibytes * mebibyte);
      widths.push(crew.width);
      await crew.close();
    }
    expect(widths).toEqual([1, 1, 1, 1, 2]);
  });

  it('fails what is running when it is closed, and begins anew with what comes next', async () => {
    const threads = workerThreads(1, nodeFiles, zstd);
    onTestFinished(() => threads.close());
    const directory = new PackDirectory(nextPath());
    const file = storeFile(directory, 600);
    const crew = threads.open(setupOf(directory), () => undefined);
    const running = expect(crew.run('read', requestFor(file))).rejects.toMatchObject({
      code: 'STORAGE',
      message: 'a worker thread stopped',
    });
    await threads.close();
    await running;
    const next = threads.open(setupOf(directory), () => undefined);
    await next.run('read', requestFor(file));
    await next.close();
  });
});
