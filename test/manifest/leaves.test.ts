/** Leaves and roots against a naive implementation over another SHA-256. */
import { sha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeafBuilder, leafCount, rootOf, ZERO_PAGE_DIGEST } from '../../src/manifest/leaves.ts';

function digestsOf(count: number, seed: number): Uint8Array {
  const digests = new Uint8Array(count * 32);
  for (let i = 0; i < digests.length; i++) digests[i] = (i * 7 + (i >> 8) * 3 + seed) & 0xff;
  return digests;
}

/** 512 digests a leaf. */
function naiveLeaves(digests: Uint8Array): Uint8Array {
  const leaves: Uint8Array[] = [];
  for (let start = 0; start < digests.length; start += 512 * 32) {
    leaves.push(sha256(digests.subarray(start, start + 512 * 32)));
  }
  return Uint8Array.from(Buffer.concat(leaves));
}

describe('LeafBuilder', () => {
  const counts = fc.oneof(fc.nat(10), fc.nat(3000), fc.constantFrom(511, 512, 513, 1024, 5 * 512));

  it('makes the leaves of any number of pages, in pieces of any size, and starts again', () => {
    const builder = new LeafBuilder();
    const pieces = fc.array(counts, { maxLength: 4 });
    fc.assert(
      fc.property(pieces, fc.nat(255), (sizes, seed) => {
        const total = sizes.reduce((sum, size) => sum + size, 0);
        const digests = digestsOf(total, seed);
        let done = 0;
        for (const size of sizes) {
          // What comes after the pages in the same memory is none of them.
          builder.addAll(digests.subarray(done * 32), size);
          done += size;
          expect(builder.complete).toBe(Math.floor(done / 512));
        }
        const leaves = builder.finish();
        expect(leaves).toEqual(naiveLeaves(digests));
        expect(leaves).toHaveLength(leafCount(total) * 32);
        expect(builder.complete).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('makes the same leaves of pages one by one', () => {
    const builder = new LeafBuilder();
    const digests = digestsOf(1300, 5);
    for (let i = 0; i < 1300; i++) {
      builder.addAll(digests.subarray(i * 32, i * 32 + 32), 1);
      expect(builder.complete).toBe(Math.floor((i + 1) / 512));
    }
    expect(builder.finish()).toEqual(naiveLeaves(digests));
  });

  it('keeps digests that their owner overwrites, and leaves that the next space follows', () => {
    const builder = new LeafBuilder();
    const digests = digestsOf(3, 1);
    builder.addAll(digests, 3);
    const expected = naiveLeaves(digests);
    digests.fill(0);
    const leaves = builder.finish();
    expect(leaves).toEqual(expected);
    builder.addAll(digestsOf(1, 2), 1);
    builder.finish();
    expect(leaves).toEqual(expected);
  });
});

describe('leafCount', () => {
  it.each([
    [0, 0],
    [1, 1],
    [512, 1],
    [513, 2],
  ])('of %d pages is %d', (pages, leaves) => expect(leafCount(pages)).toBe(leaves));
});

describe('rootOf', () => {
  it('is the digest of the length and the leaves', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.uint8Array(), (sizeBytes, leaves) => {
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(BigInt(sizeBytes));
        const expected = sha256(Uint8Array.from([...length, ...leaves]));
        expect(Uint8Array.from(rootOf(sizeBytes, leaves))).toEqual(expected);
      }),
    );
  });
});

describe('ZERO_PAGE_DIGEST', () => {
  it('is the digest of 4096 zeros', () => {
    expect(Buffer.from(ZERO_PAGE_DIGEST).toString('hex')).toBe(
      'ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7',
    );
  });
});
