/** Cells for pages: what one thread puts into one of them, every other thread finds there. */
import { describe, expect, it } from 'vitest';
import { newCellMemory, PageCells } from '../../src/slices/page-cells.ts';
import { numberedPage } from '../support/made-packs.ts';

describe('cells', () => {
  it('hold a page and its depth each, seen the same by all who share the memory', () => {
    const memory = newCellMemory(5 * 4097);
    const [cells, other] = [new PageCells(memory), new PageCells(memory)];
    for (const cell of [3, 0, 4]) cells.put(cell, numberedPage(cell + 1), 60 + cell);
    const expected = [0, 1, 2, 3, 4].map((cell) =>
      [3, 0, 4].includes(cell) ? numberedPage(cell + 1) : new Uint8Array(4096),
    );
    for (const seen of [cells, other]) {
      expect(seen.count).toBe(5);
      expect(seen.bytes.equals(Buffer.concat(expected))).toBe(true);
      const words = Buffer.from(Int32Array.from(seen.words).buffer);
      expect(words.equals(Buffer.concat(expected))).toBe(true);
      expect([...seen.depth]).toEqual([60, 0, 0, 63, 64]);
    }
  });

  it('are replaced whole, and touch no other', () => {
    const cells = new PageCells(newCellMemory(3 * 4097));
    for (const cell of [0, 1, 2]) cells.put(cell, new Uint8Array(4096).fill(0x55), 9);
    cells.put(1, numberedPage(8), 0);
    const around = Buffer.alloc(4096, 0x55);
    expect(cells.bytes.equals(Buffer.concat([around, numberedPage(8), around]))).toBe(true);
    expect([...cells.depth]).toEqual([9, 0, 9]);
  });

  it.each([
    [0, 0],
    [4096, 0],
    [4097, 1],
    [3 * 4097 - 1, 2],
    [3 * 4097, 3],
  ])('of at most %i bytes are %i, and take no more than that', (bytes, count) => {
    const memory = newCellMemory(bytes);
    expect(memory.byteLength).toBeLessThanOrEqual(bytes);
    expect(new PageCells(memory).count).toBe(count);
  });
});
