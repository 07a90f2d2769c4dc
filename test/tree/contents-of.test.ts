/** Contents of a stored tree as columns: which page of the space is which of what file. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TreeEntry } from '../../src/tree/body.ts';
import { ContentsBuilder, pathOf, pieceAt } from '../../src/tree/contents-of.ts';
import type { TreeContents } from '../../src/tree/contents.ts';
import type { SpaceRuns } from '../../src/tree/tree.ts';
import { plainNode, runsOf, textOf } from '../support/made-nodes.ts';

function build(entries: readonly TreeEntry[], runs: SpaceRuns): TreeContents {
  const builder = new ContentsBuilder();
  for (const entry of entries) builder.add(entry);
  return builder.finish(runs, '/target');
}

/** Files as the addresses of their pages. */
function filesAt(files: readonly (readonly number[])[]): TreeEntry[] {
  return files.map((addresses, i) => {
    const extents = runsOf(...addresses.map((address) => [address, 1] as const));
    return { ...plainNode(`file ${i}`, { sizeBytes: addresses.length * 4096 }), extents };
  });
}

function spaceOf(addresses: readonly number[]): SpaceRuns {
  const { start, length } = runsOf(...addresses.map((address) => [address, 1] as const));
  return { runStart: start, runLength: length };
}

describe('contents of a stored tree', () => {
  it('say for each page of the space whose it is', () => {
    const files = fc
      .uniqueArray(fc.tuple(fc.nat(500), fc.nat(4)), { selector: ([address]) => address })
      .map((pages) =>
        [0, 1, 2, 3, 4].map((file) => pages.flatMap(([at, of]) => (of === file ? [at] : []))),
      );
    fc.assert(
      fc.property(files, (all) => {
        const space = all.flat().sort((a, b) => a - b);
        const contents = build(filesAt(all), spaceOf(space));
        for (const [page, address] of space.entries()) {
          const piece = pieceAt(contents, page);
          const inPiece = page - (contents.page[piece] as number);
          const offset = (contents.offsetBytes[piece] as number) / 4096 + inPiece;
          const file = contents.file[piece] as number;
          expect(all[file]?.[offset]).toBe(address);
          expect(textOf(pathOf(contents, file))).toBe(`file ${file}`);
        }
        expect(pieceAt(contents, space.length)).toBe(contents.page.length);
      }),
    );
  });

  it('leave out pages of files that are not wanted', () => {
    const runs: SpaceRuns = { runStart: Float64Array.of(10), runLength: Float64Array.of(100) };
    const [first, , third] = filesAt([[10, 11], [12], [20, 21, 22]]);
    const contents = build([third as TreeEntry, first as TreeEntry], runs);
    expect([...contents.page]).toEqual([0, 1, 10, 11, 12]);
    const found = [0, 1, 2, 9, 10, 12, 13].map((page) => pieceAt(contents, page));
    expect(found).toEqual([0, 1, 2, 2, 2, 4, 5]);
    expect([...contents.file]).toEqual([1, 1, 0, 0, 0]);
  });

  it('follow holes, and know nothing of files without data', () => {
    const sparse: TreeEntry = {
      ...plainNode('a', { sizeBytes: 100 * 4096, dataRuns: runsOf([3, 2], [50, 1]) }),
      extents: runsOf([0, 1], [7, 2]),
    };
    const hole: TreeEntry = {
      ...plainNode('b', { sizeBytes: 2 ** 40, dataRuns: runsOf() }),
      extents: runsOf(),
    };
    const contents = build([sparse, hole], spaceOf([0, 7, 8]));
    expect([...contents.page]).toEqual([0, 1, 2]);
    expect([...contents.offsetBytes]).toEqual([3 * 4096, 4 * 4096, 50 * 4096]);
    expect([...contents.fileBytes]).toEqual([100 * 4096, 2 ** 40]);
  });

  it('are below the root, and nobody changes them', () => {
    const contents = build([], spaceOf([]));
    const { kind, root, acceptChanges, syncFiles } = contents;
    expect({ kind, root, acceptChanges, syncFiles }).toEqual({
      kind: 'tree',
      root: '/target',
      acceptChanges: false,
      syncFiles: false,
    });
    expect(pieceAt(contents, 0)).toBe(0);
  });

  it('cannot be of pages that the space does not have', () => {
    for (const address of [4, 7, 2 ** 51]) {
      const runs: SpaceRuns = { runStart: Float64Array.of(5), runLength: Float64Array.of(2) };
      expect(() => build(filesAt([[address]]), runs)).toThrow(
        expect.objectContaining({ code: 'CORRUPT' }),
      );
    }
    const across: TreeEntry = { ...plainNode('a', { sizeBytes: 8192 }), extents: runsOf([6, 2]) };
    const runs: SpaceRuns = { runStart: Float64Array.of(5), runLength: Float64Array.of(2) };
    expect(() => build([across], runs)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
  });

  it('cannot be of one page in two files', () => {
    const space = spaceOf([5, 6]);
    expect(() => build(filesAt([[5, 6], [6]]), space)).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    );
  });
});
