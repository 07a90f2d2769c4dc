/**
 * Gives the pages of files their addresses in the space `files`, where a file keeps them from one
 * snapshot to the next, so that its pages are compared with what they were.
 *
 * Small files lie one right behind the other, so that a hundred thousand of them are one run of
 * addresses; large ones get as much room again behind them, for they may grow. A file that outgrows
 * its room goes on elsewhere, with room for as much as it has by then: one that grows for ever has
 * few runs. Gaps that small files left are filled again, the one that fits best first, so that
 * files that come and go leave no more gaps in the end than in the beginning. They are filled from
 * their ends, while their fronts belong to the file before them.
 */
import { NO_EXTENTS, type PageExtents } from './body.ts';
import type { SpaceRuns } from './tree.ts';

/** Files of fewer pages are packed tightly; gaps of fewer pages are filled, not kept as room. */
const SMALL_PAGES = 256;
/** Room that is left behind a file, at most: 16 GiB. */
const MAX_ROOM_PAGES = 2 ** 22;

/** The addresses of one snapshot's files, given out after those of its base. */
export class AddressSpace {
  /** Of each gap of the base: where it begins and ends by now. */
  readonly #gapStart: Float64Array;
  readonly #gapEnd: Float64Array;
  /** Where gaps began at first: ascending. */
  readonly #gaps: Float64Array;
  /** Gaps that small files may fill, by their pages; some have fewer by now. */
  readonly #fillable: number[][] = [];
  #next: number;

  /** @param base runs that are taken. */
  constructor(base: SpaceRuns | undefined) {
    const runs = base?.runStart.length ?? 0;
    this.#gapStart = new Float64Array(runs);
    this.#gapEnd = new Float64Array(runs);
    this.#next = 0;
    for (let run = 0; base !== undefined && run < runs; run++) {
      const length = base.runLength[run] as number;
      const end = (base.runStart[run] as number) + length;
      const isLast = run === runs - 1;
      this.#gapStart[run] = end;
      this.#gapEnd[run] = isLast ? end + roomOf(length) : (base.runStart[run + 1] as number);
      if (isLast) this.#next = this.#gapEnd[run] as number;
    }
    this.#gaps = this.#gapStart.slice();
    // Not the last one, which everything else is behind. Backwards: the lowest is taken first.
    for (let gap = runs - 2; gap >= 0; gap--) this.#offer(gap);
  }

  /** Addresses for new pages. */
  allocate(pages: number): PageExtents {
    if (pages === 0) return NO_EXTENTS;
    const filled = pages < SMALL_PAGES ? this.#fillGap(pages) : -1;
    if (filled >= 0) return extentsOf([[filled, pages]]);
    return extentsOf([[this.#append(pages, pages < SMALL_PAGES ? 0 : pages), pages]]);
  }

  /** Addresses behind all others, with room behind them. */
  #append(pages: number, room: number): number {
    const start = this.#next;
    this.#next += pages + roomOf(room);
    return start;
  }

  /** The addresses that a file of the base has, or more or fewer than those. */
  resize({ start, length }: PageExtents, pages: number): PageExtents {
    const runs: (readonly [number, number])[] = [];
    let left = pages;
    for (let i = 0; i < start.length && left > 0; i++) {
      const count = Math.min(left, length[i] as number);
      runs.push([start[i] as number, count]);
      left -= count;
    }
    if (left === 0) return extentsOf(runs);
    const last = runs.at(-1);
    if (last !== undefined && this.#growAt(last[0] + last[1], left)) {
      runs[runs.length - 1] = [last[0], last[1] + left];
      return extentsOf(runs);
    }
    if (last === undefined) return this.allocate(left);
    return extentsOf([...runs, [this.#append(left, pages), left]]);
  }

  #growAt(address: number, pages: number): boolean {
    const gap = indexOf(this.#gaps, address);
    if (gap < 0 || this.#gapStart[gap] !== address) return false;
    if ((this.#gapEnd[gap] as number) < address + pages) return false;
    this.#gapStart[gap] = address + pages;
    return true;
  }

  /** @returns -1 when no gap is large enough. */
  #fillGap(pages: number): number {
    for (let size = pages; size < this.#fillable.length; size++) {
      const gaps = this.#fillable[size] as number[];
      for (let gap = gaps.pop(); gap !== undefined; gap = gaps.pop()) {
        const start = (this.#gapEnd[gap] as number) - pages;
        const fits = start >= (this.#gapStart[gap] as number);
        if (fits) this.#gapEnd[gap] = start;
        this.#offer(gap);
        if (fits) return start;
      }
    }
    // No gap is of so many pages or more, and none will be.
    if (pages < this.#fillable.length) this.#fillable.length = pages;
    return -1;
  }

  #offer(gap: number): void {
    const end = this.#gapEnd[gap] as number;
    const size = end - (this.#gapStart[gap] as number);
    if (size === 0 || end - (this.#gaps[gap] as number) >= SMALL_PAGES) return;
    while (this.#fillable.length <= size) this.#fillable.push([]);
    (this.#fillable[size] as number[]).push(gap);
  }
}

function roomOf(pages: number): number {
  return Math.min(pages, MAX_ROOM_PAGES);
}

function extentsOf(runs: readonly (readonly [number, number])[]): PageExtents {
  const start = new Float64Array(runs.length);
  const length = new Float64Array(runs.length);
  // Not Float64Array.from: for 100,000 files, this takes 15 ms instead of 90.
  for (let i = 0; i < runs.length; i++)
    [start[i], length[i]] = runs[i] as readonly [number, number];
  return { start, length };
}

/** Where a number is among ascending ones, or -1. */
function indexOf(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === value ? low : -1;
}
