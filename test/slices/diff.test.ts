/** New pages that become deltas: only upon a base that is right, and no deeper than they may. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { diff } from '../../src/slices/diff.ts';
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
}

/** Compares pages with those of a base, all of them new to the store. */
function diffOver(
  directory: PackDirectory,
  base: MadeFile,
  pages: readonly Uint8Array[],
  options: { readonly limit?: number; readonly prepare?: (slice: Slice) => void } = {},
): Diffed {
  const session = newSession(directory);
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
  options.prepare?.(slice);
  diff(session, { slice: slice.handle, first: 0, end: pages.length });
  const kept = [...slice.kept.subarray(0, pages.length)];
  const pagesAfter = Uint8Array.from(slice.pages);
  const recordAt = (page: number) => seen(recordIn(pagesAfter, page * 4096));
  return { slice, kept, lost: session.report().lost, recordAt };
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
