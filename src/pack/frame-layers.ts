/**
 * The frames of a segment in the order in which a pack can list them. In each frame table numbers
 * ascend, so a frame of which a part was healed, and a part is still lost, is in two tables: those
 * after the first are further layers.
 */
import type { FrameTable } from './frame-table.ts';

/** A frame: the table that lists it, and the line there. */
export interface FramePlace {
  readonly table: FrameTable;
  readonly index: number;
}

/** All frames of tables, in their order. */
export function* framesOf(tables: readonly FrameTable[]): Generator<FramePlace> {
  for (const table of tables) {
    for (let index = 0; index < table.length; index++) yield { table, index };
  }
}

/**
 * Puts frames in layers: in each of them numbers ascend, and each number comes once.
 *
 * @param numberOf the number of a frame in its segment.
 */
export function frameLayers<T>(frames: Iterable<T>, numberOf: (frame: T) => number): T[][] {
  const layers: T[][] = [];
  let [last, layer] = [-1, 0];
  for (const frame of [...frames].sort((a, b) => numberOf(a) - numberOf(b))) {
    const number = numberOf(frame);
    layer = number === last ? layer + 1 : 0;
    last = number;
    const known = layers[layer];
    if (known === undefined) layers.push([frame]);
    else known.push(frame);
  }
  return layers;
}
