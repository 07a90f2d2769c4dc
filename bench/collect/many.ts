/**
 * What do operations on a timeline of many snapshots take? Each by a process of its own, so that
 * nothing is known or compiled yet; and captures beside those to a timeline of few.
 */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { RetentionPolicy } from 'criu-timeline';
import { runChild, type ChildOperation, type ChildTask } from '../measure/child.ts';
import { median, withSpread } from '../measure/statistics.ts';
import { captureDump } from '../measure/timeline.ts';
import { level } from '../process/level.ts';
import type { BarValue } from '../report/bars.ts';
import type { SuiteResult } from '../report/result.ts';
import { growTimeline } from '../scale/growth.ts';
import { writeChangedPages } from '../scale/made-pages.ts';
import type { SuiteTask } from '../suites/suite.ts';

const TIMELINE = 'many';
const FEW = 20;
const MANY = 2000;
const QUICK_MANY = 200;
const PAGES = 100;
/** One page of a hundred is another in each dump. */
const STRETCH = 100;
/** They take milliseconds, and growing minutes: so many whatever was asked for. */
const PROBES = 5;
/** New processes scatter by a fifth: of 7, medians of the same state differed by a tenth. */
const CAPTURES = 21;
const CAPTURE_COLUMN = `capture, ms, median of ${CAPTURES}`;
const POLICY: RetentionPolicy = { keepLast: 10, keepHourly: 24, keepDaily: 7 };

interface Timed {
  readonly name: string;
  readonly times: readonly number[];
}

interface Many {
  readonly snapshots: number;
  readonly operations: readonly Timed[];
  readonly fewMs: readonly number[];
  readonly manyMs: readonly number[];
}

/** Lets a timeline grow, keeps a copy of its beginning, and measures. */
export async function measureMany({ work, quick, say }: SuiteTask): Promise<SuiteResult> {
  const snapshots = quick ? QUICK_MANY : MANY;
  const [store, few] = [join(work, 'store'), join(work, 'few')];
  let dump = 0;
  const write = (path: string): void => {
    dump += 1;
    writeChangedPages(path, PAGES, { seed: 91, dump, stretch: STRETCH });
  };
  const grow = async (to: number): Promise<void> => {
    say(`a timeline of ${to} snapshots`);
    await growTimeline({ store, work, timeline: TIMELINE, count: to - dump, write });
  };
  await grow(FEW);
  cpSync(store, few, { recursive: true });
  await grow(snapshots / 2);
  const middle = new Date();
  await grow(snapshots);
  say('operations');
  const operations = await timeOperations(store, work, { snapshots, middle });
  const [fewMs, manyMs]: [number[], number[]] = [[], []];
  for (let capture = 0; capture < CAPTURES; capture++) {
    say(`captures, ${capture + 1} of ${CAPTURES}`);
    // Whose turn is first changes, because what comes second meets another machine.
    const turns = [
      { path: few, times: fewMs },
      { path: store, times: manyMs },
    ];
    for (const { path, times } of capture % 2 === 0 ? turns : turns.reverse()) {
      const images = join(work, 'dump');
      write(images);
      times.push((await captureDump(path, TIMELINE, images)).captureMs);
      rmSync(images, { recursive: true });
    }
  }
  return resultOf({ snapshots, operations, fewMs, manyMs });
}

/** An operation as a task of a child, and how many snapshots it must find, if any. */
interface Probe {
  readonly name: string;
  readonly task: Omit<ChildTask, 'store'>;
  readonly found?: number;
}

async function timeOperations(
  store: string,
  work: string,
  { snapshots, middle }: { readonly snapshots: number; readonly middle: Date },
): Promise<Timed[]> {
  const at = { timeline: TIMELINE, date: middle.toISOString() };
  const times = new Map<string, number[]>();
  for (let run = 0; run < PROBES; run++) {
    const snapshot = `${TIMELINE}@${Math.floor((snapshots * (run + 1)) / (PROBES + 1))}`;
    const probes: Probe[] = [
      { name: 'open', task: {} },
      { name: 'list', task: { lists: [TIMELINE] }, found: snapshots },
      { name: 'at(date)', task: { ats: [at] }, found: snapshots / 2 },
      { name: 'remove', task: { removes: [snapshot] } },
      { name: 'undelete', task: { undeletes: [snapshot] } },
      {
        name: 'prune, dry run',
        task: { prunes: [{ timeline: TIMELINE, policy: POLICY }] },
        found: snapshots,
      },
    ];
    await level(work);
    for (const probe of probes) {
      const { openMs, operations } = await runChild({ store, ...probe.task });
      const [operation] = operations;
      check(probe, operation);
      const before = times.get(probe.name) ?? [];
      times.set(probe.name, [...before, operation?.milliseconds ?? openMs]);
    }
  }
  return [...times].map(([name, each]) => ({ name, times: each }));
}

/** @throws Error when the operation found something else: it would be fast for nothing. */
function check({ name, found }: Probe, operation: ChildOperation | undefined): void {
  if (operation?.found === found) return;
  throw new Error(`${name} found ${operation?.found} instead of ${found}`);
}

function resultOf({ snapshots, operations, fewMs, manyMs }: Many): SuiteResult {
  const of = `${snapshots} snapshots`;
  const rows = operations.map(({ name, times }) => {
    return { operation: name, 'ms, median of 5': withSpread(times, 1) };
  });
  const captures = [
    { snapshots: FEW, [CAPTURE_COLUMN]: withSpread(fewMs, 1) },
    { snapshots, [CAPTURE_COLUMN]: withSpread(manyMs, 1) },
  ];
  const bars = operations.map(({ name, times }): BarValue => {
    return { bar: 'many-operation', of: `${name}, ${of}`, value: median(times) };
  });
  const slowdown = median(manyMs) / median(fewMs);
  const values = operations.map(({ name, times }) => ({ label: name, value: median(times) }));
  return {
    tables: [
      { title: `A timeline of ${of} of ${PAGES} pages, 1 % changed`, rows },
      { title: 'Captures to it, and to its beginning', rows: captures },
    ],
    bars: [
      ...bars,
      { bar: 'many-capture', of: `${snapshots} / ${FEW} snapshots`, value: slowdown },
    ],
    plots: [{ kind: 'bars', title: `timeline of ${of}`, unit: 'ms', values }],
    raw: { snapshots, operations, fewMs, manyMs },
  };
}
