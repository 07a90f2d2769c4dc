/** Hexadecimal text against Buffer, which the library does without. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, sameBytes, toHex } from '../../src/bytes/hex.ts';

describe('hexadecimal text', () => {
  it('is what Buffer makes of the bytes, and gives them back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
        expect(fromHex(toHex(bytes))).toEqual(bytes);
      }),
    );
  });

  it.each(['0', '0g', 'AB', ' 0', '0x00', '00\n', '٠٠', 'é0'])('is not %j', (text) => {
    expect(fromHex(text)).toBeUndefined();
  });
});

describe('sameBytes', () => {
  it('agrees with Buffer.compare', () => {
    const short = fc.uint8Array({ maxLength: 3, max: 1 });
    fc.assert(
      fc.property(short, short, (a, b) => {
        expect(sameBytes(a, b)).toBe(Buffer.compare(a, b) === 0);
      }),
    );
    expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
    expect(sameBytes(Uint8Array.of(1), Uint8Array.of(1, 2))).toBe(false);
  });
});
