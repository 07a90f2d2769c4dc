/** The values of the options that make a policy. */
import { describe, expect, test } from 'vitest';
import {
  addLabelToKeep,
  parseBuckets,
  parseBytes,
  parseGroups,
  parseNumber,
} from '../../src/cli/policy-options.ts';

describe('the value of an option', () => {
  test.each([
    ['0', 0],
    ['512', 512],
    ['512B', 512],
    ['1k', 1000],
    ['1.5M', 1_500_000],
    ['10G', 10_000_000_000],
    ['10GB', 10_000_000_000],
    ['10Gi', 10 * 2 ** 30],
    ['2TiB', 2 * 2 ** 40],
  ])('%s is a number of bytes', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  test.each(['', 'G', '-1', '1g', '1 G', '1.G', '1e9', '999999999999T', '0x10'])(
    '%j is no number of bytes',
    (text) => {
      expect(() => parseBytes(text)).toThrow('A number of bytes is like');
    },
  );

  test('is read as its form says', () => {
    expect([parseBuckets('12'), parseBuckets('12h')]).toEqual([12, '12h']);
    expect(parseGroups('5:3')).toEqual({ size: 5, keep: 3 });
    expect(addLabelToKeep('b=x=y', addLabelToKeep('a'))).toEqual([
      { key: 'a' },
      { key: 'b', value: 'x=y' },
    ]);
    expect(addLabelToKeep('a=')).toEqual([{ key: 'a', value: '' }]);
    for (const text of ['', '-1', '1.5', ' 1', '1234567890123456']) {
      expect(() => parseNumber(text)).toThrow('A number is like 12.');
    }
    for (const text of ['', '5', '5:', ':3', '5:3:1', '-5:3']) {
      expect(() => parseGroups(text)).toThrow('SIZE:KEEP');
    }
  });
});
