/** Runs of the page index for tests, made from plain lists of pages. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { nodeFiles } from '../../src/files/node-files.ts';
import { RunBuilder } from '../../src/index/run-builder.ts';

/** A page as the index knows it. */
export interface IndexedPage {
  /** First four bytes of the digest. */
  readonly prefix: number;
  /** The next two. */
  readonly rest: number;
  readonly slot: number;
}

/** Pages by the numbers of their segments. */
export type Segments = ReadonlyMap<number, readonly IndexedPage[]>;

/** A digest that begins with what the index keeps of it. */
export function digestOf({ prefix, rest }: Pick<IndexedPage, 'prefix' | 'rest'>): Uint8Array {
  const digest = new Uint8Array(32);
  const view = new DataView(digest.buffer);
  view.setUint32(0, prefix);
  view.setUint16(4, rest);
  return digest;
}

/** The identity of a segment by its number; identities are in another order than numbers. */
export function segmentIdentity(number: number): Uint8Array {
  const identity = new Uint8Array(16).fill(0x5e);
  const view = new DataView(identity.buffer);
  view.setUint32(0, Math.imul(number, 0x9e3779b1));
  view.setUint32(12, number);
  return identity;
}

/** The number of a segment by its identity. */
export function segmentNumber(identity: Uint8Array): number {
  return new DataView(identity.buffer, identity.byteOffset).getUint32(12);
}

/** Pages whose prefixes are spread over all numbers. */
export function spread(count: number, seed = 1): IndexedPage[] {
  return Array.from({ length: count }, (_, i) => {
    const prefix = Math.imul(i + 1, 0x9e3779b1 + seed * 2) >>> 0;
    return { prefix, rest: (i * 7 + seed) & 0xffff, slot: i };
  });
}

/** Pages of few prefixes, so that equal ones go on over the edges of blocks. */
export const crowdedPages: fc.Arbitrary<IndexedPage[]> = fc.array(
  fc.record({
    prefix: fc.oneof(fc.nat(2), fc.constantFrom(0xffffffff, 0x80000000)),
    rest: fc.nat(2),
    slot: fc.nat(0xffffffff),
  }),
  { maxLength: 900, size: 'max' },
);

/** Runs work that yields to its end; returns its result. */
export function finishWork<Result>(work: Generator<void, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Writes a run of these segments to `path`. */
export function writeRun(path: string, segments: Segments, capacity?: number): void {
  let spilled = 0;
  const newPath = () => `${path}.${++spilled}`;
  const options = capacity === undefined ? { newPath } : { newPath, capacity };
  const builder = new RunBuilder(nodeFiles, options);
  for (const [number, pages] of segments) {
    builder.beginSegment(segmentIdentity(number));
    for (const { prefix, rest, slot } of pages) {
      if (builder.isFull) finishWork(builder.spill());
      builder.add(prefix, rest, slot);
    }
  }
  finishWork(builder.finish(path));
}

/** A run, read as FORMAT.md describes it. */
export interface ReadRun {
  readonly filterLines: number;
  /** Entries with the numbers of their segments, in the order of the run. */
  readonly entries: readonly (IndexedPage & { readonly segment: number })[];
  readonly fences: readonly number[];
  /** Numbers of the segments in the table, in its order. */
  readonly segments: readonly number[];
}

/** Reads a run without the code under test. */
export function readRun(path: string): ReadRun {
  const bytes = readFileSync(path);
  const end = bytes.length - 36;
  const segmentCount = bytes.readUInt32LE(end + 12);
  const entryCount = Number(bytes.readBigUInt64LE(end + 16));
  const filterLines = bytes.readUInt32LE(end + 24);
  const blockCount = Math.ceil(entryCount / 341);
  const blocks = filterLines * 64;
  const fencesAt = blocks + entryCount * 12 + blockCount * 4;
  const table = fencesAt + blockCount * 4;
  if (table + segmentCount * 16 !== end) throw new Error('the parts do not add up');
  const segments = Array.from({ length: segmentCount }, (_, i) =>
    segmentNumber(bytes.subarray(table + i * 16, table + i * 16 + 16)),
  );
  const entries = Array.from({ length: entryCount }, (_, entry) => {
    const base = blocks + Math.floor(entry / 341) * 4096;
    const used = Math.min(341, entryCount - Math.floor(entry / 341) * 341);
    const i = entry % 341;
    return {
      prefix: bytes.readUInt32LE(base + i * 4),
      rest: bytes.readUInt16LE(base + used * 8 + i * 2),
      segment: segments[bytes.readUInt16LE(base + used * 10 + i * 2)] ?? -1,
      slot: bytes.readUInt32LE(base + used * 4 + i * 4),
    };
  });
  const fences = Array.from({ length: blockCount }, (_, i) => bytes.readUInt32LE(fencesAt + i * 4));
  return { filterLines, entries, fences, segments };
}

/** What a run of these segments holds: sorted by digest, then by identity and slot, each once. */
export function sortedEntries(segments: Segments): ReadRun['entries'] {
  const all = [...segments].flatMap(([segment, pages]) =>
    pages.map((page) => ({ ...page, segment })),
  );
  const keyOf = (page: (typeof all)[number]) =>
    [page.prefix, page.rest, Buffer.from(segmentIdentity(page.segment)).toString('hex'), page.slot]
      .map((part) => (typeof part === 'number' ? part.toString().padStart(10, '0') : part))
      .join(' ');
  const byKey = new Map(all.map((page) => [keyOf(page), page]));
  return [...byKey.keys()].sort().map((key) => byKey.get(key) as (typeof all)[number]);
}
