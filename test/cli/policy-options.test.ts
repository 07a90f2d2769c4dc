/** The values of the options that make a policy. */
import { describe, expect, test } from 'vitest';
import {
  addLabelToKeep,
  parseBuckets,
  parseGroups,
  parseNumber,
} from '../../src/cli/policy-options.ts';

describe('the value of an option', () => {
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
