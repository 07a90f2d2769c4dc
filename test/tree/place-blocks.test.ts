/** Places of blocks: they stay as long as the first path does and they fit. */
import { describe, expect, it } from 'vitest';
import { BlockBuilder, type BlockPlace, type TreeBlock } from '../../src/tree/block.ts';
import { placeBlocks, type PlacedTree } from '../../src/tree/place-blocks.ts';
import { StoredTree } from '../../src/tree/tree.ts';
import { bytesOf, MADE_FILE, plainBody, textOf, written } from '../support/made-nodes.ts';

/** A block of one path that takes about so many pages. */
function blockOf(path: string, pages: number): TreeBlock {
  const builder = new BlockBuilder();
  const value = new Uint8Array(4096 * 15);
  const xattrs = Array.from({ length: Math.floor(pages / 15) }, (_, i) => ({
    name: bytesOf(`user.${String(i).padStart(3, '0')}`),
    value,
  }));
  return (
    builder.add(bytesOf(path), written(plainBody({ xattrs }))) ?? (builder.finish() as TreeBlock)
  );
}

const stored = ({ bytes, runs }: PlacedTree): StoredTree => new StoredTree(bytes, runs, MADE_FILE);
const place = (blocks: readonly TreeBlock[], base?: PlacedTree): PlacedTree =>
  placeBlocks(blocks, base && { tree: stored(base), treeRuns: base.runs }).tree;
const addressesOf = (placed: PlacedTree): Record<string, number> =>
  Object.fromEntries(
    stored(placed).blocks.map(({ firstPath, address }: BlockPlace) => [textOf(firstPath), address]),
  );

describe('the places of blocks', () => {
  it('begin at 0, one stride after the other', () => {
    const placed = place([blockOf('a', 1), blockOf('b', 100), blockOf('c', 1)]);
    expect(addressesOf(placed)).toEqual({ a: 0, b: 64, c: 192 });
    expect([...placed.runs.runStart]).toEqual([0, 64, 192]);
    expect(placed.bytes.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it('stay, whatever comes and goes around them', () => {
    const first = place([blockOf('a', 1), blockOf('c', 1), blockOf('e', 1)]);
    const second = place([blockOf('b', 1), blockOf('c', 20), blockOf('e', 1)], first);
    expect(addressesOf(second)).toEqual({ b: 192, c: 64, e: 128 });
    const third = place([blockOf('a', 1), blockOf('b', 1), blockOf('e', 1)], second);
    expect(addressesOf(third)).toEqual({ a: 256, b: 192, e: 128 });
  });

  it('are new ones for blocks that have outgrown their strides', () => {
    const first = place([blockOf('a', 40), blockOf('b', 80), blockOf('c', 1)]);
    expect(addressesOf(first)).toEqual({ a: 0, b: 64, c: 192 });
    const second = place([blockOf('a', 90), blockOf('b', 120), blockOf('c', 1)], first);
    expect(addressesOf(second)).toEqual({ a: 256, b: 64, c: 192 });
    // What was given up by becoming smaller is not taken back: it may be another's.
    const third = place([blockOf('a', 90), blockOf('b', 20), blockOf('c', 1)], second);
    const fourth = place([blockOf('a', 90), blockOf('b', 120), blockOf('c', 1)], third);
    expect(addressesOf(third)).toEqual({ a: 256, b: 64, c: 192 });
    expect(addressesOf(fourth)).toEqual({ a: 256, b: 384, c: 192 });
  });

  it('go by bytes: paths that are no UTF-8 are not taken for each other', () => {
    const builder = (byte: number): TreeBlock => {
      const one = new BlockBuilder();
      const path = Uint8Array.of(0x61, byte);
      return one.add(path, written(plainBody())) ?? (one.finish() as TreeBlock);
    };
    const first = place([builder(0xfe)]);
    const second = place([builder(0xfe), builder(0xff)], first);
    expect(stored(second).blocks.map(({ address }) => address)).toEqual([0, 64]);
  });

  it('are none for no blocks, also after some', () => {
    const none = place([]);
    expect(none.bytes.length).toBe(0);
    expect(none.runs.runStart.length).toBe(0);
    expect(addressesOf(place([blockOf('a', 1)], none))).toEqual({ a: 0 });
    expect(place([], place([blockOf('a', 1)])).bytes.length).toBe(0);
  });
});
