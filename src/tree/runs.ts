/** Arithmetic of runs of addresses: what a base has, less what went, and what came. */
import { NumberColumn } from './columns.ts';
import type { SpaceRuns } from './tree.ts';

/** Pieces of an address space in any order: where each begins, and its pages. */
export interface Pieces {
  readonly start: Float64Array;
  readonly length: Float64Array;
}

/** The numbers of pieces, in the order of their addresses. */
export function orderOf({ start }: Pieces): Uint32Array {
  const order = new Uint32Array(start.length);
  // Not Uint32Array.from, which takes 25 ms for 100,000.
  for (let i = 0; i < order.length; i++) order[i] = i;
  // Mostly they come in order, and are not sorted again: 100,000 take 60 ms.
  for (let i = 1; i < start.length; i++) {
    if ((start[i] as number) >= (start[i - 1] as number)) continue;
    return order.sort((a, b) => (start[a] as number) - (start[b] as number));
  }
  return order;
}

/** Numbers in another order. */
export function inOrder(values: Float64Array, order: Uint32Array): Float64Array {
  const ordered = new Float64Array(order.length);
  // Not Float64Array.from, which takes 10 ms for 100,000.
  for (let i = 0; i < order.length; i++) ordered[i] = values[order[i] as number] as number;
  return ordered;
}

/** Runs without those parts of them that pieces cover. */
export function subtract(runs: SpaceRuns, pieces: Pieces): SpaceRuns {
  const order = orderOf(pieces);
  const start = new NumberColumn();
  const length = new NumberColumn();
  const add = (from: number, to: number) => {
    if (from >= to) return;
    start.push(from);
    length.push(to - from);
  };
  let next = 0;
  for (let run = 0; run < runs.runStart.length; run++) {
    let from = runs.runStart[run] as number;
    const to = from + (runs.runLength[run] as number);
    for (; next < order.length; next++) {
      const piece = order[next] as number;
      const begin = pieces.start[piece] as number;
      const end = begin + (pieces.length[piece] as number);
      if (end <= from) continue;
      if (begin >= to) break;
      add(from, Math.min(begin, to));
      from = end;
      if (end > to) break;
    }
    add(from, to);
  }
  return { runStart: start.values().slice(), runLength: length.values().slice() };
}

/** Runs and pieces together, neighbours as one; none of them overlaps another. */
export function unite(runs: SpaceRuns, pieces: Pieces): SpaceRuns {
  const order = orderOf(pieces);
  const start = new NumberColumn();
  const length = new NumberColumn();
  let [first, end] = [0, -1];
  const add = (from: number, pages: number) => {
    if (from === end) {
      end += pages;
      return;
    }
    if (end >= 0) {
      start.push(first);
      length.push(end - first);
    }
    [first, end] = [from, from + pages];
  };
  let [run, next] = [0, 0];
  while (run < runs.runStart.length || next < order.length) {
    const piece = order[next] ?? -1;
    const ofRun = runs.runStart[run] ?? Infinity;
    const ofPiece = pieces.start[piece] ?? Infinity;
    if (ofRun < ofPiece) add(ofRun, runs.runLength[run++] as number);
    else {
      add(ofPiece, pieces.length[piece] as number);
      next += 1;
    }
  }
  if (end >= 0) {
    start.push(first);
    length.push(end - first);
  }
  return { runStart: start.values().slice(), runLength: length.values().slice() };
}

/** For pieces of a space in the order of their addresses: the number of the first page of each. */
export function pagesAt(runs: SpaceRuns, starts: Float64Array): Float64Array {
  const pages = new Float64Array(starts.length);
  let [run, before] = [0, 0];
  for (let i = 0; i < starts.length; i++) {
    const address = starts[i] as number;
    while (
      run < runs.runStart.length &&
      address >= (runs.runStart[run] as number) + (runs.runLength[run] as number)
    ) {
      before += runs.runLength[run++] as number;
    }
    pages[i] = before + address - (runs.runStart[run] as number);
  }
  return pages;
}

/** Finds pages of a space by their addresses, in any order. */
export class RunIndex {
  readonly #runs: SpaceRuns;
  /** Pages before each run. */
  readonly #before: Float64Array;

  constructor(runs: SpaceRuns) {
    this.#runs = runs;
    this.#before = new Float64Array(runs.runStart.length);
    let pages = 0;
    for (let run = 0; run < this.#before.length; run++) {
      this.#before[run] = pages;
      pages += runs.runLength[run] as number;
    }
  }

  /** The number of the page at an address, or -1 when there is none. */
  find(address: number): number {
    const { runStart, runLength } = this.#runs;
    let [low, high] = [0, runStart.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((runStart[middle] as number) <= address) low = middle + 1;
      else high = middle;
    }
    const run = low - 1;
    const inRun = address - (runStart[run] ?? Infinity);
    if (!(inRun >= 0) || inRun >= (runLength[run] as number)) return -1;
    return (this.#before[run] as number) + inRun;
  }
}
