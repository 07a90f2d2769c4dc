/** CRC-32 against its published check value, and piece by piece. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../src/bytes/checksum.ts';

describe('crc32', () => {
  it('is the CRC-32 of IEEE 802.3', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array(0))).toBe(0);
  });

  it('goes on from the checksum of what came before', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        expect(crc32(b, crc32(a))).toBe(crc32(Uint8Array.from([...a, ...b])));
      }),
    );
  });

  it('notices every flipped bit', () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => i * 7);
    const sum = crc32(bytes);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
      expect(crc32(bytes)).not.toBe(sum);
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
    }
  });
});
