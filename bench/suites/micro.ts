/** Single functions of the library, nanoseconds each. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadInternals } from '../internals.ts';
import { frameCases } from '../micro/frame-cases.ts';
import { indexCases } from '../micro/index-cases.ts';
import { pageCases } from '../micro/page-cases.ts';
import { timeCase } from '../micro/stopwatch.ts';
import { tableCases } from '../micro/table-cases.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from './suite.ts';

const BATCH_MS = 200;
const QUICK_BATCH_MS = 20;

/** Times all of them. */
export async function micro({ work, quick, say }: SuiteTask): Promise<SuiteResult> {
  const internals = await loadInternals();
  const index = join(work, 'index');
  mkdirSync(index);
  const cases = [
    ...pageCases(internals),
    ...(await frameCases(internals)),
    ...indexCases(internals, index),
    ...tableCases(internals),
  ];
  const results = cases.map((one) => {
    say(one.name);
    return timeCase(one, quick ? QUICK_BATCH_MS : BATCH_MS);
  });
  const rows = results.map(({ name, unit, nanoseconds, least, most }) => ({
    what: name,
    unit,
    ns: nanoseconds.toFixed(1),
    spread: `${least.toFixed(1)}-${most.toFixed(1)}`,
  }));
  const values = results.map(({ name, nanoseconds }) => ({ label: name, value: nanoseconds }));
  return {
    tables: [{ title: 'Single functions', rows }],
    bars: [],
    plots: [{ kind: 'bars', title: 'single functions', unit: 'ns a unit', values }],
    raw: results,
  };
}
