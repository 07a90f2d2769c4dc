/** Layers of frames: numbers ascend in each, and no frame is missing. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameLayers } from '../../src/pack/frame-layers.ts';

test('frames that come once are one layer, in order', () => {
  expect(frameLayers([3, 1, 2], (frame) => frame)).toEqual([[1, 2, 3]]);
  expect(frameLayers([], (frame: number) => frame)).toEqual([]);
});

test('frames that come again are in further layers', () => {
  const frames = [5, 1, 5, 2, 1, 5].map((number, i) => ({ number, i }));
  expect(frameLayers(frames, ({ number }) => number)).toEqual([
    [
      { number: 1, i: 1 },
      { number: 2, i: 3 },
      { number: 5, i: 0 },
    ],
    [
      { number: 1, i: 4 },
      { number: 5, i: 2 },
    ],
    [{ number: 5, i: 5 }],
  ]);
});

test('numbers ascend in each layer, and each frame is in one of them', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (numbers) => {
      const layers = frameLayers(numbers, (number) => number);
      for (const layer of layers) {
        expect(layer).toEqual([...new Set(layer)].sort((a, b) => a - b));
        expect(layer.length).toBeGreaterThan(0);
      }
      const ascending = (list: readonly number[]) => [...list].sort((a, b) => a - b);
      expect(ascending(layers.flat())).toEqual(ascending(numbers));
    }),
  );
});
