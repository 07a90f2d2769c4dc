/** PAX records: what is written is read, and lengths are checked before anything else. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePax, parsePax, paxNumber, paxTime } from '../../src/archives/pax.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

describe('PAX records', () => {
  it('come back as they were written, whatever their values hold', () => {
    const key = fc.stringMatching(/^[a-zA-Z.]{1,120}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.uint8Array({ maxLength: 1200 }))), (pairs) => {
        const records = new Map(pairs);
        expect(parsePax(encodePax(records))).toEqual(records);
      }),
    );
  });

  it('are what POSIX says, digits of the length included', () => {
    expect(Buffer.from(encodePax(new Map([['path', bytes('a')]]))).toString()).toBe('9 path=a\n');
    expect([...parsePax(bytes('9 path=a\n11 path=bb\n'))]).toEqual([['path', bytes('bb')]]);
  });

  it.each([
    ['no length', 'path=a\n'],
    ['a space for a length', ' path=a\n'],
    ['a length beyond the end', '99 path=a\n'],
    ['a length that is too short', '3 path=a\n'],
    ['a length that ends before the line', '8 path=a\n'],
    ['a length of 20 digits', '10000000000000000000 path=a\n'],
    ['a negative length', '-10 path=a\n'],
    ['no key', '8 patha\n'],
    ['an end in a length', '10'],
    ['zeros behind them', '9 path=a\n\0\0'],
  ])('are refused with %s', (_name, text) => {
    expect(() => parsePax(bytes(text))).toThrow(/PAX record/);
  });

  it('hold whole numbers up to a maximum', () => {
    expect(paxNumber(bytes('17'), 17, 'uid')).toBe(17);
    for (const text of ['18', '-1', '', '1.5', '0x1', '1e1', '99999999999999999999999']) {
      expect(() => paxNumber(bytes(text), 17, 'uid'), text).toThrow('uid is no number up to 17');
    }
  });

  it.each([
    ['1700000000.123456789', 1_700_000_000, 123_456_789],
    ['1700000000.5', 1_700_000_000, 500_000_000],
    ['0.0000000019', 0, 1],
    ['12', 12, 0],
    ['-1.25', -2, 750_000_000],
    ['-3', -3, 0],
    ['-0', 0, 0],
  ])('hold times: %s', (text, seconds, nanoseconds) => {
    expect(paxTime(bytes(text))).toEqual({ seconds, nanoseconds });
  });

  it.each(['', '.5', 'x', '1.2.3', '1e9', '--1', '9'.repeat(16)])('hold no time: %j', (text) => {
    expect(() => paxTime(bytes(text))).toThrow('mtime is no time');
  });
});
