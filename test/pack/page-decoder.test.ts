/** Pages by reference: through chains over several packs, a bounded cache, and all that breaks. */
import { rmSync, writeFileSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PageDecoder } from '../../src/pack/page-decoder.ts';
import { changedPage } from '../support/made-deltas.ts';
import { identityOf, type MadeDelta, numberedPage } from '../support/made-packs.ts';
import { addChain, PackDirectory } from '../support/pack-directory.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();
const newDirectory = () => new PackDirectory(nextPath());
const DELTA = 2 ** 31;
const [own, other] = [identityOf(1), identityOf(2)];

function pageAt(decoder: PageDecoder, segment: number, slot: number): Buffer {
  const target = Buffer.alloc(4096);
  decoder.read(segment, slot, target, 0);
  return target;
}

/** So many full pages in frames of 64, as one segment. */
function fullPages(count: number, first = 0): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => numberedPage(first + i));
}

/** The error of a pack that is not what it should be. */
function corrupt(message: RegExp, file?: string): unknown {
  const text = { code: 'CORRUPT', message: expect.stringMatching(message) };
  return expect.objectContaining(file === undefined ? text : { ...text, file });
}

describe('a table that is wrong', () => {
  const swapped = (): PackDirectory => {
    const directory = newDirectory();
    directory.add({ segments: [{ identity: own, pages: fullPages(2) }] });
    const [base, page] = [numberedPage(0), changedPage(numberedPage(0), 1)];
    const delta = { page, base, segment: own, slot: 0, depth: 1 };
    directory.add({ segments: [{ identity: other, pages: fullPages(2, 2), deltas: [delta] }] });
    directory.table.add(1, own, directory.table.packName(2), 0);
    return directory;
  };

  it('gives no page of another segment, not as a base either', () => {
    for (const [segment, slot] of [
      [1, 0],
      [2, DELTA],
    ] as const) {
      const directory = swapped();
      const file = directory.pathOf(directory.table.packName(2));
      const read = () => pageAt(directory.decoder(), segment, slot);
      expect(read).toThrow(corrupt(/says that a segment is in this pack, and it is not/, file));
    }
  });
});

describe('a chain of deltas', () => {
  const depths = [...Array.from({ length: 17 }, (_, depth) => depth), 64, 255];

  it.each([1, 2, 3])('is followed down to its full page, over %d packs', (packs) => {
    for (const depth of depths) {
      const directory = newDirectory();
      const { pages, places } = addChain(directory, depth, { packs });
      const decoder = directory.decoder();
      for (const i of new Set([depth, 0, depth >> 1])) {
        const { identity, slot } = places[i]!;
        const buffer = Buffer.alloc(3 * 4096, 0x55);
        const root = Buffer.alloc(4096);
        decoder.read(directory.number(identity), slot, buffer, 4096, { bytes: root, from: 0 });
        expect(buffer.subarray(4096, 2 * 4096).equals(pages[i]!)).toBe(true);
        const around = [...buffer.subarray(0, 4096), ...buffer.subarray(2 * 4096)];
        expect(around.every((byte) => byte === 0x55)).toBe(true);
        expect([decoder.depth, decoder.rootSegment, decoder.rootSlot]).toEqual([i, 1, 0]);
        expect(root.equals(pages[0]!)).toBe(true);
      }
    }
  });

  it('ends where a page says that it is not deeper than its base', () => {
    const [base, page] = [numberedPage(1), changedPage(numberedPage(1), 1)];
    const directory = newDirectory();
    const file = directory.add({
      segments: [
        {
          identity: own,
          pages: [base],
          deltas: [
            { page, base, slot: 0 },
            // Deeper than it needs to be: its base was put in place of a lost one.
            { page: base, base: page, slot: DELTA, depth: 3 },
            // Upon itself, and two upon each other.
            { page, base, slot: DELTA + 2, depth: 2 },
            { page, base, slot: DELTA + 4, depth: 3 },
            { page, base, slot: DELTA + 3, depth: 2 },
          ],
        },
      ],
    });
    const decoder = directory.decoder();
    expect(pageAt(decoder, 1, DELTA).equals(page)).toBe(true);
    const [target, root] = [Buffer.alloc(4096), Buffer.alloc(4096)];
    decoder.read(1, DELTA + 1, target, 0, { bytes: root, from: 3 });
    expect(target.equals(base)).toBe(true);
    // What stands on it is deeper than it says, not than its chain is long.
    expect(decoder.depth).toBe(3);
    expect(root.equals(base)).toBe(true);
    for (const slot of [DELTA + 2, DELTA + 3, DELTA + 4]) {
      target.fill(7);
      const error = corrupt(/not deeper than its base/, file);
      expect(() => decoder.read(1, slot, target, 0)).toThrow(error);
      expect(target.equals(Buffer.alloc(4096, 7))).toBe(true);
    }
  });

  it('is lost with a base that nobody knows', () => {
    const base = numberedPage(1);
    const delta = { page: changedPage(base, 1), base, slot: 0, segment: other };
    const directory = newDirectory();
    const file = directory.add({ segments: [{ identity: own, pages: [], deltas: [delta] }] });
    const packs = directory.packs();
    const decoder = directory.decoder({}, packs);
    const error = corrupt(/the base of a delta page is in no known segment/, file);
    expect(() => pageAt(decoder, 1, DELTA)).toThrow(error);
    expect(packs.lostFrames.all()).toEqual([{ file, offset: 16 }]);
  });

  it('is an error with a base that is not where it should be, or in no pack', () => {
    const base = numberedPage(1);
    const deltas = [
      { page: changedPage(base, 1), base, slot: 1, segment: other },
      { page: base, base, slot: DELTA, depth: 2, segment: other },
    ];
    const directory = newDirectory();
    directory.add({ segments: [{ identity: own, pages: [], deltas }] });
    const file = directory.add({ segments: [{ identity: other, pages: [base] }] });
    const decoder = directory.decoder();
    expect(() => pageAt(decoder, 1, DELTA)).toThrow(corrupt(/slot 1 is not in this pack/, file));
    const notThere = corrupt(/slot 2147483648 is not in this pack/, file);
    expect(() => pageAt(decoder, 1, DELTA + 1)).toThrow(notThere);
    rmSync(file);
    const missing = corrupt(/pack is missing/, file);
    expect(() => pageAt(directory.decoder(), 1, DELTA)).toThrow(missing);
  });
});

describe('PageDecoder', () => {
  it('refuses slots that are not there, in a frame or without one', () => {
    const directory = newDirectory();
    const base = numberedPage(0);
    const deltas = [{ page: changedPage(base, 1), base, slot: 0 }];
    directory.add({ segments: [{ identity: own, pages: fullPages(3), deltas }] });
    const decoder = directory.decoder();
    for (const round of [1, 2]) {
      for (const slot of [3, 63, 64, DELTA - 1, DELTA + 1, DELTA + 64, 2 ** 32 - 1]) {
        const error = corrupt(new RegExp(`slot ${slot} is not in this pack`));
        expect(() => pageAt(decoder, 1, slot), `round ${round}`).toThrow(error);
      }
      // The second time, the frames are in the cache.
      expect(pageAt(decoder, 1, 2).equals(numberedPage(2))).toBe(true);
      expect(pageAt(decoder, 1, DELTA).equals(deltas[0]!.page)).toBe(true);
    }
  });

  it('reads a run as it reads its pages one by one', () => {
    const directory = newDirectory();
    const pages = fullPages(200).map((page, i) => (i === 199 ? page.subarray(0, 50) : page));
    const deltas = pages.map((base, slot) => ({ page: changedPage(base, slot), base, slot }));
    directory.add({ segments: [{ identity: own, pages, deltas }] });
    const decoder = directory.decoder();
    const runs = fc
      .nat(199)
      .chain((first) => fc.tuple(fc.constant(first), fc.integer({ min: 1, max: 200 - first })));
    fc.assert(
      fc.property(runs, fc.boolean(), fc.nat(5), ([first, count], isDelta, offset) => {
        const slot = isDelta ? DELTA + first : first;
        const run = Buffer.alloc((count + 2) * 4096 + offset, 0x55);
        decoder.readRun(1, slot, count, run, 4096 + offset);
        const expected = Buffer.alloc(run.length, 0x55);
        for (let i = 0; i < count; i++) {
          decoder.read(1, slot + i, expected, 4096 * (i + 1) + offset);
        }
        expect(run.equals(expected)).toBe(true);
        const list = isDelta ? deltas.map(({ page }) => page) : pages;
        const last = Buffer.alloc(4096);
        last.set(list[first + count - 1]!);
        const start = count * 4096 + offset;
        expect(run.subarray(start, start + 4096).equals(last)).toBe(true);
      }),
      { numRuns: 60 },
    );
    const beyond = corrupt(/slot 200 is not in this pack/);
    expect(() => decoder.readRun(1, 199, 2, Buffer.alloc(8192), 0)).toThrow(beyond);
  });

  it('decodes a frame once while the cache has room for it, and counts what it decodes', () => {
    const directory = newDirectory();
    directory.add({ segments: [{ identity: own, pages: fullPages(12 * 64) }] });
    const readFrames = (decoder: PageDecoder, count: number) => {
      for (let frame = 0; frame < count; frame++) pageAt(decoder, 1, frame * 64 + 5);
      return [decoder.framesDecoded, decoder.framesNeeded];
    };
    // 2 MiB, whatever less is asked for: 8 frames.
    const small = directory.decoder({ cacheBytes: 1 });
    expect(readFrames(small, 8)).toEqual([8, 8]);
    expect(readFrames(small, 8)).toEqual([8, 8]);
    expect(readFrames(small, 9)).toEqual([9, 9]);
    // What leaves is left to chance: of nine in turn, most are still there.
    const [again = 0] = readFrames(small, 9);
    expect(again - 9).toBeGreaterThan(0);
    expect(again - 9).toBeLessThan(6);
    const large = directory.decoder({ cacheBytes: 12 * 64 * 4096 });
    expect(readFrames(large, 12)).toEqual([12, 12]);
    expect(readFrames(large, 12)).toEqual([12, 12]);
  });

  it('keeps many frames of deltas where it keeps a few of full pages', () => {
    const directory = newDirectory();
    const base = numberedPage(0);
    const deltas = Array.from({ length: 100 * 64 }, (_, i): MadeDelta => {
      return { page: changedPage(base, i % 50), base, slot: 0 };
    });
    directory.add({ segments: [{ identity: own, pages: [base], deltas }] });
    const decoder = directory.decoder();
    for (const round of [1, 2]) {
      for (let i = 0; i < deltas.length; i += 60) {
        expect(pageAt(decoder, 1, DELTA + i).equals(deltas[i]!.page), `round ${round}`).toBe(true);
      }
    }
    expect(decoder.framesDecoded).toBe(101);
  });

  it('gives the right page in any order, with a cache that is too small', () => {
    const directory = newDirectory();
    const chains = [1, 20, 40].map((first) => addChain(directory, 6, { packs: 3, first }));
    const full = fullPages(20 * 64, 5000);
    directory.add({ segments: [{ identity: identityOf(99), pages: full }] });
    const decoder = directory.decoder();
    const spot = fc.oneof(
      fc.tuple(fc.nat(2), fc.nat(6)).map(([chain, depth]) => {
        const { pages, places } = chains[chain]!;
        return { page: pages[depth]!, ...places[depth]! };
      }),
      fc.nat(20 * 64 - 1).map((slot) => ({ page: full[slot]!, identity: identityOf(99), slot })),
    );
    fc.assert(
      fc.property(fc.array(spot, { minLength: 1, maxLength: 60 }), (list) => {
        for (const { page, identity, slot } of list) {
          expect(pageAt(decoder, directory.number(identity), slot).equals(page)).toBe(true);
        }
      }),
    );
  });

  it('does not take a frame that is gone from the cache for one that is there', () => {
    const directory = newDirectory();
    const { pages, places } = addChain(directory, 2);
    directory.add({ segments: [{ identity: identityOf(99), pages: fullPages(9 * 64, 5000) }] });
    const decoder = directory.decoder();
    const readChain = (depth: number) =>
      pageAt(decoder, 1, places[depth]!.slot).equals(pages[depth]!);
    // The full page is the end of a chain of two, and of one of one, before it is forgotten.
    expect([readChain(2), readChain(1)]).toEqual([true, true]);
    for (let frame = 0; frame < 9; frame++) pageAt(decoder, 2, frame * 64);
    expect([readChain(2), readChain(1)]).toEqual([true, true]);
  });
});

describe('a lost frame', () => {
  function directoryWithDamage(): { directory: PackDirectory; file: string } {
    const directory = newDirectory();
    const base = numberedPage(0);
    const deltas = [{ page: changedPage(base, 1), base, slot: 0 }];
    const file = directory.add({ segments: [{ identity: own, pages: fullPages(65), deltas }] });
    const bytes = readFileSync(file);
    bytes[16 + 30]! ^= 1;
    rmSync(file);
    writeFileSync(file, bytes);
    return { directory, file };
  }

  it('is reported, with all deltas upon it, and leaves the other frames alone', () => {
    const { directory, file } = directoryWithDamage();
    const packs = directory.packs();
    const decoder = directory.decoder({}, packs);
    const error = corrupt(/damaged block/, file);
    for (const slot of [0, 1, DELTA]) expect(() => pageAt(decoder, 1, slot)).toThrow(error);
    expect(pageAt(decoder, 1, 64).equals(numberedPage(64))).toBe(true);
    expect(packs.lostFrames.takeUnrecorded()).toEqual([{ file, offset: 16 }]);
    expect(packs.lostFrames.takeUnrecorded()).toEqual([]);
  });

  it('is tried again unless it is to be refused', () => {
    const directory = newDirectory();
    const file = directory.add({ segments: [{ identity: own, pages: fullPages(1) }] });
    const packs = directory.packs();
    packs.lostFrames.restore({ file, offset: 16 });
    const trying = directory.decoder({ refuseLost: false }, packs);
    expect(pageAt(trying, 1, 0).equals(numberedPage(0))).toBe(true);
    const refusing = directory.decoder({ refuseLost: true }, packs);
    const error = corrupt(/a frame is known to be damaged/, file);
    expect(() => pageAt(refusing, 1, 0)).toThrow(error);
    expect(refusing.framesDecoded).toBe(0);
  });

  it('is one that the caller finds wrong, of either kind', () => {
    const directory = newDirectory();
    const base = numberedPage(0);
    const deltas = [{ page: changedPage(base, 1), base, slot: 0 }];
    const file = directory.add({ segments: [{ identity: own, pages: [base], deltas }] });
    const packs = directory.packs();
    const decoder = directory.decoder({}, packs);
    decoder.reportLost(1, DELTA);
    const [, table] = packs.reader(directory.table.packName(1)).frameTables(0);
    expect(packs.lostFrames.all()).toEqual([{ file, offset: table?.entryAt(0).offset }]);
  });
});
