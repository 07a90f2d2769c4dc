/**
 * Captures one after the other into stores that stay open, so that what the one before left in
 * memory is what the next is compared with: any number of timelines and branches, failures in
 * between, damage that becomes known. Every snapshot comes out as it went in, from the same store
 * and from one that has just been opened.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import type { OpenOptions, SnapshotStore } from '../../src/index.ts';
import { expectFailure } from '../support/failures.ts';
import { watchedFiles } from '../support/faulty-files.ts';
import { damageBlock } from '../support/damaged-store.ts';
import { type Memory, randomPages, withBytes, writeDump } from '../support/made-memory.ts';
import { change, type Change, changed } from '../support/memory-changes.ts';
import { depthsOf, packsOf, type StoredPack } from '../support/store-contents.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

const ZERO_PAGE = Buffer.alloc(4096);
const TIMELINES = ['a', 'b'] as const;

/** Two processes, of which the second has slices for two workers: zeros but for its ends. */
const zeros = Array.from({ length: 2100 }, (_, i): [number, Buffer] => [5040 + i, ZERO_PAGE]);
const FIRST: Memory = {
  spaces: new Map([
    ['pagemap-1', randomPages(16, 60, 1).set(18, ZERO_PAGE)],
    ['pagemap-2', new Map([...randomPages(5000, 40, 2), ...zeros, ...randomPages(7140, 40, 3)])],
  ]),
  files: new Map([['files.log', Buffer.from('a first line\n')]]),
};

/** Captures of one or both timelines, at the same time if it is both. */
interface Step {
  readonly timelines: readonly number[];
  /** What happens to the memory of each timeline. */
  readonly changes: readonly Change[];
  /** Chooses an older snapshot to continue. */
  readonly branch: number | undefined;
  /** Aborts at this progress report, if there are so many. */
  readonly abort: number | undefined;
}

/** The same pages again and again, and now and then anything. */
const hotChange: fc.Arbitrary<Change> = fc.record({
  kind: fc.constant('bytes' as const),
  space: fc.nat(1),
  page: fc.constantFrom(0, 20, 40, 1020, 2140),
  count: fc.integer({ min: 1, max: 24 }),
  at: fc.nat(4095),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
});
const steps: fc.Arbitrary<Step> = fc.record({
  timelines: fc.constantFrom([0], [0], [1], [0, 1], [1, 0]),
  changes: fc.array(fc.oneof({ weight: 5, arbitrary: hotChange }, change), {
    minLength: 1,
    maxLength: 4,
  }),
  branch: fc.option(fc.nat(0xffff), { nil: undefined, freq: 5 }),
  abort: fc.option(fc.nat(7), { nil: undefined, freq: 5 }),
});

interface Captured {
  readonly id: string;
  readonly images: string;
  readonly memory: Memory;
}

/** Plays a history in one open store. */
class WarmHistory {
  readonly #store: SnapshotStore;
  readonly #current: Memory[] = TIMELINES.map(() => FIRST);
  readonly captured: Captured[] = [];

  constructor(store: SnapshotStore) {
    this.#store = store;
  }

  async take({ timelines, changes, branch, abort }: Step): Promise<void> {
    const earlier = this.captured.map(({ memory }) => memory);
    const parent = this.captured[(branch ?? 0) % Math.max(1, this.captured.length)];
    const captures = timelines.map(async (timeline) => {
      const before = this.#current[timeline] ?? FIRST;
      const memory = changes.reduce((now, each) => changed(now, each, earlier), before);
      this.#current[timeline] = memory;
      const asked = branch === undefined ? undefined : parent?.id;
      await this.#capture(TIMELINES[timeline] ?? '', memory, asked, abort);
    });
    await Promise.all(captures);
  }

  async #capture(
    timeline: string,
    memory: Memory,
    parent: string | undefined,
    abort: number | undefined,
  ): Promise<void> {
    const images = writeDump(newPath(), memory);
    const controller = new AbortController();
    let reports = 0;
    const onProgress = () => {
      if (reports++ === abort) controller.abort();
    };
    const options = { signal: controller.signal, onProgress };
    try {
      const { id } = await this.#store.timeline(timeline).capture({ images, parent }, options);
      this.captured.push({ id, images, memory });
    } catch (error) {
      expect(error).toMatchObject({ code: 'ABORTED' });
    }
  }
}

async function expectAllRestore(
  store: SnapshotStore,
  captured: readonly Omit<Captured, 'memory'>[],
): Promise<void> {
  for (const { id, images } of captured) await expectRestores(store.snapshot(id), images);
}

/** Plays a history in a new store, and fails unless all of it comes out, now and later. */
async function expectComesOut(options: OpenOptions, list: readonly Step[]): Promise<void> {
  const directory = newPath();
  const store = await openUnmanaged(directory, { create: true, ...options });
  const history = new WarmHistory(store);
  try {
    for (const step of list) await history.take(step);
    await expectAllRestore(store, history.captured);
    expect((await store.verify()).problems).toEqual([]);
  } finally {
    await store.close();
  }
  const fresh = await openUnmanaged(directory, { workers: 0 });
  try {
    await expectAllRestore(fresh, history.captured);
  } finally {
    await fresh.close();
  }
  rmSync(directory, { recursive: true });
  for (const { images } of history.captured) rmSync(images, { recursive: true });
}

const TINY = 10 * 4097;

describe.each([
  { workers: 0, numRuns: 1 },
  { workers: 2, numRuns: 1 },
])('any history of captures, with $workers workers', ({ workers, numRuns }) => {
  test.each([
    ['no warm pages', 0],
    ['ten of them', TINY],
    ['as many as there are', undefined],
  ])('comes out with %s', async (_, warmBytes) => {
    const histories = fc.array(steps, { minLength: 4, maxLength: 7, size: 'max' });
    const depths = fc.constantFrom(2, 16);
    const property = fc.asyncProperty(histories, depths, async (list, maxDeltaDepth) => {
      await expectComesOut({ workers, warmBytes, maxDeltaDepth }, list);
    });
    await fc.assert(property, { numRuns, endOnFailure: true });
  });
});

/** One process, in which the same pages change a little from moment to moment. */
function memoryAt(moment: number): Memory {
  const pages = randomPages(16, 80, 1).set(30, ZERO_PAGE);
  for (const address of [16, 50, 90]) {
    const page = pages.get(address) ?? Buffer.alloc(4096);
    pages.set(address, withBytes(page, 3 * address, Uint8Array.of(moment, address)));
  }
  return { spaces: new Map([['pagemap-1', pages]]), files: new Map() };
}

/** Captures moments into an open store. */
async function captureMoments(
  store: SnapshotStore,
  from: number,
  to: number,
): Promise<Omit<Captured, 'memory'>[]> {
  const captured = [];
  for (let moment = from; moment < to; moment++) {
    const images = writeDump(newPath(), memoryAt(moment));
    captured.push({ id: (await store.timeline('t').capture({ images })).id, images });
  }
  return captured;
}

/** A door that counts how often bytes of packs are read. */
function packReads(): { files: Files; count: () => number } {
  const packs = new Set<number>();
  let count = 0;
  const door = watchedFiles((call, [value]) => {
    if (call === 'read' && packs.has(value as number)) count += 1;
  });
  const open: Files['open'] = (path, ...rest) => {
    const fd = door.open(path, ...rest);
    if (path.toString().endsWith('.pack')) packs.add(fd);
    else packs.delete(fd);
    return fd;
  };
  return { files: { ...door, open }, count: () => count };
}

test('pages that change all the time are compared without reading their frames', async () => {
  const readsWith = async (warmBytes: number | undefined) => {
    const { files, count } = packReads();
    const store = await openStore(newPath(), { files, warmBytes, cacheBytes: 0, workers: 0 });
    await captureMoments(store, 0, 5);
    const before = count();
    await captureMoments(store, 5, 6);
    return count() - before;
  };
  const [none, warm] = [await readsWith(0), await readsWith(undefined)];
  // The frame of deltas of the capture before, and what it takes to find it.
  expect(warm).toBeLessThan(none);
});

test('packs are the same with any number of warm pages', async () => {
  const outcomes = [];
  for (const warmBytes of [0, 2 * 4097, TINY, undefined]) {
    const store = await openStore(newPath(), { warmBytes, maxDeltaDepth: 3 });
    await captureMoments(store, 0, 9);
    const packs = await packsOf(store.directory);
    outcomes.push(packs.map((pack) => ({ depths: depthsOf(pack), frames: pack.frames })));
  }
  for (const outcome of outcomes.slice(1)) expect(outcome).toEqual(outcomes[0]);
});

test('a capture after one that failed, or of another base, is as good as any', async () => {
  const store = await openStore(newPath());
  const captured = await captureMoments(store, 0, 3);
  const controller = new AbortController();
  const images = writeDump(newPath(), memoryAt(99));
  const options = { signal: controller.signal, onProgress: () => controller.abort() };
  await expectFailure(() => store.timeline('t').capture({ images }, options), { code: 'ABORTED' });
  captured.push(...(await captureMoments(store, 3, 5)));
  const parent = captured[1]?.id;
  const branch = await store.timeline('other').capture({ images, parent });
  captured.push({ id: branch.id, images }, ...(await captureMoments(store, 5, 7)));
  await expectAllRestore(store, captured);
  expect((await store.verify()).problems).toEqual([]);
});

describe('after damage, in the same open store', () => {
  async function makeDamaged(
    choose: (packs: readonly StoredPack[]) => StoredPack | undefined,
    isDelta: boolean,
  ): Promise<SnapshotStore> {
    const store = await openStore(newPath());
    await captureMoments(store, 0, 6);
    const pack = choose(await packsOf(store.directory));
    const frame = pack?.frames.find((each) => each.isDelta === isDelta);
    damageBlock(pack?.path ?? '', frame?.offset ?? 0, frame?.blockBytes ?? 0);
    return store;
  }

  async function expectWhole(store: SnapshotStore): Promise<void> {
    const captured = await captureMoments(store, 6, 8);
    await expectAllRestore(store, captured);
    const fresh = await openStore(store.directory, { workers: 0 });
    await expectAllRestore(fresh, captured);
    const named = new Set((await fresh.verify()).problems.map(({ snapshot }) => snapshot));
    for (const { id } of captured) expect(named).not.toContain(id);
  }

  test.each([
    ['a full page under all of them', 0, false],
    ['a delta in the middle of chains', 3, true],
    ['the newest deltas', 5, true],
  ])('that is known, the next captures are whole: %s', async (_, number, isDelta) => {
    const store = await makeDamaged((packs) => packs[number], isDelta);
    expect((await store.verify()).problems.length).toBeGreaterThan(0);
    await expectWhole(store);
  });

  test('that a capture meets itself, reading digests from packs, it is whole', async () => {
    const store = await makeDamaged((packs) => packs[0], false);
    rmSync(join(store.directory, 'cache'), { recursive: true });
    await expectWhole(store);
  });

  test('a whole pack that is gone, the next captures are whole', async () => {
    const store = await openStore(newPath());
    await captureMoments(store, 0, 6);
    const packs = await packsOf(store.directory);
    rmSync(packs[3]?.path ?? '');
    await expectWhole(store);
  });
});
