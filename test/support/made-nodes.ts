/** Nodes of file trees for tests: arbitrary ones, and plain ones by their text. */
import fc from 'fast-check';
import { ByteReader } from '../../src/bytes/reader.ts';
import { ByteWriter } from '../../src/bytes/writer.ts';
import { decodeBody, encodeBody, NO_EXTENTS, type TreeBody } from '../../src/tree/body.ts';
import type { DataRuns, TreeKind, TreeNode } from '../../src/tree/entry.ts';

/** Where bytes of these tests come from, as errors say it. */
export const MADE_FILE = 'a.pack';

/** The bytes of a path or name. */
export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

/** The text of a path or name. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

/** Runs from pairs of where they begin and how long they are. */
export function runsOf(...pairs: readonly (readonly [number, number])[]): DataRuns {
  return {
    start: Float64Array.from(pairs, ([start]) => start),
    length: Float64Array.from(pairs, ([, length]) => length),
  };
}

/** A node with little to say, and what is different about it. */
export function plainNode(path: string, different: Partial<TreeNode> = {}): TreeNode {
  return {
    path: bytesOf(path),
    kind: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    modifiedSeconds: 1_700_000_000,
    modifiedNanoseconds: 5,
    sizeBytes: 0,
    dataRuns: undefined,
    target: undefined,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: [],
    ...different,
  };
}

/** A body with little to say, and what is different about it. */
export function plainBody(different: Partial<TreeBody> = {}): TreeBody {
  const { path: _, ...node } = plainNode('');
  return { ...node, extents: NO_EXTENTS, ...different };
}

/** A body as it is written. */
export function written(body: TreeBody): Uint8Array {
  const writer = new ByteWriter();
  encodeBody(writer, body, body.extents);
  return writer.bytes().slice();
}

/** A body from what was written, all of it. */
export function readBody(bytes: Uint8Array): TreeBody {
  const reader = new ByteReader(bytes, { code: 'CORRUPT', file: MADE_FILE });
  const body = decodeBody(reader);
  reader.end();
  return body;
}

const byte = fc.integer({ min: 1, max: 255 }).filter((value) => value !== 0x2f);
const name = fc
  .oneof(
    fc.array(byte, { minLength: 1, maxLength: 6 }).map((values) => Uint8Array.from(values)),
    // Names that begin with each other, and that a wrong rank of the separator puts elsewhere.
    fc.constantFrom('a', 'a-', 'a.b', 'aa', 'b', 'é', '\u0001').map(bytesOf),
  )
  .filter((bytes) => bytes.some((value) => value !== 0x2e));

/** Paths, the empty one too. */
export const paths: fc.Arbitrary<Uint8Array> = fc
  .array(name, { maxLength: 4 })
  .map((names) =>
    Uint8Array.from(names.flatMap((part, i) => (i === 0 ? [...part] : [0x2f, ...part]))),
  );

const xattr = fc.record({
  name: fc.uint8Array({ minLength: 1, maxLength: 20 }),
  value: fc.uint8Array({ maxLength: 30 }),
});

const pages = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 2 ** 30 }));

/** A file's data and where its pages lie, with as many pages on both sides. */
const contents = fc
  .record({
    isSparse: fc.boolean(),
    first: fc.nat(3),
    runs: fc.array(fc.record({ length: pages, gap: pages }), { maxLength: 4 }),
    lastBytes: fc.integer({ min: 1, max: 4096 }),
    cuts: fc.array(fc.nat(2 ** 30), { maxLength: 4 }),
    addresses: fc.array(fc.nat(2 ** 52 - 2 ** 40), { minLength: 5, maxLength: 5 }),
  })
  .map(({ isSparse, first, runs, lastBytes, cuts, addresses }) => {
    const pairs: [number, number][] = [];
    let end = isSparse ? first : 0;
    let count = 0;
    for (const { length, gap } of isSparse ? runs : runs.slice(0, 1)) {
      pairs.push([end, length]);
      count += length;
      end += length + (isSparse ? gap : 0);
    }
    const ends = [...new Set([...cuts.filter((cut) => cut > 0 && cut < count), count])];
    ends.sort((a, b) => a - b);
    const lengths = count === 0 ? [] : ends.map((to, i) => to - (ends[i - 1] ?? 0));
    return {
      sizeBytes: end === 0 ? 0 : (end - 1) * 4096 + lastBytes,
      dataRuns: isSparse ? runsOf(...pairs) : undefined,
      extents: runsOf(...lengths.map((length, i) => [addresses[i] ?? 0, length] as const)),
    };
  });

const kinds: readonly TreeKind[] = ['directory', 'fifo', 'socket', 'host'];
const upTo = (max: number) => fc.oneof(fc.nat(3), fc.integer({ min: 0, max }));
const owner = upTo(0xfffffffe);

/** What is particular to kinds. */
const particulars: fc.Arbitrary<Partial<TreeBody>> = fc.oneof(
  fc.constantFrom(...kinds).map((kind) => ({ kind })),
  fc.record({
    kind: fc.constantFrom<TreeKind>('link', 'hard'),
    target: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  }),
  fc.record({
    kind: fc.constantFrom<TreeKind>('character', 'block'),
    deviceMajor: upTo(0xfff),
    deviceMinor: upTo(0xfffff),
  }),
  contents.map((content) => ({ kind: 'file' as const, ...content })),
);

/** Bodies of all kinds. */
export const bodies: fc.Arbitrary<TreeBody> = fc
  .record({
    particular: particulars,
    mode: fc.nat(0o7777),
    uid: owner,
    gid: owner,
    modifiedSeconds: fc.oneof(fc.integer(), fc.integer({ min: -(2 ** 40), max: 2 ** 40 })),
    modifiedNanoseconds: fc.nat(999_999_999),
    xattrs: fc.array(xattr, { maxLength: 3 }),
  })
  .map(({ particular, ...rest }) => plainBody({ ...rest, ...particular }));
