/** In which state of the machine restores were timed: whether ratios of them mean something. */
import { withSpread } from '../measure/statistics.ts';
import type { ResultTable } from '../report/result.ts';
import { AGES, type Beside, type RunResult } from './measure.ts';

const KILO = 1000;

/** A row for each subject: the copies around its restores, and the memory that they found. */
export function stateTable(
  title: string,
  runs: ReadonlyMap<string, readonly RunResult[]>,
): ResultTable {
  const rows = [...runs].map(([name, list]) => {
    const all = list.flatMap(({ beside }) =>
      AGES.map((age) => beside[age]).filter((each) => each !== undefined),
    );
    const of = (pick: (each: Beside) => number, digits = 0): string =>
      withSpread(all.map(pick), digits);
    return {
      'restored by': name,
      'cp -a before, ms': of((each) => each.beforeMs),
      'cp -a after, ms': of((each) => each.afterMs),
      'after / before': of((each) => each.afterMs / each.beforeMs, 2),
      'memory, GB/s': of((each) => each.memoryRate / KILO, 1),
    };
  });
  return { title, rows };
}
