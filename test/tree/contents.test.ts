/** The table of contents that are read: columns that every thread can see. */
import { describe, expect, it } from 'vitest';
import { ContentTable } from '../../src/tree/contents.ts';
import { bytesOf } from '../support/made-nodes.ts';

describe('a table of contents', () => {
  it('numbers its files and keeps all about them', () => {
    const table = new ContentTable();
    const facts = { sizeBytes: 7, inode: 2n ** 64n - 1n, modifiedNs: -5n, changedNs: 6n };
    expect(table.add({ path: bytesOf('a/b'), offsetBytes: 0, facts }, 7)).toBe(0);
    expect(table.add({ path: bytesOf('é'), offsetBytes: 512, facts: undefined }, 2 ** 45)).toBe(1);
    expect(table.length).toBe(2);
    const shared = table.share();
    expect(shared.names).toEqual(bytesOf('a/bé'));
    expect([...shared.nameEnd]).toEqual([3, 5]);
    expect([...shared.fileOffset]).toEqual([0, 512]);
    expect([...shared.fileBytes]).toEqual([7, 2 ** 45]);
    // Inodes of 64 bits have a sign here, and are the same bits.
    expect([...shared.facts]).toEqual([-1n, -5n, 6n, 0n, 0n, 0n]);
    for (const column of Object.values(shared)) {
      expect(column.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
  });

  it('grows with long paths and with many', () => {
    const table = new ContentTable();
    const paths = ['x'.repeat(4096), 'y'.repeat(10_000), ...Array.from({ length: 1000 }, String)];
    for (const path of paths) {
      table.add({ path: bytesOf(path), offsetBytes: 0, facts: undefined }, 0);
    }
    const { names, nameEnd } = table.share();
    expect(Buffer.from(names).toString()).toBe(paths.join(''));
    expect(nameEnd.length).toBe(paths.length);
    expect(nameEnd.at(-1)).toBe(names.length);
  });

  it('may be empty', () => {
    expect(new ContentTable().share().names.length).toBe(0);
  });
});
