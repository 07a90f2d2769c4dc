/** Ids of snapshots: 16 bytes and 26 characters are the same thing, and text sorts by time. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idFromText, idToText, isIdPrefix, makeId } from '../../src/bytes/id.ts';

const random = fc.uint8Array({ minLength: 10, maxLength: 10 });
const times = fc.oneof(fc.nat(2 ** 48 - 1), fc.nat(1000));
const ids = fc.uint8Array({ minLength: 16, maxLength: 16 });
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

describe('an id', () => {
  it('goes to text and back', () => {
    fc.assert(
      fc.property(ids, (id) => {
        const text = idToText(id);
        expect(text).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
        expect(idFromText(text)).toEqual(id);
      }),
    );
  });

  it('is one for each text that is taken as an id', () => {
    const texts = fc.string({
      unit: fc.constantFrom(...CROCKFORD.split('')),
      minLength: 26,
      maxLength: 26,
    });
    fc.assert(
      fc.property(texts, (text) => {
        const id = idFromText(text);
        // 26 characters hold 130 bits: those that start above 7 are too large.
        expect(id === undefined).toBe(text.charAt(0) > '7');
        if (id !== undefined) expect(idToText(id)).toBe(text);
      }),
    );
  });

  it('has the layout of a ULID', () => {
    const id = makeId(1469918176385, Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 0xff));
    expect(Buffer.from(id).toString('hex')).toBe('01563df364810001020304050607' + '08ff');
    // The time part of the example in the ULID specification.
    expect(idToText(id).slice(0, 10)).toBe('01ARYZ6S41');
  });

  it('is sorted as text by the time it was made', () => {
    fc.assert(
      fc.property(times, times, random, random, (a, b, someRandom, otherRandom) => {
        fc.pre(a < b);
        expect(idToText(makeId(a, someRandom)) < idToText(makeId(b, otherRandom))).toBe(true);
      }),
    );
  });

  it.each([
    '',
    '0'.repeat(25),
    '0'.repeat(27),
    '8' + '0'.repeat(25),
    'Z'.repeat(26),
    '0'.repeat(25) + 'I',
    '0'.repeat(25) + 'L',
    '0'.repeat(25) + 'U',
    '0'.repeat(25) + 'a',
    '0'.repeat(25) + ' ',
    '0'.repeat(24) + '\u{1F600}',
  ])('is not %j', (text) => {
    expect(idFromText(text)).toBeUndefined();
  });
});

describe('isIdPrefix', () => {
  it('takes every start of an id in either case', () => {
    fc.assert(
      fc.property(ids, fc.integer({ min: 1, max: 26 }), (id, length) => {
        const prefix = idToText(id).slice(0, length);
        expect([isIdPrefix(prefix), isIdPrefix(prefix.toLowerCase())]).toEqual([true, true]);
      }),
    );
  });

  it.each(['', 'I', 'l', 'o', 'U', '01-2', 'é', '0'.repeat(27)])('refuses %j', (text) => {
    expect(isIdPrefix(text)).toBe(false);
  });
});
