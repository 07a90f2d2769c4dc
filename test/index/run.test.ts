/** The bytes of a run: sorted blocks of 340 entries, each with a checksum, and their fences. */
import { sha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeFences,
  decodeRunHeader,
  fencesPlace,
  isRunBlockIntact,
  RUN_BLOCK_BYTES,
  RUN_HEADER_BYTES,
} from '../../src/index/run.ts';
import { type IndexedPage, packDigest, runBytes } from '../support/made-runs.ts';

const pack = packDigest(7);
const prefixes = fc.oneof(fc.nat(5), fc.nat(0xffffffff), fc.constantFrom(0xffffffff, 0x10000));
const indexed: fc.Arbitrary<IndexedPage> = fc.record({
  prefix: prefixes,
  rest: fc.nat(0xffff),
  segment: fc.nat(0xffff),
  slot: fc.nat(0xffffffff),
});

/** The entries of a run's blocks, read as documented, and the largest prefix of each block. */
function entriesOf(bytes: Uint8Array): { pages: IndexedPage[]; fences: number[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const pages: IndexedPage[] = [];
  const fences: number[] = [];
  for (let block = 0; block < view.getUint32(12, true); block++) {
    const base = RUN_HEADER_BYTES + block * RUN_BLOCK_BYTES;
    expect(isRunBlockIntact(bytes.subarray(base, base + RUN_BLOCK_BYTES))).toBe(true);
    for (let i = 0; i < view.getUint32(base + 4080, true); i++) {
      pages.push({
        prefix: view.getUint32(base + i * 4, true),
        slot: view.getUint32(base + 1360 + i * 4, true),
        rest: view.getUint16(base + 2720 + i * 2, true),
        segment: view.getUint16(base + 3400 + i * 2, true),
      });
    }
    fences.push(pages.at(-1)?.prefix ?? -1);
  }
  return { pages, fences };
}

function parts(bytes: Uint8Array): { header: Uint8Array; rest: Uint8Array } {
  const blocks = new DataView(bytes.buffer).getUint32(12, true);
  const header = bytes.subarray(0, RUN_HEADER_BYTES);
  return { header, rest: bytes.subarray(fencesPlace(blocks).offset) };
}

describe('a run', () => {
  it('holds every entry once, sorted by prefix, the equal ones in the order they came', () => {
    const lists = fc.array(indexed, { maxLength: 900, size: 'max' });
    fc.assert(
      fc.property(lists, (list) => {
        const bytes = runBytes(list, pack);
        const { pages, fences } = entriesOf(bytes);
        expect(pages).toEqual(list.toSorted((a, b) => a.prefix - b.prefix));
        const { header, rest } = parts(bytes);
        expect(decodeRunHeader(header, pack)).toBe(Math.ceil(list.length / 340));
        expect([...(decodeFences(header, rest) ?? [-1])]).toEqual(fences);
        const { offset, bytes: length } = fencesPlace(fences.length);
        expect(bytes).toHaveLength(offset + length);
      }),
      { numRuns: 40, endOnFailure: true },
    );
  });

  it('has a header and checksums of fixed bytes', () => {
    const bytes = runBytes([{ prefix: 0x01020304, rest: 0x0506, segment: 2, slot: 9 }], pack);
    expect(Buffer.from(bytes.subarray(0, 64)).toString('hex')).toBe(
      Buffer.from('criutlix').toString('hex') +
        '01000000' +
        '01000000' +
        '0100000000000000' +
        '07'.repeat(32) +
        '00'.repeat(8),
    );
    const block = bytes.subarray(64, 64 + 4096);
    expect(block.subarray(4088)).toEqual(sha256(block.subarray(0, 4088)).subarray(0, 8));
    const sum = sha256(Uint8Array.from([...bytes.subarray(0, 64), 4, 3, 2, 1])).subarray(0, 8);
    expect(bytes.subarray(64 + 4096)).toEqual(Uint8Array.from([4, 3, 2, 1, ...sum]));
  });

  it('of another pack, version or kind is none', () => {
    const { header } = parts(runBytes([], pack));
    expect(decodeRunHeader(header, pack)).toBe(0);
    expect(decodeRunHeader(header, packDigest(8))).toBeUndefined();
    for (const offset of [0, 7, 8, 11, 24, 55]) {
      const changed = Uint8Array.from(header);
      changed[offset]! ^= 2;
      expect(decodeRunHeader(changed, pack), `byte ${offset}`).toBeUndefined();
    }
  });

  it('has fences that are refused with any byte of them or of the header changed', () => {
    const list = Array.from({ length: 700 }, (_, i) => ({
      prefix: i,
      rest: i,
      segment: 0,
      slot: i,
    }));
    const { header, rest } = parts(runBytes(list, pack));
    expect([...decodeFences(header, rest)!]).toEqual([339, 679, 699]);
    for (let i = 0; i < header.length + rest.length; i++) {
      const [changedHeader, changedRest] = [Uint8Array.from(header), Uint8Array.from(rest)];
      if (i < header.length) changedHeader[i]! ^= 1;
      else changedRest[i - header.length]! ^= 1;
      expect(decodeFences(changedHeader, changedRest), `byte ${i}`).toBeUndefined();
    }
  });

  it('has blocks that are refused with any byte changed', () => {
    const bytes = runBytes([{ prefix: 1, rest: 2, segment: 3, slot: 4 }], pack);
    const block = bytes.subarray(RUN_HEADER_BYTES, RUN_HEADER_BYTES + RUN_BLOCK_BYTES);
    for (let i = 0; i < RUN_BLOCK_BYTES; i += i < 4080 ? 17 : 1) {
      block[i]! ^= 0x40;
      expect(isRunBlockIntact(block), `byte ${i}`).toBe(false);
      block[i]! ^= 0x40;
    }
    expect(isRunBlockIntact(block)).toBe(true);
  });
});
