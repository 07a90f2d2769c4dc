/**
 * Slots: the numbers of a segment's pages. Those below 2^31 are full pages, those from there on are
 * delta pages, so that a reference tells what it refers to.
 */

/** The first slot of a delta page. */
export const FIRST_DELTA_SLOT: number = 2 ** 31;
/** Slots of a segment, at most, of both kinds together. */
export const MAX_SLOTS: number = 2 ** 32;

/**
 * Writes slots as small numbers. Each segment has two series, of full and of delta pages, and what
 * was stored together is mostly referred to together: a slot is told by its distance from the one
 * after the last of its series.
 */
export class SlotSeries {
  readonly #next = new Map<number, number>();

  /** The number of a slot's series. */
  seriesOf(segment: number, slot: number): number {
    return segment * 2 + (slot >= FIRST_DELTA_SLOT ? 1 : 0);
  }

  /** The slot that is expected next. */
  expected(series: number): number {
    return this.#next.get(series) ?? (series % 2) * FIRST_DELTA_SLOT;
  }

  /** Says that the series goes on at `slot`. */
  follow(series: number, slot: number): void {
    this.#next.set(series, slot);
  }

  /** Starts again. */
  clear(): void {
    this.#next.clear();
  }
}

/** The segment of a series. */
export function segmentOf(series: number): number {
  return Math.floor(series / 2);
}

/** Whether slots belong to a series: all of its kind, none beyond the last. */
export function areInSeries(series: number, slot: number, count: number): boolean {
  const first = (series % 2) * FIRST_DELTA_SLOT;
  return slot >= first && slot + count <= first + FIRST_DELTA_SLOT;
}
