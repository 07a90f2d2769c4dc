/**
 * Does a capture, or opening, get slower with the pages that a store holds? Stores of 0.1, 1 and 5
 * million full pages; then a new timeline of two dumps in each, in turns.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { runChild } from '../measure/child.ts';
import { readStoredPages } from '../measure/delta-pages.ts';
import { directoryBytes } from '../measure/directories.ts';
import { median, ratios, withSpread } from '../measure/statistics.ts';
import { captureDump, storeBytes } from '../measure/timeline.ts';
import { freeBytes } from '../process/work-directory.ts';
import { skipLoudly } from '../process/programs.ts';
import type { SuiteResult } from '../report/result.ts';
import type { SuiteTask } from '../suites/suite.ts';
import { writeChangedPages, writeUniquePages } from './made-pages.ts';

const PAGE_COUNTS = [100_000, 1_000_000, 5_000_000] as const;
/** Pages of a dump that fills a store: 400 MB, so that the dumps themselves take little room. */
const FILL_PAGES = 100_000;
const PROBE_PAGES = 24_000;
const PROBE_STRETCH = 4;
/** Kept bytes of a page, at most, for knowing beforehand whether a store fits. */
const KEPT_PAGE_BYTES = 1100;
/** A probe takes seconds and filling a store minutes: so many are cheap, and say much more. */
const LEAST_PROBES = 5;
const MEGA = 1e6;

interface Probe {
  readonly firstMs: number;
  readonly secondMs: number;
  readonly openMs: number;
  readonly peakBytes: number;
}

interface FilledStore extends StoreSizes {
  readonly pages: number;
  readonly path: string;
  readonly probes: Probe[];
}

/** Fills the stores and measures. */
export async function measureStoredPages(task: SuiteTask): Promise<SuiteResult> {
  const { work, runs, quick, say } = task;
  const share = quick ? 0.1 : 1;
  const stores: FilledStore[] = [];
  for (const count of PAGE_COUNTS.slice(0, task.sizes)) {
    const pages = count * share;
    if (freeBytes(work) < pages * KEPT_PAGE_BYTES + 2 * FILL_PAGES * 4096) {
      skipLoudly(`${pages} stored pages: not enough room at ${work}`);
      continue;
    }
    const path = join(work, `store-${count}`);
    await fill(task, path, pages, FILL_PAGES * share);
    stores.push({ pages, path, probes: [], ...(await sizesOf(path, pages)) });
  }
  for (let run = 0; run < Math.max(runs, LEAST_PROBES); run++) {
    // Whose turn is first changes, because a machine that gets slower does so for the last ones.
    for (const store of run % 2 === 0 ? stores : [...stores].reverse()) {
      say(`probing ${store.pages} stored pages, run ${run + 1}`);
      store.probes.push(await probe(store.path, work, { run, pages: PROBE_PAGES * share }));
    }
  }
  for (const { path } of stores) rmSync(path, { recursive: true, force: true });
  return resultOf(stores);
}

async function fill(
  { work, say }: SuiteTask,
  store: string,
  pages: number,
  dumpPages: number,
): Promise<void> {
  const images = join(work, 'fill');
  for (let done = 0, dump = 0; done < pages; done += dumpPages, dump++) {
    if (dump % 10 === 0) say(`filling ${store}: ${done} of ${pages} pages`);
    writeUniquePages(images, dumpPages, 1000 + dump);
    await runChild({
      store,
      options: { create: true },
      captures: [{ timeline: `fill-${dump}`, images }],
    });
    rmSync(images, { recursive: true, force: true });
  }
}

interface StoreSizes {
  readonly storeBytes: number;
  readonly indexBytes: number;
}

/** @throws Error when the packs hold other pages than they are to: the rows would be wrong. */
async function sizesOf(store: string, pages: number): Promise<StoreSizes> {
  const { fullPages, deltaPages } = await readStoredPages(store);
  // The other files of a dump are a page each.
  if (fullPages < pages || deltaPages > pages / 1000) {
    throw new Error(`${store} holds ${fullPages} full pages and ${deltaPages} deltas`);
  }
  const indexBytes = directoryBytes(join(store, 'index'));
  return { storeBytes: storeBytes(store), indexBytes };
}

async function probe(
  store: string,
  work: string,
  { run, pages }: { run: number; pages: number },
): Promise<Probe> {
  const images = join(work, 'probe');
  // Pages that no store has seen, and the same in each.
  const seed = 500_000 + run;
  const timeline = `probe-${run}`;
  writeUniquePages(images, pages, seed);
  const first = await captureDump(store, timeline, images);
  rmSync(images, { recursive: true, force: true });
  writeChangedPages(images, pages, { seed, dump: 1, stretch: PROBE_STRETCH });
  const second = await captureDump(store, timeline, images);
  rmSync(images, { recursive: true, force: true });
  const open = await runChild({ store });
  return {
    firstMs: first.captureMs,
    secondMs: second.captureMs,
    openMs: open.openMs,
    peakBytes: Math.max(first.report.peakBytes, second.report.peakBytes),
  };
}

function resultOf(stores: readonly FilledStore[]): SuiteResult {
  const pick = (store: FilledStore, of: (probe: Probe) => number): number[] => store.probes.map(of);
  const least = stores[0];
  const most = stores.at(-1);
  const rows = stores.map((store) => ({
    'stored pages': store.pages,
    'store, MB': (store.storeBytes / MEGA).toFixed(0),
    'index, B a page': (store.indexBytes / store.pages).toFixed(1),
    'capture of new pages, ms': withSpread(pick(store, (each) => each.firstMs)),
    'capture of a quarter changed, ms': withSpread(pick(store, (each) => each.secondMs)),
    'open, ms': withSpread(pick(store, (each) => each.openMs)),
    'peak, MB': withSpread(pick(store, (each) => each.peakBytes / MEGA)),
  }));
  const known = least !== undefined && most !== undefined && least !== most;
  const of = `${most?.pages ?? 0} / ${least?.pages ?? 0} stored pages`;
  const slowdown = (time: (probe: Probe) => number): number | undefined =>
    known ? median(ratios(pick(most, time), pick(least, time))) : undefined;
  const lines = [
    { label: 'new pages', time: (each: Probe) => each.firstMs },
    { label: 'a quarter changed', time: (each: Probe) => each.secondMs },
    { label: 'open', time: (each: Probe) => each.openMs },
  ];
  return {
    tables: [{ title: 'Stored full pages', rows }],
    bars: [
      { bar: 'scale-capture', of: `${of}, new`, value: slowdown((each) => each.firstMs) },
      { bar: 'scale-capture', of: `${of}, changed`, value: slowdown((each) => each.secondMs) },
      { bar: 'scale-open', of, value: most && median(pick(most, (each) => each.openMs)) },
    ],
    plots: [
      {
        kind: 'lines',
        title: 'capture and open by stored pages',
        unit: 'ms',
        xTitle: 'stored pages',
        lines: lines.map(({ label, time }) => {
          const points = stores.map((store) => [store.pages, median(pick(store, time))] as const);
          return { label, points };
        }),
      },
    ],
    raw: stores,
  };
}
