/** Stored trees: blocks at any addresses are one tree again, and what is none is refused. */
import { describe, expect, it } from 'vitest';
import { StoreError } from '../../src/errors.ts';
import { BlockBuilder, type TreeBlock } from '../../src/tree/block.ts';
import { BLOCK_STRIDE, StoredTree, type SpaceRuns } from '../../src/tree/tree.ts';
import { bytesOf, MADE_FILE, plainBody, textOf, written } from '../support/made-nodes.ts';

const plain = written(plainBody({ mode: 0o600 }));

/** A block of paths, with so many bytes of attributes to begin with. */
function blockOf(paths: readonly string[], attributes = 0): TreeBlock {
  const builder = new BlockBuilder();
  const xattrs: { name: Uint8Array; value: Uint8Array }[] = [];
  for (let left = attributes; left > 0; left -= 60_000) {
    const name = bytesOf(`user.${String(xattrs.length).padStart(3, '0')}`);
    xattrs.push({ name, value: new Uint8Array(Math.min(left, 60_000)) });
  }
  let block: TreeBlock | undefined;
  for (const path of paths) {
    const body = path === paths[0] ? written(plainBody({ xattrs })) : plain;
    block = builder.add(bytesOf(path), body);
  }
  return block ?? (builder.finish() as TreeBlock);
}

/** A space of blocks at addresses. */
function spaceOf(...blocks: readonly (readonly [number, TreeBlock])[]): [Uint8Array, SpaceRuns] {
  const sorted = [...blocks].sort(([a], [b]) => a - b);
  return [
    Uint8Array.from(Buffer.concat(sorted.map(([, { bytes }]) => bytes))),
    {
      runStart: Float64Array.from(sorted, ([address]) => address),
      runLength: Float64Array.from(sorted, ([, { bytes }]) => bytes.length / 4096),
    },
  ];
}

const open = ([bytes, runs]: [Uint8Array, SpaceRuns]): StoredTree =>
  new StoredTree(bytes, runs, MADE_FILE);

function pathsOf(tree: StoredTree): string[] {
  const cursor = tree.cursor();
  const paths: string[] = [];
  for (let ordinal = 0; cursor.next(); ordinal++) {
    expect(cursor.ordinal).toBe(ordinal);
    expect(cursor.body.kind).toBe('file');
    expect(cursor.bodyBytes.length).toBeGreaterThanOrEqual(plain.length);
    paths.push(textOf(cursor.path));
  }
  expect(cursor.next()).toBe(false);
  return paths;
}

const corrupt = expect.objectContaining({ name: 'StoreError', code: 'CORRUPT' });

describe('a stored tree', () => {
  it('is read in the order of paths, whatever that of addresses is', () => {
    const space = spaceOf(
      [128, blockOf(['', 'a'])],
      [0, blockOf(['b', 'b/c'])],
      [64 * 1000, blockOf(['a/b', 'a-'])],
    );
    const tree = open(space);
    expect(pathsOf(tree)).toEqual(['', 'a', 'a/b', 'a-', 'b', 'b/c']);
    expect(tree.blocks.map(({ address }) => address)).toEqual([128, 64_000, 0]);
    expect(tree.blocks.map(({ offset }) => offset)).toEqual([4096, 8192, 0]);
    // Cursors do not know each other.
    expect(pathsOf(tree)).toEqual(pathsOf(tree));
  });

  it('may have blocks of more pages than a stride, and blocks that touch', () => {
    const large = blockOf(['a'], 600_000);
    expect(large.bytes.length / 4096).toBeGreaterThan(2 * BLOCK_STRIDE);
    expect(pathsOf(open(spaceOf([0, large], [192, blockOf(['b'])])))).toEqual(['a', 'b']);
    // One run of addresses, because the first block ends with its stride.
    const exact = blockOf(['a'], BLOCK_STRIDE * 4096 - 1000);
    const first = BLOCK_STRIDE;
    expect(exact.bytes.length).toBe(first * 4096);
    const [bytes] = spaceOf([0, exact], [first, blockOf(['b'])]);
    const runs = { runStart: Float64Array.of(0), runLength: Float64Array.of(first + 1) };
    expect(pathsOf(open([bytes, runs]))).toEqual(['a', 'b']);
  });

  it('may be empty', () => {
    const tree = open([
      new Uint8Array(0),
      { runStart: new Float64Array(0), runLength: new Float64Array(0) },
    ]);
    expect(pathsOf(tree)).toEqual([]);
    expect(tree.blocks).toEqual([]);
  });

  it('is refused where a block lies between two strides', () => {
    for (const address of [1, 63, 65]) {
      expect(() => open(spaceOf([address, blockOf(['a'])]))).toThrow(corrupt);
    }
    const [bytes] = spaceOf([0, blockOf(['a'])], [64, blockOf(['b'])]);
    const touching = { runStart: Float64Array.of(0), runLength: Float64Array.of(2) };
    expect(() => open([bytes, touching])).toThrow(/lies where none can/);
  });

  it('is refused with more or fewer pages than addresses', () => {
    const [bytes, runs] = spaceOf([0, blockOf(['a'])], [64, blockOf(['b'])]);
    const more = new Uint8Array(bytes.length + 4096);
    more.set(bytes);
    expect(() => open([more, runs])).toThrow(corrupt);
    for (let length = 0; length < bytes.length; length += 1000) {
      expect(() => open([bytes.slice(0, length), runs])).toThrow(corrupt);
    }
    for (const pages of [2, 2 ** 50]) {
      const runLength = Float64Array.of(1, pages);
      expect(() => open([bytes, { runStart: runs.runStart, runLength }])).toThrow(corrupt);
    }
  });

  it('is refused where blocks overlap, when it is read', () => {
    for (const second of [['a', 'd'], ['b'], ['b', 'c/d'], ['c']]) {
      const tree = open(spaceOf([0, blockOf(['a', 'c'])], [64, blockOf(second)]));
      expect(() => pathsOf(tree)).toThrow(corrupt);
    }
  });

  it('says which file and offset is damaged', () => {
    const [bytes, runs] = spaceOf([0, blockOf(['a'])], [64, blockOf(['b'])]);
    bytes[4096 + 1] = 0;
    expect(() => open([bytes, runs])).toThrow(
      expect.objectContaining({ code: 'CORRUPT', file: MADE_FILE, offset: 4096 + 2 }),
    );
  });

  it('is an error or a tree with any byte changed, and never anything else', () => {
    const [bytes, runs] = spaceOf([0, blockOf(['b', 'c'])], [64, blockOf(['', 'a'])]);
    for (let offset = 0; offset < bytes.length; offset++) {
      // The zeros behind a block say nothing.
      if (bytes[offset] === 0 && offset % 4096 > 100) continue;
      for (const byte of [0, 1, 0x7f, 0x80, 0xff]) {
        const changed = bytes.slice();
        changed[offset] = byte;
        try {
          const cursor = open([changed, runs]).cursor();
          while (cursor.next()) expect(cursor.body.mode).toBeLessThan(0o10000);
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
          expect(['CORRUPT', 'UNSUPPORTED_VERSION']).toContain(error.code);
        }
      }
    }
  });
});
