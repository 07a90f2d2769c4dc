/** Prints the result of a suite, and writes it as JSON and SVG. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BARS, formatBars, judge } from './bars.ts';
import { describeMachine, describeVersions } from './machine.ts';
import type { SuiteResult } from './result.ts';
import { drawPlots } from './svg.ts';
import { formatTable } from './table.ts';

/** How the suite was run. */
export interface Circumstances {
  readonly suite: string;
  readonly date: Date;
  readonly runs: number;
  readonly quick: boolean;
}

/** Prints tables and bars. */
export function printResult(result: SuiteResult, { quick }: Circumstances): void {
  for (const { title, rows } of result.tables) console.log(formatTable(title, rows));
  if (result.bars.length > 0) console.log(formatBars(result.bars));
  if (quick) console.log('A quick run: it shows that everything works, and decides nothing.');
}

/** Writes `<date>-<suite>.json` and `.svg` into `directory`; returns their common path. */
export async function writeResult(
  result: SuiteResult,
  circumstances: Circumstances,
  directory: string,
): Promise<string> {
  const { suite, date, runs, quick } = circumstances;
  const day = date.toISOString().slice(0, 16).replaceAll(':', '');
  const path = join(directory, `${day}-${suite}`);
  const versions = { ...(await describeVersions()), ...result.versions };
  const machine = describeMachine();
  const bars = result.bars.map((bar) => ({
    ...bar,
    ...BARS[bar.bar],
    verdict: judge(BARS[bar.bar], bar.value),
  }));
  const { tables, raw } = result;
  const document = { suite, date, runs, quick, machine, versions, bars, tables, raw };
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${path}.json`, `${JSON.stringify(document, undefined, 1)}\n`);
  const title = `${suite}, ${date.toISOString().slice(0, 10)}, ${versions['commit'] ?? ''}`;
  writeFileSync(`${path}.svg`, drawPlots(title, result.plots));
  return path;
}
