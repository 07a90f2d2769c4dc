/** A damaged pack: an error with the place, or the very same content; never a wrong page. */
import { sha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StoreError } from '../../src/errors.ts';
import type { FooterEntry } from '../../src/pack/footer.ts';
import { BLOCK, BLOCK_HEADER_BYTES, MAX_BLOCK_RAW_BYTES } from '../../src/pack/format.ts';
import { encodeFrameTable, type FrameTable } from '../../src/pack/frame-table.ts';
import { PackReader } from '../../src/pack/reader.ts';
import { changedPage } from '../support/made-deltas.ts';
import {
  identityOf,
  joinPack,
  type MadeDelta,
  makeBlock,
  makePack,
  numberedPage,
  openBytes,
  readOut,
  sourceOf,
  zstd,
} from '../support/made-packs.ts';

const pages: Uint8Array[][] = [
  Array.from({ length: 66 }, (_, i) => numberedPage(i, i === 65 ? 99 : 4096)),
  [numberedPage(1000), numberedPage(1001, 1)],
];
const manifest = Uint8Array.from({ length: 300 }, (_, i) => (i * i) & 0xff);
/** Deltas upon the pages of the first segment, upon another of them, and upon another pack's. */
const deltas: MadeDelta[] = [
  { page: changedPage(pages[0]![3]!, 3), base: pages[0]![3]!, slot: 3 },
  { page: changedPage(pages[0]![65]!, 4), base: pages[0]![65]!, slot: 65 },
  { page: pages[0]![3]!, base: changedPage(pages[0]![3]!, 3), slot: 2 ** 31, depth: 2 },
  {
    page: pages[1]![0]!,
    base: numberedPage(5),
    slot: 2 ** 31 + 9,
    depth: 7,
    segment: identityOf(9),
  },
];
const made = makePack({
  segments: pages.map((list, i) => ({
    identity: identityOf(i + 1),
    pages: list,
    deltas: i === 0 ? deltas : [],
  })),
  manifests: [manifest, new Uint8Array(0)],
});
const good = openBytes(made.bytes);
const content = readOut(good);
const FILE = 'a.pack';

/** The regions of the pack, in the order of their bytes. */
const regions: [string, number, number][] = [
  ['magic', 0, 8],
  ['version', 8, 10],
  ['zeros of the header', 10, 16],
];
// Local number 1 is the segment of another pack, 2 the second one of this.
const frames = good.footer.references.flatMap((_, segment) => {
  const tables = good.frameTables(segment);
  return tables.flatMap((table) =>
    Array.from({ length: table.length }, (_entry, i) => table.entryAt(i)),
  );
});
for (const { frame, offset, blockBytes } of frames) {
  addBlock(frame < 2 ** 25 ? 'frame' : 'delta frame', offset, blockBytes);
}
for (const { type, offset, blockBytes } of good.footer.entries) addBlock(type, offset, blockBytes);
const lastBlock = Math.max(...regions.map(([, , end]) => end));
addBlock('footer', lastBlock, made.bytes.length - 32 - lastBlock);
regions.push(['trailer', made.bytes.length - 32, made.bytes.length]);
regions.sort((a, b) => a[1] - b[1]);

function addBlock(name: string, offset: number, length: number): void {
  regions.push([`${name} header`, offset, offset + BLOCK_HEADER_BYTES]);
  if (length > BLOCK_HEADER_BYTES) {
    regions.push([`${name} body`, offset + BLOCK_HEADER_BYTES, offset + length]);
  }
}

/** Everything in a pack, its digests and its name compared as well. */
function readAll(bytes: Uint8Array): string[] {
  const pack = openBytes(bytes, FILE);
  pack.digestBlocks.check();
  return readOut(pack);
}

function damage(change: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = Uint8Array.from(made.bytes);
  change(bytes);
  return bytes;
}

/** The error that reading everything ends with. */
function errorOf(bytes: Uint8Array): StoreError {
  try {
    readAll(bytes);
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error('nothing was found');
}

describe('a damaged pack', () => {
  it('is made of regions that leave nothing out', () => {
    expect(regions.map(([name]) => name)).toContain('delta frame body');
    expect(content.filter((line) => line.startsWith('slot 2147483'))).toHaveLength(deltas.length);
    let end = 0;
    for (const [name, start, next] of regions) {
      expect(start, name).toBe(end);
      end = next;
    }
    expect(end).toBe(made.bytes.length);
    expect(readAll(made.bytes)).toEqual(content);
  });

  it.each(regions)('is found with any byte changed: %s', (name, start, end) => {
    for (let offset = start; offset < end; offset++) {
      const error = errorOf(damage((bytes) => (bytes[offset]! ^= 1 << (offset & 7))));
      const isVersion = name === 'version' && error.code === 'UNSUPPORTED_VERSION';
      if (!isVersion) expect([error.code, error.offset]).toEqual(['CORRUPT', expect.any(Number)]);
      expect(error.file).toBe(FILE);
      expect(error.message).toContain(FILE);
    }
  });

  it.each(regions)('is found with a region zeroed or filled: %s', (_, start, end) => {
    for (const byte of [0, 0xff]) {
      const bytes = damage((copy) => copy.fill(byte, start, end));
      if (Buffer.compare(bytes, made.bytes) === 0) continue;
      expect(['CORRUPT', 'UNSUPPORTED_VERSION']).toContain(errorOf(bytes).code);
      expect(openBytes(made.bytes).computeName()).toBe(made.name);
    }
  });

  it('names the block that is damaged', () => {
    for (const [name, start, end] of regions) {
      if (!name.endsWith(' body') || name.startsWith('footer')) continue;
      const error = errorOf(damage((bytes) => (bytes[end - 1]! ^= 0x10)));
      expect([name, error.offset]).toEqual([name, start - BLOCK_HEADER_BYTES]);
    }
  });

  it('is found at every cut, and with bytes appended', () => {
    for (let length = 0; length < made.bytes.length; length++) {
      const error = errorOf(made.bytes.subarray(0, length));
      expect([error.code, error.file]).toEqual(['CORRUPT', FILE]);
    }
    expect(errorOf(Uint8Array.from([...made.bytes, 0])).code).toBe('CORRUPT');
  });

  it('is found with a block in the place of another', () => {
    const blocks = good.footer.entries.filter(({ type }) => type === 'frameTable');
    // Of the first segment's full pages, and of the second segment's.
    const [first, , second] = blocks as [FooterEntry, FooterEntry, FooterEntry];
    const bytes = damage((copy) =>
      copy.copyWithin(first.offset, second.offset, second.offset + second.blockBytes),
    );
    expect(errorOf(bytes)).toMatchObject({ code: 'CORRUPT', offset: first.offset });
  });

  it('gives an error or its content whatever is changed', () => {
    const changes = fc.array(
      fc.tuple(fc.nat(made.bytes.length - 1), fc.uint8Array({ minLength: 1, maxLength: 9 })),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(changes, (list) => {
        const bytes = damage((copy) => {
          for (const [offset, change] of list) {
            copy.set(change.subarray(0, copy.length - offset), offset);
          }
        });
        try {
          expect(readAll(bytes)).toEqual(content);
          expect(Buffer.compare(bytes, made.bytes)).toBe(0);
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
          expect(openBytes(made.bytes).computeName()).toBe(made.name);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('denies a page whose digest is damaged, and says so only when it is checked', () => {
    const place = good.footer.entries.find(({ type }) => type === 'digests') as FooterEntry;
    for (let slot = 0; slot < 66; slot += 5) {
      const offset = place.offset + BLOCK_HEADER_BYTES + slot * 32 + (slot % 32);
      const pack = openBytes(damage((bytes) => (bytes[offset]! ^= 1)));
      const list = pages[0] as Uint8Array[];
      const held = list.map((page, i) => pack.hasDigest(0, i, sha256(page), 0));
      expect(held).toEqual(list.map((_, i) => i !== slot));
      expect(() => pack.digestBlocks.check()).toThrow(/damaged block/);
    }
  });
});

describe('hasDigest', () => {
  it('is true for a page in its slot, wherever in the buffer its digest is', () => {
    const buffer = new Uint8Array(50);
    const list = pages[0] as Uint8Array[];
    for (const [slot, page] of list.entries()) {
      buffer.set(sha256(page), 9);
      expect(good.hasDigest(0, slot, buffer, 9)).toBe(true);
      expect(good.hasDigest(0, (slot + 1) % list.length, buffer, 9)).toBe(false);
      expect(good.hasDigest(1, 0, buffer, 9)).toBe(false);
      expect(good.hasDigest(2, 0, buffer, 9)).toBe(false);
    }
    expect(good.hasDigest(5, 0, buffer, 9)).toBe(false);
  });
});

describe('readDeltaFrame', () => {
  const table = good.frameTables(0)[1]!;

  it('reports a frame that is damaged as lost, and no other', () => {
    const { offset } = table.entryAt(0);
    const pack = openBytes(damage((bytes) => (bytes[offset + 30]! ^= 1)));
    const [full, delta] = pack.frameTables(0) as [FrameTable, FrameTable];
    expect(() => pack.readDeltaFrame(delta, 0)).toThrow(/damaged block/);
    expect(pack.isLost(delta, 0)).toBe(true);
    expect(pack.isLost(full, 0)).toBe(false);
    expect(good.isLost(table, 0)).toBe(false);
  });

  it('does not take a full frame for one of deltas, or the other way round', () => {
    const [full, delta] = good.frameTables(0) as [FrameTable, FrameTable];
    const target = new Uint8Array(64 * 4096);
    const pack = openBytes(made.bytes);
    expect(() => pack.readDeltaFrame(full, 0)).toThrow(/block of type 1, not 3/);
    expect(() => pack.readFrame(delta, 0, target)).toThrow(/block of type 3, not 1/);
  });
});

describe('readManifest', () => {
  it('refuses a digest that the pack does not list', () => {
    const other = sha256(Uint8Array.of(1));
    expect(() => good.readManifest(other)).toThrow(/manifest is not in this pack/);
  });

  const part = { type: 'manifest', snapshotId: identityOf(1), revision: 0 } as const;

  it('refuses parts that are missing, doubled or out of order', () => {
    const block = makeBlock(BLOCK.manifest, Uint8Array.of(1));
    const digest = sha256(Uint8Array.of(1, 1));
    for (const numbers of [[0], [1, 0], [0, 0], [0, 1, 1]]) {
      const entries = numbers.map((number, i) => {
        const place = { offset: 16 + i * block.length, blockBytes: block.length };
        return { ...part, ...place, part: number, parts: 2, digest };
      });
      const bytes = joinPack(
        numbers.map(() => block),
        { references: [], entries },
      );
      expect(() => openBytes(bytes).readManifest(digest)).toThrow(/not in this pack/);
    }
  });

  it('refuses bytes that do not have the digest of the manifest', () => {
    const block = makeBlock(BLOCK.manifest, Uint8Array.of(1));
    const digest = sha256(Uint8Array.of(2));
    const place = { offset: 16, blockBytes: block.length };
    const entries = [{ ...part, ...place, part: 0, parts: 1, digest }];
    const pack = openBytes(joinPack([block], { references: [], entries }));
    expect(() => pack.readManifest(digest)).toThrow(/does not match its digest/);
  });

  it('stops as soon as the parts are longer than a manifest may be', () => {
    const block = makeBlock(BLOCK.manifest, new Uint8Array(9), {
      codec: 1,
      rawBytes: MAX_BLOCK_RAW_BYTES,
    });
    const parts = 40;
    const digest = sha256(Uint8Array.of(2));
    const entries = Array.from({ length: parts }, (_, i) => {
      const place = { offset: 16 + i * block.length, blockBytes: block.length };
      return { ...part, ...place, part: i, parts, digest };
    });
    let decoded = 0;
    const counting = {
      ...zstd,
      decompressInto: (target: Uint8Array) => {
        decoded += target.length;
        return target.length;
      },
    };
    const bytes = joinPack(Array<Uint8Array>(parts).fill(block), { references: [], entries });
    const pack = new PackReader(sourceOf(bytes), counting);
    expect(() => pack.readManifest(digest)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
    expect(decoded).toBeLessThanOrEqual(1024 * 1024 * 1024);
  });
});

describe('lengths that were made up, with right checksums', () => {
  const table = (entry: Partial<FooterEntry>, raw: Uint8Array = new Uint8Array(8)): Uint8Array =>
    listed(makeBlock(BLOCK.frameTable, raw), entry);
  const listed = (block: Uint8Array, entry: Partial<FooterEntry> = {}): Uint8Array => {
    const place = { type: 'frameTable', offset: 16, blockBytes: block.length } as const;
    const entries = [{ ...place, segment: 0, firstFrame: 0, lastFrame: 9, ...entry }];
    return joinPack([block], { references: [identityOf(1)], entries: entries as FooterEntry[] });
  };
  const line = {
    frame: 0,
    slotsLow: 1,
    slotsHigh: 0,
    offset: 16,
    blockBytes: 90,
    digestsOffset: 16,
  };
  const frame = (change: Partial<typeof line>): (() => void) => {
    const pack = openBytes(table({}, encodeFrameTable([{ ...line, ...change }], [])));
    return () => {
      pack.frameDigests(pack.frameTables(0)[0]!, 0);
      pack.readFrame(pack.frameTables(0)[0]!, 0, new Uint8Array(64 * 4096));
    };
  };
  const deltaFrame = (block: Uint8Array, slotsLow: number): (() => void) => {
    const entry = { ...line, frame: 2 ** 25, slotsLow, blockBytes: block.length, digestsOffset: 0 };
    const tableBlock = makeBlock(BLOCK.frameTable, encodeFrameTable([entry], []));
    const place = { offset: 16 + block.length, blockBytes: tableBlock.length, segment: 0 };
    const range = { firstFrame: 2 ** 25, lastFrame: 2 ** 25 };
    const entries = [{ type: 'frameTable', ...place, ...range } as const];
    const bytes = joinPack([block, tableBlock], { references: [identityOf(1)], entries });
    const pack = openBytes(bytes);
    return () => void pack.readDeltaFrame(pack.frameTables(0)[0]!, 0);
  };
  const zipped = { codec: 1, rawBytes: 256 * 1024 + 1 };
  const endless = makeBlock(BLOCK.deltaFrame, Uint8Array.of(1), zipped);
  const noDeltas = makeBlock(BLOCK.deltaFrame, new Uint8Array(6));
  const huge = makeBlock(BLOCK.frameTable, Uint8Array.of(1), { codec: 1, rawBytes: 2 ** 32 - 1 });
  const opening = (bytes: Uint8Array) => () => openBytes(bytes).frameTables(0);

  it.each<[string, () => unknown, RegExp]>([
    ['a block as long as 2^40', opening(table({ blockBytes: 2 ** 40 })), /into the footer/],
    ['a block beyond the end', opening(table({ offset: 2 ** 50 })), /into the footer/],
    ['a count of frames', opening(table({}, new Uint8Array(8).fill(255))), /wrong size/],
    ['a raw length', opening(listed(huge)), /damaged block/],
    ['a frame as long as 2^32', frame({ blockBytes: 2 ** 32 - 1 }), /too long/],
    ['a frame of no bytes', frame({ blockBytes: 0 }), /1 bytes expected, 0 left/],
    ['a frame beyond the end', frame({ offset: 2 ** 52 }), /too short/],
    ['digests beyond the end', frame({ digestsOffset: 2 ** 52 }), /too short/],
    ['a frame that is another block', frame({ blockBytes: 72 }), /block of type 4, not 1/],
    ['deltas longer than a frame', deltaFrame(endless, 1), /block is too long/],
    ['deltas of other pages', deltaFrame(noDeltas, 1), /frame of other pages/],
    ['a footer that is too long', opening(joinPack([], new Uint8Array(0))), /expected, 0 left/],
  ])('are refused at once: %s', (_, action, message) => {
    const before = process.memoryUsage().arrayBuffers;
    const start = performance.now();
    expect(action).toThrow(expect.objectContaining({ code: 'CORRUPT', file: 'made.pack' }));
    expect(action).toThrow(message);
    expect(performance.now() - start).toBeLessThan(5000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024);
  });

  it('cannot make a frame of other pages than its line lists', () => {
    const block = makeBlock(BLOCK.frame, new Uint8Array(4096));
    const raw = encodeFrameTable([{ ...line, slotsLow: 3, blockBytes: block.length }], []);
    const tableBlock = makeBlock(BLOCK.frameTable, raw);
    const place = { offset: 16 + block.length, blockBytes: tableBlock.length };
    const entry = {
      type: 'frameTable',
      ...place,
      segment: 0,
      firstFrame: 0,
      lastFrame: 0,
    } as const;
    const footer = { references: [identityOf(1)], entries: [entry] };
    const pack = openBytes(joinPack([block, tableBlock], footer));
    const [first] = pack.frameTables(0);
    const target = new Uint8Array(64 * 4096);
    expect(() => pack.readFrame(first!, 0, target)).toThrow(/frame of the wrong length/);
  });
});
