/** Signed numbers as unsigned ones: small ones stay small, and every one comes back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unzigzag, zigzag } from '../../src/bytes/zigzag.ts';

describe('zigzag', () => {
  it('counts outwards from zero', () => {
    const numbers = [0, -1, 1, -2, 2, -3];
    expect(numbers.map(zigzag)).toEqual([0, 1, 2, 3, 4, 5]);
    expect([0, 1, 2, 3, 4, 5].map(unzigzag)).toEqual(numbers);
  });

  it('gives every number back, whatever its sign and size', () => {
    // Slots are below 2^32, and so are their distances; 2^52 is what a varint has room for.
    const numbers = fc.oneof(
      fc.integer({ min: -300, max: 300 }),
      fc.integer({ min: -(2 ** 33), max: 2 ** 33 }),
      fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 }),
    );
    fc.assert(
      fc.property(numbers, (value) => {
        const encoded = zigzag(value);
        expect(Number.isSafeInteger(encoded) && encoded >= 0).toBe(true);
        expect(unzigzag(encoded)).toBe(value);
      }),
    );
  });

  it('has one number for each unsigned one, zero without a sign', () => {
    const numbers = fc.oneof(fc.nat(300), fc.maxSafeNat());
    fc.assert(
      fc.property(numbers, (value) => {
        expect(zigzag(unzigzag(value))).toBe(value);
      }),
    );
    expect(Object.is(unzigzag(0), 0)).toBe(true);
  });
});
