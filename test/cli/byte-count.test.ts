/** Numbers of bytes as people write them. */
import { InvalidArgumentError } from 'commander';
import { expect, test } from 'vitest';
import { parseByteCount } from '../../src/cli/byte-count.ts';

test.each([
  ['0', 0],
  ['1', 1],
  ['4096', 4096],
  ['500M', 500_000_000],
  ['500MB', 500_000_000],
  ['10g', 10_000_000_000],
  ['1k', 1000],
  ['1.5K', 1500],
  ['1.5M', 1_500_000],
  ['2Gi', 2 ** 31],
  ['2GiB', 2 ** 31],
  ['2TiB', 2 ** 41],
  ['7B', 7],
])('%s is %i', (text, bytes) => expect(parseByteCount(text)).toBe(bytes));

test.each([
  '',
  '-1',
  'G',
  '1.G',
  '0x10',
  '5X',
  '1.K',
  '.5M',
  '1i',
  '1e9',
  ' 5',
  '5 M',
  '99999999T',
  'M',
])('"%s" is none', (text) => expect(() => parseByteCount(text)).toThrow(InvalidArgumentError));
