/** How deep and how full a JSON text is, compared with what the parser makes of it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shapeOf } from '../../src/archives/json-shape.ts';

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function countOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce<number>((sum, one) => sum + countOf(one), 1);
}

const shapeOfText = (text: string): ReturnType<typeof shapeOf> => shapeOf(Buffer.from(text));

describe('the shape of a JSON text', () => {
  it('is as deep as the text nests, and counts no less than is in it', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const value: unknown = JSON.parse(text);
        const shape = shapeOfText(text);
        expect(shape.depth).toBe(depthOf(value));
        expect(shape.values).toBeGreaterThanOrEqual(countOf(value) / 2);
        expect(shape.values).toBeLessThanOrEqual(2 * countOf(value));
      }),
    );
  });

  it.each([
    ['1', 0, 1],
    ['["a", "b"]', 1, 3],
    ['[[], [{"a": [1]}]]', 4, 7],
    [String.raw`["[[[,,,", "\"[[[", "\\", "ü,"]`, 1, 5],
    ['["[[[', 1, 2],
    ['["\\', 1, 2],
    ['', 0, 1],
  ])('of %s has the depth %i and %i values', (text, depth, values) => {
    expect(shapeOfText(text)).toEqual({ depth, values });
  });
});
