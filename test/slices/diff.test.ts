/** New pages that become deltas: only upon a base that is right, and no deeper than they may. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { diff } from '../../src/slices/diff.ts';
import { newCellMemory, PageCells } from '../../src/slices/page-cells.ts';
import { KEPT, type Slice } from '../../src/slices/slice.ts';
import {
  changedPage,
  recordAt as recordIn,
  recordOf,
  seen,
  type SeenRecord,
} from '../support/made-deltas.ts';
import { identityOf, numberedPage } from '../support/made-packs.ts';
import {
  digestsOf,
  leavesOf,
  type MadeFile,
  newSession,
  putBase,
  newSlice,
  putLeaves,
} from '../support/made-slices.ts';
import { addChain, PackDirectory } from '../support/pack-directory.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

/** A file whose page i is a chain of i deltas. */
function chainFile(directory: PackDirectory, depth: number): MadeFile {
  const { pages, places } = addChain(directory, depth, { packs: 2 });
  const found = places.map(({ identity, slot }) => ({ segment: directory.number(identity), slot }));
  return { pages, places: found, leaves: leavesOf(pages) };
}

interface Diffed {
  readonly slice: Slice;
  readonly kept: number[];
  readonly lost: readonly unknown[];
  /** The record of a page. */
  readonly recordAt: (page: number) => SeenRecord;
  readonly cells: PageCells;
}

/** Cells for tests, and what all of them are full of at first. */
const CELLS = 40;
const UNTOUCHED = 0x5a;

/** Compares pages with those of a base, all of them new to the store. */
function diffOver(
  directory: PackDirectory,
  base: MadeFile,
  pages: readonly Uint8Array[],
  options: {
    readonly limit?: number;
    readonly prepare?: (slice: Slice, cells: PageCells) => void;
  } = {},
): Diffed {
  const memory = newCellMemory(CELLS * 4097);
  new Uint8Array(memory).fill(UNTOUCHED);
  const session = newSession(directory, { cells: memory });
  const cells = new PageCells(memory);
  const slice = newSlice();
  putLeaves(slice, putBase(slice, base));
  digestsOf(base.pages).copy(slice.baseDigests);
  slice.baseIsKnown.fill(1);
  slice.depthLimit.fill(options.limit ?? 16);
  pages.forEach((page, i) => {
    slice.pages.set(page, i * 4096);
    slice.newPages[i] = i;
  });
  slice.kept.fill(9);
  options.prepare?.(slice, cells);
  diff(session, { slice: slice.handle, first: 0, end: pages.length });
  const kept = [...slice.kept.subarray(0, pages.length)];
  const pagesAfter = Uint8Array.from(slice.pages);
  const recordAt = (page: number) => seen(recordIn(pagesAfter, page * 4096));
  return { slice, kept, lost: session.report().lost, recordAt, cells };
}

describe('diff', () => {
  const directory = new PackDirectory(nextPath());
  const base = chainFile(directory, 16);
  const edited = base.pages.map((page, i) => changedPage(page, 200 + i));

  it('keeps a page that changed little as a record, one deeper than its base', () => {
    const { kept, recordAt, lost } = diffOver(directory, base, edited.slice(0, 16));
    expect(kept).toEqual(Array(16).fill(KEPT.delta));
    for (let i = 0; i < 16; i++) {
      const reference = { ...base.places[i]!, depth: i + 1 };
      expect(recordAt(i)).toEqual(seen(recordOf(edited[i]!, base.pages[i]!, reference)));
    }
    expect(lost).toEqual([]);
  });

  it('goes back to the full page where the chain is as deep as it may be', () => {
    for (const limit of [1, 5, 16]) {
      const { recordAt } = diffOver(directory, base, edited, { limit });
      const root = { ...base.places[0]!, depth: 1 };
      edited.forEach((page, i) => {
        const isTooDeep = i + 1 > limit;
        const from = isTooDeep ? base.pages[0]! : base.pages[i]!;
        const reference = isTooDeep ? root : { ...base.places[i]!, depth: i + 1 };
        expect(recordAt(i), `limit ${limit}, page ${i}`).toEqual(
          seen(recordOf(page, from, reference)),
        );
      });
    }
  });

  it('keeps a page in full that changed too much, and leaves its bytes alone', () => {
    const other = new Uint8Array(4096).fill(0x77);
    const { kept, slice } = diffOver(directory, base, [edited[0]!, other]);
    expect(kept).toEqual([KEPT.delta, KEPT.full]);
    expect(slice.pages.subarray(4096, 8192).equals(other)).toBe(true);
  });

  it('says of each new page by its place in the list, not in the slice, how it is kept', () => {
    const prepare = (slice: Slice) => {
      slice.newPages.set([1, 0]);
      slice.pages.fill(0x77, 0, 4096);
    };
    const { kept } = diffOver(directory, base, edited.slice(0, 2), { prepare });
    expect(kept).toEqual([KEPT.delta, KEPT.full]);
  });

  it.each<[string, (slice: Slice) => void]>([
    ['without a base', (slice) => (slice.basePage[0] = -1)],
    ['whose chain may have no length', (slice) => (slice.depthLimit[0] = 0)],
    ['whose base is a page of zeros', (slice) => (slice.baseSegment[0] = 0)],
    ['whose base leaf is not known', (slice) => (slice.baseIsKnown[0] = 0)],
  ])('keeps a page in full %s', (_, prepare) => {
    const { kept, lost } = diffOver(directory, base, edited.slice(0, 1), { prepare });
    expect([kept, lost]).toEqual([[KEPT.full], []]);
  });

  it('does not build upon a base that is not what its digest says, and reports it', () => {
    const prepare = (slice: Slice) => void (slice.baseDigests[2 * 32 + 7]! ^= 1);
    const { kept, lost } = diffOver(directory, base, edited.slice(0, 4), { prepare });
    expect(kept).toEqual([KEPT.delta, KEPT.delta, KEPT.full, KEPT.delta]);
    expect(lost).toHaveLength(1);
  });

  it('compares the last page of a base by its own length', () => {
    const packs = new PackDirectory(nextPath());
    const page = numberedPage(3, 100);
    packs.add({ segments: [{ identity: identityOf(1), pages: [page] }] });
    const places = [{ segment: 1, slot: 0 }];
    const file = { pages: [page], places, leaves: leavesOf([page]) };
    const longer = Uint8Array.from([...page, 5]);
    const { kept, recordAt } = diffOver(packs, file, [longer]);
    expect(kept).toEqual([KEPT.delta]);
    expect(recordAt(0)).toEqual(seen(recordOf(longer, page, { ...places[0]!, depth: 1 })));
  });

  it('keeps pages in full whose base is damaged, and reports the damage', () => {
    const packs = new PackDirectory(nextPath());
    const file = chainFile(packs, 3);
    const path = packs.pathOf(packs.table.packName(1));
    const bytes = readFileSync(path);
    bytes[16 + 30]! ^= 1;
    rmSync(path);
    writeFileSync(path, bytes);
    const pages = file.pages.map((page, i) => changedPage(page, i));
    const { kept, lost } = diffOver(packs, file, pages);
    expect(kept).toEqual(Array(4).fill(KEPT.full));
    expect(lost).toEqual([{ file: path, offset: 16 }]);
  });
});

/** Puts the pages of a base into cells from the last one on, each as deep as its number. */
function putBaseInCells(slice: Slice, cells: PageCells, base: MadeFile): void {
  base.pages.forEach((page, i) => {
    const cell = CELLS - 1 - i;
    const whole = new Uint8Array(4096);
    whole.set(page);
    cells.put(cell, whole, i);
    slice.baseCell[i] = cell;
  });
}

describe('diff, with a base in cells', () => {
  const base = chainFile(new PackDirectory(nextPath()), 16);
  const edited = base.pages.map((page, i) => changedPage(page, 200 + i));
  const warm = { prepare: (slice: Slice, cells: PageCells) => putBaseInCells(slice, cells, base) };

  it('says the same as with the base from packs, and reads none of them', () => {
    const packs = new PackDirectory(nextPath());
    const file = chainFile(packs, 16);
    const cold = diffOver(packs, file, edited.slice(0, 16));
    rmSync(packs.path, { recursive: true });
    const { kept, lost, recordAt } = diffOver(packs, file, edited.slice(0, 16), warm);
    expect(kept).toEqual(Array(16).fill(KEPT.delta));
    expect(lost).toEqual([]);
    for (let i = 0; i < 16; i++) {
      expect(recordAt(i)).toEqual(cold.recordAt(i));
      expect(recordAt(i).depth).toBe(i + 1);
    }
    // From packs there is nothing to compare with any more.
    expect(diffOver(packs, file, edited.slice(0, 16)).kept).toEqual(Array(16).fill(KEPT.full));
  });

  it('goes back to the full page in the packs where the chain is as deep as it may be', () => {
    const packs = new PackDirectory(nextPath());
    const file = chainFile(packs, 16);
    for (const limit of [1, 5, 16]) {
      const { recordAt } = diffOver(packs, file, edited, { ...warm, limit });
      const root = { ...file.places[0]!, depth: 1 };
      edited.forEach((page, i) => {
        const isTooDeep = i + 1 > limit;
        const from = isTooDeep ? file.pages[0]! : file.pages[i]!;
        const reference = isTooDeep ? root : { ...file.places[i]!, depth: i + 1 };
        expect(recordAt(i), `limit ${limit}, page ${i}`).toEqual(
          seen(recordOf(page, from, reference)),
        );
      });
    }
    rmSync(packs.path, { recursive: true });
    const { kept } = diffOver(packs, file, edited.slice(0, 8), { ...warm, limit: 5 });
    expect(kept).toEqual([...Array(5).fill(KEPT.delta), ...Array(3).fill(KEPT.full)]);
  });

  it('puts new pages into their cells as they are, with the depth that they get', () => {
    const packs = new PackDirectory(nextPath());
    const file = chainFile(packs, 16);
    const other = new Uint8Array(4096).fill(0x77);
    const pages = [edited[0]!, edited[1]!, edited[2]!, other, edited[4]!, edited[5]!];
    const prepare = (slice: Slice, cells: PageCells) => {
      putBaseInCells(slice, cells, file);
      slice.baseCell[1] = -1;
      // The first takes the place of its base, as one that changes all the time does.
      slice.newCell.set([CELLS - 1, 0, 4, 5, 6, 7]);
      slice.basePage[4] = -1;
      slice.depthLimit[5] = 5;
    };
    const { kept, cells, recordAt } = diffOver(packs, file, pages, { prepare });
    const { delta, full } = KEPT;
    expect(kept).toEqual([delta, delta, delta, full, full, delta]);
    [CELLS - 1, 0, 4, 5, 6, 7].forEach((cell, i) => {
      const content = cells.bytes.subarray(cell * 4096, cell * 4096 + 4096);
      expect(content.equals(pages[i]!), `page ${i}`).toBe(true);
    });
    const depths = [CELLS - 1, 0, 4, 5, 6, 7].map((cell) => cells.depth[cell]);
    // The last one began its chain anew.
    expect(depths).toEqual([1, 2, 3, 0, 0, 1]);
    expect([0, 1, 2, 5].map((page) => recordAt(page).depth)).toEqual([1, 2, 3, 1]);
    expect(recordAt(0)).toEqual(
      seen(recordOf(pages[0]!, file.pages[0]!, { ...file.places[0]!, depth: 1 })),
    );
  });

  it('leaves cells alone that no new page got', () => {
    const packs = new PackDirectory(nextPath());
    const file = chainFile(packs, 3);
    const pages = edited.slice(0, 4);
    const prepare = (slice: Slice) => void (slice.newCell[2] = 11);
    const { cells, lost } = diffOver(packs, file, pages, { prepare });
    const before = Buffer.alloc(CELLS * 4096, UNTOUCHED);
    before.set(pages[2]!, 11 * 4096);
    expect(cells.bytes.equals(before)).toBe(true);
    const depths = Array.from({ length: CELLS }, (_, i) => (i === 11 ? 3 : UNTOUCHED));
    expect([...cells.depth]).toEqual(depths);
    expect(lost).toEqual([]);
  });

  it('keeps a page in full that has a cell, and may have no chain', () => {
    const packs = new PackDirectory(nextPath());
    const file = chainFile(packs, 3);
    const prepare = (slice: Slice, cells: PageCells) => {
      putBaseInCells(slice, cells, file);
      slice.newCell[0] = CELLS - 1;
      slice.depthLimit[0] = 0;
    };
    const { kept, cells } = diffOver(packs, file, edited.slice(0, 1), { prepare });
    expect([kept, cells.depth[CELLS - 1]]).toEqual([[KEPT.full], 0]);
    expect(cells.bytes.subarray(-4096).equals(edited[0]!)).toBe(true);
  });

  it('stands on no page whose leaf was found damaged, though it lies in a cell', () => {
    const packs = new PackDirectory(nextPath());
    const file = chainFile(packs, 3);
    const prepare = (slice: Slice, cells: PageCells) => {
      putBaseInCells(slice, cells, file);
      slice.baseIsKnown[0] = 0;
    };
    const { kept } = diffOver(packs, file, edited.slice(0, 2), { prepare });
    expect(kept).toEqual([KEPT.full, KEPT.full]);
  });
});
