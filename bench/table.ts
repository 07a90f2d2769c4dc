/** Prints the measurements as a table, each time with the ratio that its bar is stated in. */
import type { Measurement } from './subjects/subject.ts';

/** Everything that was measured. */
export interface Results {
  readonly series: string;
  readonly snapshots: number;
  readonly logicalBytes: number;
  /** By subject, one measurement a run. */
  readonly results: ReadonlyMap<string, readonly Measurement[]>;
}

const MEGA = 1e6;

/** Prints one row a subject. */
export function printTable({ series, snapshots, logicalBytes, results }: Results): void {
  const runs = [...results.values()][0]?.length ?? 0;
  const megabytes = (logicalBytes / MEGA).toFixed(0);
  console.log(`${series}: ${snapshots} snapshots, ${megabytes} MB, median of ${runs} runs`);
  const tar = throughputs(results.get('tar | zstd -1 -T0') ?? [], logicalBytes);
  const copy = (results.get('cp -a') ?? []).map((run) => run.restoreMs);
  const rows = [...results].map(([name, list]) => {
    const rates = throughputs(list, logicalBytes);
    const restores = list.map((run) => run.restoreMs);
    return {
      subject: name,
      'store MB/s': `${median(rates).toFixed(0)} (${spread(rates)})`,
      'x tar|zstd': ratio(rates, tar),
      'kept MB': (median(list.map((run) => run.keptBytes)) / MEGA).toFixed(2),
      'kept %': ((median(list.map((run) => run.keptBytes)) / logicalBytes) * 100).toFixed(2),
      'restore ms': `${median(restores).toFixed(0)} (${spread(restores)})`,
      'x cp -a': ratio(restores, copy),
      'peak MB': peaks(list),
    };
  });
  console.table(rows);
}

function throughputs(list: readonly Measurement[], logicalBytes: number): number[] {
  return list.map((run) => logicalBytes / MEGA / (run.storeMs / 1000));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

function spread(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}`;
}

/** The median of the ratios run by run: what drifts between runs cancels out. */
function ratio(values: readonly number[], others: readonly number[]): string {
  if (others.length === 0) return '';
  return median(values.map((value, i) => value / (others[i] ?? Number.NaN))).toFixed(2);
}

function peaks(list: readonly Measurement[]): string {
  const store = list.map((run) => run.storePeakBytes ?? Number.NaN);
  const restore = list.map((run) => run.restorePeakBytes ?? Number.NaN);
  if (store.some(Number.isNaN)) return '';
  return `${(Math.max(...store) / MEGA).toFixed(0)} / ${(Math.max(...restore) / MEGA).toFixed(0)}`;
}
