/** Merges of the index: few runs, no page lost, whoever else is at work and whatever fails. */
import {
  copyFileSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pacer } from '../../src/store/clock.ts';
import type { StoreContext } from '../../src/store/context.ts';
import { mergeIndex } from '../../src/store/index-merge.ts';
import { refreshIndex } from '../../src/store/index-refresh.ts';
import { watchedFiles, FaultyFiles } from '../support/faulty-files.ts';
import {
  addSegment,
  isFound,
  numbers,
  openContext,
  type PendingSegment,
  publishSegment,
  runFiles,
  stagedFiles,
} from '../support/made-segments.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const merge = (context: StoreContext, signal?: AbortSignal) =>
  mergeIndex(context, new Pacer(signal));
const refresh = (context: StoreContext) => refreshIndex(context, new Pacer(undefined));

async function expectAllFound(context: StoreContext, pages: readonly number[]): Promise<void> {
  await refresh(context);
  expect(pages.filter((page) => !isFound(context, page))).toEqual([]);
}

describe('mergeIndex', () => {
  it('keeps few files and bytes, however many captures there are', async () => {
    const context = await openContext(newPath());
    let most = 0;
    for (let i = 0; i < 500; i++) {
      await addSegment(context, numbers(i * 10, 10));
      await merge(context);
      most = Math.max(most, runFiles(context).length);
    }
    // Three in each tier that 70 kB reach, and the one that is merged with them.
    expect(most).toBeLessThanOrEqual(3 * 3 + 1);
    const bytes = runFiles(context).reduce((sum, path) => sum + statSync(path).size, 0);
    expect(bytes).toBeLessThan(5000 * 14 + 500 * 17);
    await expectAllFound(context, numbers(0, 5000));
    expect(isFound(context, 5000)).toBe(false);
    expect(stagedFiles(context)).toEqual([]);
  });

  it('leaves an index alone that has nothing to merge', async () => {
    const context = await openContext(newPath());
    await merge(context);
    for (let i = 0; i < 3; i++) await addSegment(context, [i]);
    const before = runFiles(context);
    await merge(context);
    expect(runFiles(context)).toEqual(before);
  });

  it('drops what was never committed, and what was committed too late is built again', async () => {
    const context = await openContext(newPath());
    for (let i = 0; i < 3; i++) await addSegment(context, [i]);
    const pending = await publishSegment(context, [3]);
    await merge(context);
    expect(runFiles(context)).toHaveLength(1);
    expect(context.index.runs[0]?.segments).toHaveLength(3);
    await pending.commit();
    await expectAllFound(context, [0, 1, 2, 3]);
    expect(runFiles(context)).toHaveLength(2);
  });

  it('lets another handle that has the old runs open find them merged', async () => {
    const directory = newPath();
    const one = await openContext(directory);
    const two = await openContext(directory);
    for (let i = 0; i < 4; i++) await addSegment(one, numbers(i * 100, 100));
    await expectAllFound(two, numbers(0, 400));
    await merge(one);
    expect(runFiles(one)).toHaveLength(1);
    const merged = runFiles(one);
    await expectAllFound(two, numbers(0, 400));
    expect(runFiles(one)).toEqual(merged);
  });

  it('of two handles at once loses nothing, and leaves no run twice', async () => {
    const directory = newPath();
    const contexts = [await openContext(directory), await openContext(directory)];
    const [one, two] = contexts as [StoreContext, StoreContext];
    for (let i = 0; i < 8; i++) await addSegment(one, numbers(i * 1000, 1000));
    await Promise.all([merge(one), merge(two), merge(one)]);
    await merge(two);
    for (const context of contexts) await expectAllFound(context, numbers(0, 8000));
    expect(runFiles(one).length).toBeLessThan(4);
    expect(stagedFiles(one)).toEqual([]);
  });

  it('takes away what a merge left that was killed before it unlinked its inputs', async () => {
    const context = await openContext(newPath());
    for (let i = 0; i < 4; i++) await addSegment(context, numbers(i * 10, 10));
    const inputs = runFiles(context);
    const kept = inputs.map((path) => ({ path, bytes: readFileSync(path) }));
    await merge(context);
    for (const { path, bytes } of kept) writeFileSync(path, bytes);
    expect(runFiles(context)).toHaveLength(5);
    await merge(context);
    expect(runFiles(context)).toHaveLength(1);
    expect(inputs.filter((path) => existsSync(path))).toEqual([]);
    await expectAllFound(context, numbers(0, 40));
  });

  it('takes away one of two runs that are the same', async () => {
    const context = await openContext(newPath());
    await addSegment(context, [1, 2]);
    const [path] = runFiles(context) as [string];
    copyFileSync(path, join(context.layout.index, 'copy.run'));
    await merge(context);
    expect(runFiles(context)).toHaveLength(1);
    await expectAllFound(context, [1, 2]);
  });

  it('throws away an input that turns out to be damaged, which is then built again', async () => {
    const context = await openContext(newPath());
    for (let i = 0; i < 4; i++) await addSegment(context, numbers(i * 500, 500));
    const [path] = runFiles(context) as [string];
    const bytes = readFileSync(path);
    bytes[2000]! ^= 1;
    writeFileSync(path, bytes);
    await merge(context);
    expect(existsSync(path)).toBe(false);
    expect(runFiles(context)).toHaveLength(3);
    await expectAllFound(context, numbers(0, 2000));
  });

  it('goes on when another process takes an input away at any moment', async () => {
    let left = -1;
    let taken = '';
    const files = watchedFiles(() => {
      left -= 1;
      if (left === 0) rmSync(taken, { force: true });
    });
    const context = await openContext(newPath(), { files });
    for (let calls = 1, isReached = true; isReached; calls += 2) {
      for (let i = 0; i < 4; i++) await addSegment(context, numbers(calls * 100 + i * 10, 10));
      taken = runFiles(context).at(-1) as string;
      left = calls;
      await merge(context);
      isReached = left <= 0;
      left = -1;
      await expectAllFound(context, numbers(calls * 100, 40));
      expect(stagedFiles(context)).toEqual([]);
    }
  });

  it('that fails at any call leaves every page to be found, and nothing in staging', async () => {
    const door = new FaultyFiles();
    const context = await openContext(newPath(), { files: door.files });
    for (let i = 0; i < 4; i++) await addSegment(context, numbers(i * 10, 10));
    let failed = 0;
    for (let nth = 1; ; nth++) {
      door.arm({ calls: ['open', 'read', 'write', 'rename', 'list'], nth, code: 'ENOSPC' });
      const outcome = await merge(context).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (door.disarm() === undefined) break;
      failed += 1;
      if (outcome !== undefined) expect(outcome).toMatchObject({ code: expect.any(String) });
      expect(stagedFiles(context)).toEqual([]);
      await expectAllFound(context, numbers(0, 40));
    }
    expect(failed).toBeGreaterThan(5);
    expect(runFiles(context)).toHaveLength(1);
  });

  it('stops when its signal fires, at any pause, and leaves nothing behind', async () => {
    const context = await openContext(newPath());
    for (let i = 0; i < 4; i++) await addSegment(context, numbers(i * 3000, 3000));
    const before = runFiles(context);
    for (let pauses = 1; pauses < 50; pauses++) {
      let left = pauses;
      const pacer = {
        pause: () => {
          left -= 1;
          return left === 0 ? Promise.reject(new Error('stop')) : Promise.resolve();
        },
      } as unknown as Pacer;
      const stopped = await mergeIndex(context, pacer).then(
        () => false,
        (error: unknown) => error instanceof Error && error.message === 'stop',
      );
      expect(stagedFiles(context)).toEqual([]);
      if (runFiles(context).length === 1) {
        expect(pauses).toBeGreaterThan(1);
        await expectAllFound(context, numbers(0, 12_000));
        return;
      }
      expect([stopped, runFiles(context)]).toEqual([true, before]);
    }
    throw new Error('the merge never ends');
  });
});

type Step =
  | { readonly kind: 'add' | 'publish'; readonly by: number; readonly pages: number }
  | { readonly kind: 'commit' | 'refresh' | 'merge'; readonly by: number }
  | {
      readonly kind: 'delete' | 'cut' | 'flip' | 'copy';
      readonly file: number;
      readonly at: number;
    };

const by = fc.nat(1);
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('add' as const, 'publish' as const),
      by,
      pages: fc.oneof(fc.nat(3), fc.constant(400)),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('commit' as const, 'refresh' as const, 'merge' as const),
      by,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('delete' as const, 'cut' as const, 'flip' as const, 'copy' as const),
      file: fc.nat(9),
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    }),
  },
);

/** Does something to a file of index/, if there is one. */
function damageRun(context: StoreContext, step: Extract<Step, { at: number }>): void {
  const paths = runFiles(context);
  const path = paths[step.file % Math.max(1, paths.length)];
  if (path === undefined) return;
  const offset = Math.floor(statSync(path).size * step.at);
  if (step.kind === 'delete') rmSync(path);
  else if (step.kind === 'cut') truncateSync(path, offset);
  else if (step.kind === 'copy') copyFileSync(path, path.replace(/\w+\.run$/, `c${step.at}.run`));
  else {
    const bytes = readFileSync(path);
    if (offset < bytes.length) bytes[offset]! ^= 0x10;
    writeFileSync(path, bytes);
  }
}

describe('any history of two handles', () => {
  it('ends with every committed page found by both, and with few runs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 40, size: 'max' }), async (history) => {
        const directory = newPath();
        const contexts = [await openContext(directory), await openContext(directory)];
        const [first] = contexts as [StoreContext];
        const committed: number[] = [];
        const pending: { segment: PendingSegment; pages: number[] }[] = [];
        let next = 0;
        for (const step of history) {
          if ('at' in step) {
            damageRun(first, step);
            continue;
          }
          const context = contexts[step.by] as StoreContext;
          if ('pages' in step) {
            const pages = numbers(next, step.pages);
            next += step.pages;
            const segment = await publishSegment(context, pages);
            if (step.kind === 'add') await segment.commit();
            if (step.kind === 'add') committed.push(...pages);
            else pending.push({ segment, pages });
          } else if (step.kind === 'commit') {
            const late = pending.shift();
            await late?.segment.commit();
            committed.push(...(late?.pages ?? []));
          } else if (step.kind === 'refresh') await refresh(context);
          else await merge(context);
        }
        const uncommitted = pending.flatMap(({ pages }) => pages);
        for (const context of contexts) {
          // The first looks may meet damage, which the next refresh mends.
          await refresh(context);
          for (const page of committed) isFound(context, page);
          await expectAllFound(context, committed);
          expect(uncommitted.filter((page) => isFound(context, page))).toEqual([]);
          await merge(context);
          await expectAllFound(context, committed);
          expect(stagedFiles(context)).toEqual([]);
        }
        expect(runFiles(first).length).toBeLessThanOrEqual(7);
      }),
      { numRuns: 10, endOnFailure: true },
    );
  });
});
