/** The order of paths: that of their parts, one after the other. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { comparePaths } from '../../src/tree/entry.ts';
import { bytesOf, paths } from '../support/made-nodes.ts';

/** The same order, by splitting: a path is a list of names. */
function compareParts(a: Uint8Array, b: Uint8Array): number {
  const partsOf = (path: Uint8Array): string[] =>
    path.length === 0 ? [] : Buffer.from(path).toString('latin1').split('/');
  const [left, right] = [partsOf(a), partsOf(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x, y] = [left[i] as string, right[i] as string];
    if (x !== y) return x < y ? -1 : 1;
  }
  return left.length - right.length;
}

describe('the order of paths', () => {
  it('puts a directory right before what is in it, and that before longer names', () => {
    const sorted = ['', 'a', 'a/b', 'a/b/c', 'a/b-', 'a\u0001', 'a-b', 'a.b', 'a0', 'b'];
    const shuffled = [...sorted].reverse().map(bytesOf);
    expect(shuffled.sort(comparePaths)).toEqual(sorted.map(bytesOf));
  });

  it('is that of the lists of their names', () => {
    fc.assert(
      fc.property(paths, paths, (a, b) => {
        expect(Math.sign(comparePaths(a, b))).toBe(Math.sign(compareParts(a, b)));
        expect(Math.sign(comparePaths(b, a))).toBe(-Math.sign(compareParts(a, b)) + 0);
      }),
      { numRuns: 500 },
    );
  });
});
