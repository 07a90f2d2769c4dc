/**
 * Addresses of files: nobody gets what another has, files stay where they are, and what comes and
 * goes for ever does not end in splinters.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressSpace } from '../../src/tree/addresses.ts';
import type { SpaceRuns } from '../../src/tree/tree.ts';
import { ChurnedFiles, type Change } from '../support/churned-files.ts';
import { runsOf } from '../support/made-nodes.ts';
import { addressesOf } from '../support/planned-trees.ts';

function spaceOf(...pairs: readonly (readonly [number, number])[]): SpaceRuns {
  const { start, length } = runsOf(...pairs);
  return { runStart: start, runLength: length };
}

describe('new addresses', () => {
  it('are one right behind the other for small files', () => {
    const addresses = new AddressSpace(undefined);
    const starts = [3, 1, 255].map((pages) => addresses.allocate(pages).start[0]);
    expect(starts).toEqual([0, 3, 4]);
    expect(addresses.allocate(0)).toEqual(runsOf());
  });

  it('leave large files as much room again, up to 16 GiB', () => {
    const addresses = new AddressSpace(undefined);
    expect(addresses.allocate(256)).toEqual(runsOf([0, 256]));
    expect(addresses.allocate(2 ** 30)).toEqual(runsOf([512, 2 ** 30]));
    expect(addresses.allocate(1)).toEqual(runsOf([512 + 2 ** 30 + 2 ** 22, 1]));
  });

  it('are behind those of the base, with room between them', () => {
    expect(new AddressSpace(spaceOf([0, 5], [100, 10])).allocate(300)).toEqual(runsOf([120, 300]));
    expect(new AddressSpace(spaceOf()).allocate(1)).toEqual(runsOf([0, 1]));
  });

  it('fill the gaps that small files left: the best fit first, and the lowest of those', () => {
    const addresses = new AddressSpace(spaceOf([0, 1], [4, 1], [6, 1], [8, 1]));
    const starts = [1, 1, 2, 1, 1].map((pages) => addresses.allocate(pages).start[0]);
    expect(starts).toEqual([5, 7, 2, 1, 10]);
  });

  it('do not fill the room of large files', () => {
    const base = spaceOf([0, 300], [600, 1]);
    expect(new AddressSpace(base).allocate(1)).toEqual(runsOf([602, 1]));
    // Nor with one that would fit into a gap of small files.
    expect(new AddressSpace(spaceOf([0, 1], [255, 1])).allocate(254)).toEqual(runsOf([1, 254]));
    expect(new AddressSpace(spaceOf([0, 1], [257, 1])).allocate(200)).toEqual(runsOf([259, 200]));
  });
});

describe('the addresses of a file that changes', () => {
  it('stay when it has as many pages, and are fewer when it has fewer', () => {
    const addresses = new AddressSpace(spaceOf([0, 10], [20, 5]));
    const extents = runsOf([20, 5], [0, 3]);
    expect(addresses.resize(extents, 8)).toEqual(extents);
    expect(addresses.resize(extents, 6)).toEqual(runsOf([20, 5], [0, 1]));
    expect(addresses.resize(extents, 5)).toEqual(runsOf([20, 5]));
    expect(addresses.resize(extents, 0)).toEqual(runsOf());
  });

  it('go on in the room behind it, if that is large enough', () => {
    const base = spaceOf([0, 10], [15, 1], [20, 1]);
    expect(new AddressSpace(base).resize(runsOf([0, 10]), 15)).toEqual(runsOf([0, 15]));
    expect(new AddressSpace(base).resize(runsOf([0, 10]), 16)).toEqual(runsOf([0, 10], [22, 6]));
    expect(new AddressSpace(base).resize(runsOf([20, 1]), 2)).toEqual(runsOf([20, 2]));
    // Another file lies right behind it.
    expect(new AddressSpace(base).resize(runsOf([0, 4]), 5)).toEqual(runsOf([0, 4], [22, 1]));
  });

  it('share a gap from both its ends', () => {
    const addresses = new AddressSpace(spaceOf([0, 10], [15, 1]));
    expect(addresses.allocate(2)).toEqual(runsOf([13, 2]));
    expect(addresses.resize(runsOf([0, 10]), 13)).toEqual(runsOf([0, 13]));
    expect(addresses.allocate(1)).toEqual(runsOf([17, 1]));
    const others = new AddressSpace(spaceOf([0, 10], [15, 1]));
    expect(others.resize(runsOf([0, 10]), 12)).toEqual(runsOf([0, 12]));
    expect(others.allocate(3)).toEqual(runsOf([12, 3]));
    const full = new AddressSpace(spaceOf([0, 10], [15, 1]));
    full.allocate(4);
    expect(full.resize(runsOf([0, 10]), 12)).toEqual(runsOf([0, 10], [17, 2]));
  });

  it('are new ones for a file that had none', () => {
    const addresses = new AddressSpace(spaceOf([0, 1], [2, 1]));
    expect(addresses.resize(runsOf(), 1)).toEqual(runsOf([1, 1]));
  });

  it('are of few runs, however often it grows', () => {
    for (const [first, more] of [
      [1, 1],
      [1, 10],
      [300, 10],
    ] as const) {
      const space = new ChurnedFiles();
      const others = Array.from({ length: 200 }, (_, i): Change => [`other ${i}`, 1]);
      space.snapshot([...others.slice(100), ['log', first], ...others.slice(0, 100)]);
      for (let round = 1; round <= 150; round++) {
        const gone: Change = [`other ${round % 200}`, undefined];
        space.snapshot([gone, [`new ${round}`, 1], ['log', first + more * round]]);
      }
      expect(space.files.get('log')?.start.length).toBeLessThan(12);
    }
  });
});

describe('the space of files that come and go', () => {
  const pages = fc.oneof(fc.nat(4), fc.integer({ min: 200, max: 600 }));
  const change = fc.tuple(
    fc.nat(12).map((number) => `file ${number}`),
    fc.oneof({ weight: 3, arbitrary: pages }, { weight: 1, arbitrary: fc.constant(undefined) }),
  );
  const snapshots = fc.array(
    fc.uniqueArray(change, { selector: ([name]) => name, maxLength: 10 }),
    { maxLength: 12 },
  );

  it('gives every page to one file, which keeps what it has', () => {
    fc.assert(
      fc.property(snapshots, (history) => {
        const space = new ChurnedFiles();
        for (const changes of history) {
          const before = new Map(space.files);
          space.snapshot(changes);
          for (const [name, { start, length }] of space.files) {
            const old = before.get(name);
            if (old === undefined) continue;
            const [now, then] = [addressesOf(start, length), addressesOf(old.start, old.length)];
            const common = Math.min(now.length, then.length);
            // As texts: comparing arrays of 600 numbers takes most of the time.
            expect(now.slice(0, common).join()).toBe(then.slice(0, common).join());
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  type Churned = Pick<ChurnedFiles, 'runCount' | 'extent' | 'pageCount'>;

  /** Replaces ten files of a thousand for a hundred rounds, twice. */
  function churn(sizeOf: (random: number) => number): Churned[] {
    let seed = 1;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    let made = 0;
    const create = (): Change => [`file ${made++}`, sizeOf(random(2 ** 20))];
    const space = new ChurnedFiles();
    space.snapshot(Array.from({ length: 1000 }, create));
    return [1, 2].map(() => {
      for (let round = 0; round < 100; round++) {
        const names = [...space.files.keys()];
        const gone = new Set(Array.from({ length: 10 }, () => names[random(names.length)] ?? ''));
        space.snapshot([...gone].flatMap((name): Change[] => [[name, undefined], create()]));
      }
      const { runCount, extent, pageCount } = space;
      return { runCount, extent, pageCount };
    });
  }

  it.each<[string, (random: number) => number]>([
    ['of one page', () => 1],
    ['of one to four pages', (random) => 1 + (random % 4)],
    ['of three pages after those of one', (random) => (random % 8 === 0 ? 1 : 3)],
    ['of up to 40 pages', (random) => 1 + (random % 40)],
  ])('has few gaps, and not more and more of them: files %s', (_, sizeOf) => {
    const [first, second] = churn(sizeOf) as [Churned, Churned];
    expect(first.runCount).toBeLessThan(300);
    expect(second.runCount).toBeLessThan(300);
    // Besides the pages, there is the room behind the first snapshot, which is as large.
    expect(first.extent).toBeLessThan(first.pageCount * 2.5);
    expect(second.extent).toBeLessThan(first.extent * 1.15);
  });
});
