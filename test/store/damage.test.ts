/**
 * Damage of every kind of file of a store: never a wrong byte, always the place, and a capture
 * after it succeeds all the same.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type ClosedStore,
  diagnose,
  flipped,
  makeClosedStore,
  whileDamaged,
} from '../support/damaged-store.ts';
import { expectFailure } from '../support/failures.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { openUnmanaged } from '../support/unmanaged-stores.ts';

const newPath = temporaryPaths();

/** Numbers below `end`, `count` of them, spread evenly but for a remainder that varies. */
function spread(end: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor(((i + (i % 7) / 7) / count) * end));
}

function copyOf(closed: ClosedStore): ClosedStore {
  const directory = newPath();
  execFileSync('cp', ['-a', closed.directory, directory]);
  const moved = (path: string): string => path.replace(closed.directory, directory);
  return { ...closed, directory, packs: closed.packs.map(moved), runs: closed.runs.map(moved) };
}

/** Fails unless a capture of a new dump, and of one whose pages may be lost, come out whole. */
async function expectHeals(directory: string): Promise<void> {
  const store = await openStore(directory);
  for (const seed of [77, 1]) {
    const images = makeDump(newPath(), seed);
    await expectRestores(await store.timeline('t').capture({ images }), images);
  }
  await store.close();
}

describe('a pack', () => {
  test('with any bit flipped gives no wrong byte, and verify names it', async () => {
    const closed = await makeClosedStore(newPath);
    let lostSome = 0;
    for (const file of closed.packs) {
      for (const bit of spread(statSync(file).size * 8, 36)) {
        await whileDamaged(
          file,
          (bytes) => flipped(bytes, bit),
          async () => {
            const { lost, report } = await diagnose(closed, newPath);
            if (lost.length > 0) lostSome += 1;
            const files = report.problems.map((problem) => problem.file);
            expect(files, `bit ${bit} of ${file}`).toContain(file);
          },
        );
      }
    }
    expect(lostSome).toBeGreaterThan(60);
    expect((await diagnose(closed, newPath)).report.problems).toEqual([]);
  });

  test('that is cut off at any length loses what is in it, and what differs from it', async () => {
    const closed = await makeClosedStore(newPath);
    const file = closed.packs[1] ?? '';
    for (const length of [...spread(statSync(file).size, 12), statSync(file).size - 1]) {
      await whileDamaged(
        file,
        (bytes) => bytes.subarray(0, length),
        async () => {
          const { lost, report } = await diagnose(closed, newPath);
          // The first one stands alone; the recipe of the third differs from the second's.
          expect(lost).toEqual(closed.ids.slice(1));
          expect(report.problems.map((problem) => problem.file)).toContain(file);
        },
      );
    }
  });

  test('that is gone, empty, longer or another one loses what is in it', async () => {
    const closed = await makeClosedStore(newPath);
    const [first = '', second = ''] = closed.packs;
    const other = readFileSync(second);
    const damages: ((bytes: Buffer) => Uint8Array | undefined)[] = [
      () => undefined,
      () => Buffer.alloc(0),
      (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]),
      (bytes) => Buffer.alloc(bytes.length),
      () => other,
    ];
    for (const damage of damages) {
      await whileDamaged(first, damage, async () => {
        // Its pages are used by all three.
        const { lost, report } = await diagnose(closed, newPath);
        expect(lost).toEqual(closed.ids);
        expect(report.problems.map((problem) => problem.file)).toContain(first);
      });
    }
  });

  test('that has changed places with another loses both', async () => {
    const closed = await makeClosedStore(newPath);
    const [first = '', second = ''] = closed.packs;
    const bytes = readFileSync(second);
    await whileDamaged(
      second,
      () => readFileSync(first),
      async () => {
        await whileDamaged(
          first,
          () => bytes,
          async () => {
            const { report } = await diagnose(closed, newPath);
            const files = report.problems.map((problem) => problem.file);
            expect(files).toEqual(expect.arrayContaining([first, second]));
          },
        );
      },
    );
  });

  test('that cannot be read keeps no capture from being whole', async () => {
    const original = await makeClosedStore(newPath);
    const damages: ((path: string) => void)[] = [
      (path) => rmSync(path),
      (path) => writeFileSync(path, ''),
      (path) => writeFileSync(path, readFileSync(path).subarray(0, -1)),
      (path) => writeFileSync(path, flipped(readFileSync(path), 8 * 3)),
      // Of its version, which becomes a later one.
      (path) => writeFileSync(path, flipped(readFileSync(path), 8 * 9)),
      (path) => writeFileSync(path, flipped(readFileSync(path), 8 * (statSync(path).size - 20))),
    ];
    for (const damage of damages) {
      const closed = copyOf(original);
      const [first = ''] = closed.packs;
      damage(first);
      await expectHeals(closed.directory);
      // Without runs, they have to be built from what cannot be read.
      for (const run of closed.runs) rmSync(run, { force: true });
      await expectHeals(closed.directory);
    }
  });

  test('with damaged pages that verify has found is no source for the next capture', async () => {
    const closed = await makeClosedStore(newPath);
    const [first = ''] = closed.packs;
    // The first frame begins right behind the header of the pack and that of the block.
    writeFileSync(first, flipped(readFileSync(first), 8 * 200));
    const store = await openStore(closed.directory);
    expect((await store.verify()).problems).not.toEqual([]);
    await store.close();
    // Another handle, as another process would have: it knows from the catalog.
    const images = closed.dumps[0] ?? '';
    const next = await openStore(closed.directory);
    await expectRestores(await next.timeline('t').capture({ images }), images);
  });
});

describe('a run of the index', () => {
  const damages: [string, (path: string) => void][] = [
    ['is gone', (path) => rmSync(path)],
    ['is empty', (path) => writeFileSync(path, '')],
    ['is cut off', (path) => writeFileSync(path, readFileSync(path).subarray(0, 1000))],
    ['has a bit flipped in its filter', (path) => flip(path, 100)],
    ['has a bit flipped in a block', (path) => flip(path, statSync(path).size * 4)],
    ['has a bit flipped in its fences', (path) => flip(path, statSync(path).size * 8 - 300)],
    ['has a bit flipped at its end', (path) => flip(path, statSync(path).size * 8 - 1)],
    ['is another one', (path) => writeFileSync(path, readFileSync(otherRun(path)))],
  ];

  function flip(path: string, bit: number): void {
    const bytes = readFileSync(path);
    writeFileSync(path, flipped(bytes, bit % (bytes.length * 8)));
  }

  function otherRun(path: string): string {
    const index = join(path, '..');
    return join(index, readdirSync(index).find((name) => !path.endsWith(name)) ?? '');
  }

  test.each(damages)(
    'that %s is built again, and then no page is stored twice',
    async (_, damage) => {
      // Delta pages are not in the index: without them, it knows every page.
      const options = { maxDeltaDepth: 0 };
      const closed = await makeClosedStore(newPath, options);
      for (const number of closed.runs.keys()) {
        const copy = copyOf(closed);
        const run = copy.runs[number] ?? '';
        damage(run);
        const store = await openStore(copy.directory, options);
        const capture = async (timeline: string): Promise<number> => {
          let pages = 0;
          for (const images of copy.dumps) {
            const snapshot = await store.timeline(timeline).capture({ images });
            await expectRestores(snapshot, images);
            pages += snapshot.sizes.new.pages;
          }
          return pages;
        };
        // Where it shows only when a block is read, the first captures have met it.
        await capture('first');
        expect(await capture('second')).toBe(0);
        await store.close();
        expect((await diagnose(copy, newPath)).report.problems).toEqual([]);
      }
    },
  );

  test.each(damages)('that %s while the store is open harms no capture', async (_, damage) => {
    const closed = await makeClosedStore(newPath);
    const store = await openStore(closed.directory, { cacheBytes: 0 });
    for (const seed of [50, 51]) {
      const images = makeDump(newPath(), seed);
      await expectRestores(await store.timeline('t').capture({ images }), images);
      for (const run of closed.runs) if (existsSync(run)) damage(run);
    }
    const images = closed.dumps[1] ?? '';
    await expectRestores(await store.timeline('t').capture({ images }), images);
    expect((await store.verify()).problems).toEqual([]);
  });

  test('that vanishes when more are open than descriptors are kept harms no capture', async () => {
    const store = await openStore(newPath());
    for (let seed = 0; seed < 70; seed++) {
      await store.timeline('t').capture({ images: makeDump(newPath(), seed, 8) });
    }
    const index = join(store.directory, 'index');
    for (const name of readdirSync(index)) rmSync(join(index, name));
    for (const seed of [3, 500]) {
      const images = makeDump(newPath(), seed, 8);
      await expectRestores(await store.timeline('t').capture({ images }), images);
    }
  });
});

describe('format.json', () => {
  test('with any bit flipped is CORRUPT', async () => {
    const closed = await makeClosedStore(newPath);
    const file = join(closed.directory, 'format.json');
    const open = () => openUnmanaged(closed.directory, { readOnly: true });
    for (let bit = 0; bit < statSync(file).size * 8; bit += 3) {
      await whileDamaged(
        file,
        (bytes) => flipped(bytes, bit),
        async () => {
          await expectFailure(open, { code: 'CORRUPT', file });
        },
      );
    }
  });

  test('that is cut off, empty, huge or of another store is CORRUPT', async () => {
    const closed = await makeClosedStore(newPath);
    const other = await makeClosedStore(newPath);
    const file = join(closed.directory, 'format.json');
    const damages: ((bytes: Buffer) => Uint8Array)[] = [
      (bytes) => bytes.subarray(0, 50),
      () => Buffer.alloc(0),
      () => Buffer.from('null'),
      () => Buffer.from('[1]'),
      (bytes) => Buffer.concat([bytes, Buffer.alloc(100_000, ' ')]),
      () => readFileSync(join(other.directory, 'format.json')),
    ];
    for (const damage of damages) {
      await whileDamaged(file, damage, async () => {
        for (const options of [{}, { readOnly: true }, { create: true }]) {
          const open = () => openUnmanaged(closed.directory, options);
          await expectFailure(open, { code: 'CORRUPT' });
        }
      });
    }
  });
});
