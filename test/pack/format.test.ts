/** The fixed parts of a pack: golden bytes, and every single change of them is refused. */
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import { StoreError } from '../../src/errors.ts';
import {
  checkPackHeader,
  decodeBlock,
  decodeTrailer,
  encodeBlockHeader,
  encodePackHeader,
  encodeTrailer,
  MAX_BLOCK_RAW_BYTES,
} from '../../src/pack/format.ts';
import { makeBlock } from '../support/made-packs.ts';

const stored = Uint8Array.of(1, 2, 3);

/** All copies of `bytes` with one bit changed, and where. */
function* flips(bytes: Uint8Array): Generator<[Uint8Array, number]> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const copy = Uint8Array.from(bytes);
    copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
    yield [copy, bit >> 3];
  }
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof StoreError && error.file === 'a.pack') return error.code;
    throw error;
  }
  return 'none';
}

describe('the header of a pack', () => {
  const header = encodePackHeader();

  it('is 16 fixed bytes', () => {
    expect(toHex(header)).toBe('63726975746c706b0100000000000000');
    checkPackHeader(header, 'a.pack');
  });

  it('is refused with any bit changed: as a newer version, or as damage', () => {
    for (const [bytes, offset] of flips(header)) {
      const isNewer = offset === 9 || (offset === 8 && (bytes[8] as number) > 1);
      const expected = isNewer ? 'UNSUPPORTED_VERSION' : 'CORRUPT';
      expect(
        codeOf(() => checkPackHeader(bytes, 'a.pack')),
        `byte ${offset}`,
      ).toBe(expected);
    }
    expect(codeOf(() => checkPackHeader(header.subarray(0, 9), 'a.pack'))).toBe('CORRUPT');
  });
});

describe('a block', () => {
  it('has a header of 24 fixed bytes', () => {
    const header = encodeBlockHeader({ type: 5, codec: 1, storedBytes: 3, rawBytes: 999 }, stored);
    expect(toHex(header)).toBe('0501000003000000e703000000000000' + '061972f073303dfc');
  });

  it('is decoded to what was encoded', () => {
    const block = makeBlock(5, stored, { codec: 1, rawBytes: 999 });
    const header = { type: 5, codec: 1, storedBytes: 3, rawBytes: 999 };
    expect(decodeBlock(block, 'a.pack', 7)).toEqual(header);
  });

  it('is refused with any bit changed, and at any other length', () => {
    const block = makeBlock(1, stored);
    for (const [bytes, offset] of flips(block)) {
      expect(
        codeOf(() => decodeBlock(bytes, 'a.pack', 7)),
        `byte ${offset}`,
      ).toBe('CORRUPT');
    }
    for (let length = 0; length < block.length; length++) {
      const cut = block.subarray(0, length);
      expect(
        codeOf(() => decodeBlock(cut, 'a.pack', 7)),
        `${length} bytes`,
      ).toBe('CORRUPT');
    }
    const longer = Uint8Array.from([...block, 0]);
    expect(() => decodeBlock(longer, 'a.pack', 7)).toThrow(expect.objectContaining({ offset: 7 }));
  });

  it('is refused when it would decode to more than is ever allocated', () => {
    const most = makeBlock(1, stored, { codec: 1, rawBytes: MAX_BLOCK_RAW_BYTES });
    expect(decodeBlock(most, 'a.pack', 7).rawBytes).toBe(MAX_BLOCK_RAW_BYTES);
    const more = makeBlock(1, stored, { codec: 1, rawBytes: MAX_BLOCK_RAW_BYTES + 1 });
    expect(codeOf(() => decodeBlock(more, 'a.pack', 7))).toBe('CORRUPT');
  });

  it('is refused when it is stored as it is, and has two lengths', () => {
    const block = makeBlock(1, stored, { rawBytes: 4 });
    expect(codeOf(() => decodeBlock(block, 'a.pack', 7))).toBe('CORRUPT');
  });

  it('is of a newer version with a codec that is not known', () => {
    const block = makeBlock(1, stored, { codec: 2 });
    expect(codeOf(() => decodeBlock(block, 'a.pack', 7))).toBe('UNSUPPORTED_VERSION');
  });
});

describe('the trailer of a pack', () => {
  const trailer = encodeTrailer({ footerOffset: 1000, footerBytes: 50 });

  it('is 32 fixed bytes', () => {
    expect(toHex(trailer)).toBe(
      'e8030000000000003200000000000000' + 'fd5ced3b44e14cd7' + '63726975746c7065',
    );
    const expected = { footerOffset: 1000, footerBytes: 50 };
    expect(decodeTrailer(trailer, 1050 + 32, 'a.pack')).toEqual(expected);
  });

  it('is refused with any bit changed, with the offset where the pack ends', () => {
    for (const [bytes, offset] of flips(trailer)) {
      const error = expect.objectContaining({ code: 'CORRUPT', offset: 1050 });
      expect(() => decodeTrailer(bytes, 1082, 'a.pack'), `byte ${offset}`).toThrow(error);
    }
  });

  it('is refused in a pack of another length, and when the footer is in the header', () => {
    for (const length of [1081, 1083]) {
      expect(() => decodeTrailer(trailer, length, 'a.pack')).toThrow(/footer is not where/);
    }
    const early = encodeTrailer({ footerOffset: 15, footerBytes: 50 });
    expect(() => decodeTrailer(early, 65 + 32, 'a.pack')).toThrow(/footer is not where/);
  });
});
