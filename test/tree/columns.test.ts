/** Columns: they keep what is appended, however much it is. */
import { describe, expect, it } from 'vitest';
import { BigColumn, NumberColumn, shareBigs, shareNumbers } from '../../src/tree/columns.ts';

describe('columns', () => {
  it.each([0, 1, 255, 256, 257, 5000])('keep %d numbers', (count) => {
    const numbers = new NumberColumn();
    const bigs = new BigColumn();
    for (let i = 0; i < count; i++) {
      numbers.push(i * 2 ** 40 + 0.5);
      bigs.push(-BigInt(i) * 2n ** 40n);
    }
    const all = Array.from({ length: count }, (_, i) => i);
    expect(numbers.length).toBe(count);
    expect([...numbers.values()]).toEqual(all.map((i) => i * 2 ** 40 + 0.5));
    expect([...bigs.values()]).toEqual(all.map((i) => -BigInt(i) * 2n ** 40n));
  });

  it('go into memory that all threads share, as copies', () => {
    const numbers = Float64Array.of(1, 2, 3);
    const shared = shareNumbers(numbers.subarray(1));
    const bigs = shareBigs(BigInt64Array.of(-1n, 2n));
    numbers.fill(0);
    expect([...shared]).toEqual([2, 3]);
    expect([...bigs]).toEqual([-1n, 2n]);
    expect(shared.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(bigs.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(shareNumbers(new Float64Array(0)).length).toBe(0);
  });
});
