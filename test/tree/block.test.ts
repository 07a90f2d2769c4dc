/**
 * Blocks of a tree: records come back, blocks end where their paths say, and bytes that were
 * changed are an error or a block.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../src/bytes/writer.ts';
import { StoreError } from '../../src/errors.ts';
import { BLOCK_RECORDS, BlockBuilder, BlockCursor, type TreeBlock } from '../../src/tree/block.ts';
import type { TreeBody } from '../../src/tree/body.ts';
import { comparePaths } from '../../src/tree/entry.ts';
import { bodies, bytesOf, MADE_FILE, paths, plainBody, written } from '../support/made-nodes.ts';

type PathAndBody = readonly [Uint8Array, Uint8Array];

function build(records: Iterable<PathAndBody>): TreeBlock[] {
  const builder = new BlockBuilder();
  const blocks: TreeBlock[] = [];
  for (const [path, body] of records) {
    const block = builder.add(path, body);
    if (block !== undefined) blocks.push(block);
  }
  const last = builder.finish();
  return last === undefined ? blocks : [...blocks, last];
}

const over = (bytes: Uint8Array): BlockCursor =>
  new BlockCursor(bytes, { file: MADE_FILE, offset: 0 });

function readAll(bytes: Uint8Array): [Uint8Array, TreeBody][] {
  const cursor = over(bytes);
  const records: [Uint8Array, TreeBody][] = [];
  while (cursor.next()) records.push([cursor.path, cursor.body]);
  return records;
}

/** Whether all of it is read; anything but a StoreError with the file is thrown. */
function isReadable(bytes: Uint8Array): boolean {
  try {
    readAll(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    expect(['CORRUPT', 'UNSUPPORTED_VERSION']).toContain(error.code);
    expect(error.file).toBe(MADE_FILE);
    return false;
  }
}

const plain = written(plainBody());
const numbered = (count: number): PathAndBody[] =>
  Array.from({ length: count }, (_, i) => [bytesOf(`d/${String(i).padStart(6, '0')}`), plain]);
const small: readonly PathAndBody[] = ['', 'etc', 'etc/hosts', 'etc/hosts.old', 'var'].map(
  (path) => [bytesOf(path), plain] as const,
);

/** Bytes of a block that is made by hand. */
function made(count: number, ...records: (readonly [number, string, Uint8Array])[]): Uint8Array {
  const inner = new ByteWriter();
  for (const [shared, suffix, body] of records) {
    inner.varint(shared);
    inner.byteString(bytesOf(suffix));
    inner.byteString(body);
  }
  const writer = new ByteWriter();
  writer.u8(1);
  writer.varint(count);
  writer.byteString(inner.bytes());
  return writer.bytes();
}

describe('blocks', () => {
  it('hold what was put into them, in whole pages', () => {
    const trees = fc.uniqueArray(fc.tuple(paths, bodies), {
      selector: ([path]) => Buffer.from(path).toString('latin1'),
      maxLength: 40,
    });
    fc.assert(
      fc.property(trees, (tree) => {
        const sorted = tree.sort(([a], [b]) => comparePaths(a, b));
        const blocks = build(sorted.map(([path, body]) => [path, written(body)] as const));
        expect(blocks.flatMap(({ bytes }) => readAll(bytes))).toEqual(sorted);
        for (const { bytes, firstPath } of blocks) {
          expect(bytes.length % 4096).toBe(0);
          expect(over(bytes).pages).toBe(bytes.length / 4096);
          expect(readAll(bytes)[0]?.[0]).toEqual(firstPath);
        }
      }),
    );
  });

  it('are none for no records', () => {
    expect(build([])).toEqual([]);
    expect(new BlockBuilder().finish()).toBeUndefined();
  });

  it('have at most 256 records, and about 128 where nothing else ends them', () => {
    const counts = build(numbered(20_000)).map(({ bytes }) => readAll(bytes).length);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(20_000);
    expect(Math.max(...counts)).toBeLessThanOrEqual(BLOCK_RECORDS);
    expect(20_000 / counts.length).toBeGreaterThan(70);
    expect(20_000 / counts.length).toBeLessThan(170);
  });

  it('end after 128 KiB, and take whatever one record has', () => {
    const body = (bytes: number): Uint8Array => {
      const value = new Uint8Array(60_000);
      const count = Math.ceil(bytes / value.length);
      const xattrs = Array.from({ length: count }, (_, i) => ({
        name: bytesOf(`user.${i}`),
        value,
      }));
      return written(plainBody({ xattrs }));
    };
    const names = 'abcdefgh'.split('');
    const blocks = build(names.map((name) => [bytesOf(name), body(60_000)] as const));
    for (const { bytes } of blocks) expect(bytes.length).toBeLessThan(200_000);
    expect(blocks.length).toBeGreaterThan(2);
    const [large] = build([[bytesOf('a'), body(600_000)]]);
    expect(readAll((large as TreeBlock).bytes)[0]?.[1].xattrs.length).toBe(10);
  });

  it('stay the same bytes but one or two when a path comes or goes, or changes', () => {
    const all = numbered(5000);
    const keysOf = (records: readonly PathAndBody[]): Set<string> =>
      new Set(build(records).map(({ bytes }) => Buffer.from(bytes).toString('latin1')));
    const before = keysOf(all);
    const others = (records: readonly PathAndBody[]): number =>
      [...keysOf(records)].filter((key) => !before.has(key)).length;
    expect(before.size).toBeGreaterThan(20);
    expect(others(all)).toBe(0);
    for (const at of [0, 1, 255, 256, 1000, 2500, 3333, 4998, 4999]) {
      // Where a block of 256 was full, what follows moves on up to the next end by hash.
      expect(others(all.toSpliced(at, 1))).toBeLessThanOrEqual(4);
      const [path, body] = all[at] as PathAndBody;
      const more = Uint8Array.from([...path, 0x2d]);
      expect(others(all.toSpliced(at + 1, 0, [more, body]))).toBeLessThanOrEqual(4);
      expect(others(all.with(at, [path, written(plainBody({ uid: 7 }))]))).toBe(1);
    }
  });

  it('refuse paths that do not ascend', () => {
    for (const [first, second] of [
      ['b', 'a'],
      ['a', 'a'],
      ['a/b', 'a'],
      ['a-', 'a/b'],
    ] as const) {
      const builder = new BlockBuilder();
      builder.add(bytesOf(first), plain);
      expect(() => builder.add(bytesOf(second), plain)).toThrow(RangeError);
    }
    // The first path of a block is compared with the last one of the block before.
    const builder = new BlockBuilder();
    builder.add(bytesOf('b'), plain);
    builder.finish();
    expect(() => builder.add(bytesOf('a'), plain)).toThrow(/order/);
  });
});

describe('reading a block', () => {
  it('goes on being at the end once it is there', () => {
    const cursor = over(build(small)[0]?.bytes ?? new Uint8Array(0));
    while (cursor.next());
    expect(cursor.next()).toBe(false);
  });

  it('decodes a body only when asked for it', () => {
    const cursor = over(made(1, [0, 'a', Uint8Array.of(99)]));
    expect(cursor.next()).toBe(true);
    expect(cursor.bodyBytes).toEqual(Uint8Array.of(99));
    expect(() => cursor.body).toThrow(/unknown kind/);
    expect(cursor.next()).toBe(false);
  });

  it('is refused at every cut', () => {
    const [{ bytes } = { bytes: new Uint8Array(0) }] = build(small);
    const used = bytes.findLastIndex((byte) => byte !== 0) + 1;
    for (let length = 0; length < used; length++) {
      expect(() => readAll(bytes.slice(0, length))).toThrow(
        expect.objectContaining({ code: 'CORRUPT', file: MADE_FILE }),
      );
    }
  });

  it('is an error or a block with any byte changed, and never anything else', () => {
    const [{ bytes } = { bytes: new Uint8Array(0) }] = build(small);
    const used = bytes.findLastIndex((byte) => byte !== 0) + 1;
    let readable = 0;
    for (let offset = 0; offset < used; offset++) {
      for (const byte of [0, 1, 0x7f, 0x80, 0xff, (bytes[offset] as number) ^ 1]) {
        const changed = Uint8Array.from(bytes);
        changed[offset] = byte;
        if (isReadable(changed)) readable += 1;
      }
    }
    expect(readable).toBeLessThan(used * 6);
  });

  it('is an error or a block with random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (tail) => {
        isReadable(Uint8Array.from([1, ...tail]));
      }),
      { numRuns: 500 },
    );
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['no records', made(0), /without records/],
    ['257 records', made(257), /records/],
    ['more records than it says', made(1, [0, 'a', plain], [0, 'b', plain]), /bytes too many/],
    ['fewer records than it says', made(2, [0, 'a', plain]), /bytes expected/],
    ['a first path that is not whole', made(1, [1, 'a', plain]), /of the path before/],
    ['more shared than there is', made(2, [0, 'a', plain], [2, 'b', plain]), /of the path before/],
    ['the same path twice', made(2, [0, 'a', plain], [1, '', plain]), /out of order/],
    ['paths out of order', made(2, [0, 'b', plain], [0, 'a', plain]), /out of order/],
    ['a path of 4113 bytes', made(1, [0, 'a'.repeat(4113), plain]), /bytes of a path/],
    [
      'such a path in two parts',
      made(2, [0, 'a'.repeat(4112), plain], [4112, 'a', plain]),
      /bytes of a path/,
    ],
    ['a byte behind a body', made(1, [0, 'a', Uint8Array.of(...plain, 0)]), /bytes too many/],
  ])('is refused with %s', (_, bytes, message) => {
    expect(() => readAll(bytes)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
    expect(() => readAll(bytes)).toThrow(message);
  });

  it('says where in the file it went wrong', () => {
    const bytes = made(2, [0, 'a', plain], [0, 'b', Uint8Array.of(99)]);
    const cursor = new BlockCursor(bytes, { file: MADE_FILE, offset: 8192 });
    cursor.next();
    cursor.next();
    const at = 8192 + bytes.length;
    expect(() => cursor.body).toThrow(expect.objectContaining({ file: MADE_FILE, offset: at }));
  });

  it('is refused by a version that does not know it', () => {
    const bytes = made(1, [0, 'a', plain]);
    bytes[0] = 2;
    expect(() => over(bytes)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }));
  });
});
