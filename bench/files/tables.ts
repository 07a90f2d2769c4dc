/** Tables and plots of what was measured step by step. */
import { median, ratios, withSpread } from '../measure/statistics.ts';
import type { Plot, ResultTable, SuiteResult } from '../report/result.ts';
import type { Row } from '../report/table.ts';
import type { Restored, Step, StepsRun, Stored, Timed } from './measure.ts';

/** Everything measured on one source. */
export interface StepsResult {
  readonly title: string;
  readonly steps: readonly Step[];
  /** By the subject's name; ours is the first. */
  readonly runs: ReadonlyMap<string, readonly StepsRun[]>;
  /** Of each step, where MB/s say more than seconds. */
  readonly sourceBytes?: readonly number[];
}

const MEGA = 1e6;
const INSIDE = ', from open to close';

/** Four tables and their plots: times of storing, bytes added, ratios to peers, restores. */
export function presentSteps(result: StepsResult): Pick<SuiteResult, 'tables' | 'plots'> {
  const tables = [storeTable(result), addedTable(result), ratioTable(result), restoreTable(result)];
  return { tables: tables.filter(({ rows }) => rows.length > 0), plots: plotsOf(result) };
}

type PickTime = (timed: Timed) => number | undefined;
const whole: PickTime = (timed) => timed.milliseconds;
const inside: PickTime = (timed) => timed.insideMs;

function storedOf(runs: readonly StepsRun[], index: number): Stored[] {
  return runs.map(({ stored }) => stored[index]!);
}

function restoredOf(runs: readonly StepsRun[], index: number): Restored[] {
  return runs.flatMap(({ restored }) => restored[index] ?? []);
}

/** A row for each subject, and one more for what a subject tells of its own process. */
function rowsOf(
  { runs }: StepsResult,
  rowOf: (label: string, list: readonly StepsRun[], pick: PickTime) => Row,
): Row[] {
  return [...runs].flatMap(([name, list]) => {
    const row = rowOf(name, list, whole);
    return tellsInside(list) ? [row, rowOf(`${name}${INSIDE}`, list, inside)] : [row];
  });
}

/** Only ours does. */
function tellsInside(list: readonly StepsRun[]): boolean {
  return list.some(({ stored }) => stored[0]?.insideMs !== undefined);
}

function storeTable(result: StepsResult): ResultTable {
  const { steps, title } = result;
  const rows = rowsOf(result, (subject, list, pick) => {
    const times = steps.map((_, index) => valuesOf(storedOf(list, index), pick));
    const first = times[0]!;
    return {
      subject,
      ...columns(steps, (index) => rateOrSeconds(result, times[index]!, index)),
      ...columns(steps.slice(1), (index) => [
        `/ ${steps[0]!.name}`,
        withSpread(ratios(times[index + 1]!, first), 2),
      ]),
      'peak MB': megabytes(list.flatMap(({ stored }) => stored.map((each) => each.peakBytes))),
    };
  });
  return { title: `${title}: storing`, rows };
}

function addedTable({ title, steps, runs }: StepsResult): ResultTable {
  const rows = [...runs].map(([subject, list]) => {
    const added = steps.map((_, index) => storedOf(list, index).map((each) => each.addedBytes));
    return {
      subject,
      ...columns(steps, (index) => ['MB', (median(added[index]!) / MEGA).toFixed(3)]),
      ...columns(steps.slice(1), (index) => [
        `/ ${steps[0]!.name}`,
        withSpread(ratios(added[index + 1]!, added[0]!), 4),
      ]),
    };
  });
  return { title: `${title}: bytes added`, rows };
}

/** Our time to that of a peer, run by run: below 1 we are faster. */
function ratioTable({ title, steps, runs }: StepsResult): ResultTable {
  const [ours, ...others] = [...runs];
  const peers = others.filter(([, list]) => !tellsInside(list));
  const rows = peers.map(([name, list]) => ({
    'ours / that of': name,
    ...columns(steps, (index) => {
      const [own, other] = [ours![1], list].map((each) => valuesOf(storedOf(each, index), whole));
      return ['time', withSpread(ratios(own!, other!), 2)];
    }),
    ...columns(steps, (index) => {
      const bytes = [ours![1], list].map((each) =>
        storedOf(each, index).map(({ addedBytes }) => addedBytes),
      );
      return ['bytes', withSpread(ratios(bytes[0]!, bytes[1]!), 3)];
    }),
  }));
  return { title: `${title}: ours beside peers, storing`, rows };
}

function restoreTable(result: StepsResult): ResultTable {
  const steps = [...result.steps.entries()].filter(([, step]) => step.isRestored === true);
  if (steps.length === 0) return { title: '', rows: [] };
  const rows = rowsOf(result, (subject, list, pick) => {
    const row: Record<string, string> = { subject };
    for (const [index, { name }] of steps) {
      const restored = restoredOf(list, index);
      const times = valuesOf(restored, pick);
      const [unit, value] = rateOrSeconds(result, times, index);
      row[`${name}, ${unit}`] = value;
      const copies = restored.map(({ copyMs }) => copyMs);
      row[`${name}, x cp -a`] = withSpread(ratios(times, copies), 2);
    }
    row['peak MB'] = megabytes(
      list.flatMap(({ restored }) => restored.map((each) => each?.peakBytes)),
    );
    return row;
  });
  return { title: `${result.title}: restoring`, rows };
}

function plotsOf({ title, steps, runs }: StepsResult): Plot[] {
  const plot = (what: string, unit: string, valueOf: (list: readonly StepsRun[]) => number) => {
    const values = [...runs].map(([label, list]) => ({ label, value: valueOf(list) }));
    return { kind: 'bars' as const, title: `${title}: ${what}`, unit, values };
  };
  return steps.flatMap(({ name, isRestored }, index) => [
    plot(`storing, ${name}`, 's', (list) => {
      return median(valuesOf(storedOf(list, index), whole)) / 1000;
    }),
    plot(`added, ${name}`, 'MB', (list) => {
      return median(storedOf(list, index).map(({ addedBytes }) => addedBytes)) / MEGA;
    }),
    ...(isRestored === true
      ? [
          plot(`restoring, ${name}`, 's', (list) => {
            return median(valuesOf(restoredOf(list, index), whole)) / 1000;
          }),
        ]
      : []),
  ]);
}

function valuesOf(list: readonly Timed[], pick: PickTime): number[] {
  return list.map((timed) => pick(timed) ?? Number.NaN);
}

/** A column for each step; its title begins with the step's name. */
function columns(
  steps: readonly Step[],
  cellOf: (index: number) => readonly [unit: string, value: string],
): Row {
  return Object.fromEntries(
    steps.map(({ name }, index) => {
      const [unit, value] = cellOf(index);
      return [unit.startsWith('/') ? `${name} ${unit}` : `${name}, ${unit}`, value];
    }),
  );
}

function rateOrSeconds(
  { sourceBytes }: StepsResult,
  times: readonly number[],
  index: number,
): [unit: string, value: string] {
  const bytes = sourceBytes?.[index];
  const seconds = times.map((time) => time / 1000);
  if (bytes === undefined) return ['s', withSpread(seconds, 2)];
  return ['MB/s', withSpread(seconds.map((each) => bytes / MEGA / each))];
}

function megabytes(peaks: readonly (number | undefined)[]): string {
  const known = peaks.filter((peak) => peak !== undefined);
  return known.length === 0 ? 'n/a' : (Math.max(...known) / MEGA).toFixed(0);
}
