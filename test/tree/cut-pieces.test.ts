/** Cutting a file's content: every page of data gets its address, in the order of the file. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutPieces } from '../../src/tree/cut-pieces.ts';
import type { DataRuns } from '../../src/tree/entry.ts';
import { bodies, runsOf } from '../support/made-nodes.ts';
import { addressesOf } from '../support/planned-trees.ts';

function cut(extents: DataRuns, data: DataRuns | undefined): [number, number, number][] {
  const pieces: [number, number, number][] = [];
  cutPieces(extents, data, (...piece) => pieces.push(piece));
  return pieces;
}

describe('cutting a content', () => {
  it('follows its extents where all of it is data', () => {
    expect(cut(runsOf([70, 2], [5, 1]), undefined)).toEqual([
      [70, 2, 0],
      [5, 1, 2 * 4096],
    ]);
    expect(cut(runsOf(), undefined)).toEqual([]);
  });

  it('ends pieces where either an extent or a run of data ends', () => {
    expect(cut(runsOf([70, 3], [5, 3]), runsOf([1, 2], [10, 3], [20, 1]))).toEqual([
      [70, 2, 1 * 4096],
      [72, 1, 10 * 4096],
      [5, 2, 11 * 4096],
      [7, 1, 20 * 4096],
    ]);
  });

  it('pairs the pages of data with the addresses, one by one', () => {
    const files = bodies.filter(({ kind, sizeBytes }) => kind === 'file' && sizeBytes < 2 ** 20);
    fc.assert(
      fc.property(files, ({ extents, dataRuns, sizeBytes }) => {
        const addresses = addressesOf(extents.start, extents.length);
        const all = Array.from({ length: Math.ceil(sizeBytes / 4096) }, (_, page) => page);
        const data = dataRuns === undefined ? all : addressesOf(dataRuns.start, dataRuns.length);
        const pieces = cut(extents, dataRuns);
        const flat = pieces.flatMap(([address, pages, offset]) =>
          Array.from({ length: pages }, (_, i) => [address + i, offset / 4096 + i]),
        );
        expect(flat).toEqual(addresses.map((address, i) => [address, data[i]]));
        const most = extents.start.length + (dataRuns?.start.length ?? 0);
        expect(pieces.length).toBeLessThanOrEqual(most);
      }),
    );
  });
});
