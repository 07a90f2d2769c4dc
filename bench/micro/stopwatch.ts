/** Times a function that is over too soon for a clock: batches long enough, and their median. */
import { median } from '../measure/statistics.ts';

/** One row: a function, and how many pages, entries or the like a call of it handles. */
export interface MicroCase {
  readonly name: string;
  readonly unit: string;
  readonly unitsPerCall: number;
  readonly call: () => void;
}

/** What was measured. */
export interface MicroResult {
  readonly name: string;
  readonly unit: string;
  readonly nanoseconds: number;
  readonly least: number;
  readonly most: number;
}

const BATCHES = 7;

/** Nanoseconds a unit; `batchMs` is how long a batch is to take at least. */
export function timeCase(
  { name, unit, unitsPerCall, call }: MicroCase,
  batchMs: number,
): MicroResult {
  const calls = callsOf(call, batchMs);
  const each = Array.from({ length: BATCHES }, () => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) call();
    return ((performance.now() - start) * 1e6) / calls / unitsPerCall;
  });
  const [least, most] = [Math.min(...each), Math.max(...each)];
  return { name, unit, nanoseconds: median(each), least, most };
}

/** How many calls a batch takes; finding that out warms up the compiler too. */
function callsOf(call: () => void, batchMs: number): number {
  for (let calls = 1; ; calls *= 2) {
    const start = performance.now();
    for (let i = 0; i < calls; i++) call();
    if (performance.now() - start >= batchMs) return calls;
  }
}
