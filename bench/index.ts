/**
 * The benchmark: runs suites, prints their tables, and writes their results. See README.md here.
 *
 *   npm run bench -- [suite...] [--series DIR]... [--runs N] [--sizes N] [--quick]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseOptions, USAGE, type BenchOptions, type SuiteName } from './options.ts';
import { inWorkDirectory } from './process/work-directory.ts';
import { printResult, writeResult } from './report/write-result.ts';
import type { Suite } from './suites/suite.ts';

const EXIT_USAGE = 2;

/** Loaded when run, so that a suite that cannot be loaded does not keep the others from running. */
const SUITES: Readonly<Record<SuiteName, () => Promise<Suite>>> = {
  peers: async () => (await import('./suites/peers.ts')).peers,
  long: async () => (await import('./suites/long.ts')).long,
  scale: async () => (await import('./suites/scale.ts')).scale,
  collect: async () => (await import('./suites/collect.ts')).collect,
  micro: async () => (await import('./suites/micro.ts')).micro,
  files: async () => (await import('./suites/files.ts')).files,
  seeds: async () => (await import('./suites/seeds.ts')).seeds,
};

async function runSuites(options: BenchOptions, directory: string): Promise<void> {
  for (const name of options.suites) {
    const suite = await SUITES[name]();
    const date = new Date();
    const { series, runs, quick, sizes } = options;
    const work = mkdtempSync(join(directory, `${name}-`));
    const say = (text: string): void => {
      const seconds = ((Date.now() - date.getTime()) / 1000).toFixed(0);
      console.error(`[${name}, ${seconds} s] ${text}`);
    };
    const result = await suite({ work, series, runs, quick, sizes, say });
    rmSync(work, { recursive: true, force: true });
    const circumstances = { suite: name, date, runs, quick };
    printResult(result, circumstances);
    const path = await writeResult(result, circumstances, options.output);
    console.log(`Written: ${path}.json, .svg`);
  }
}

function readCommandLine(): BenchOptions | undefined {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options === undefined) console.log(USAGE);
    return options;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exitCode = EXIT_USAGE;
    return undefined;
  }
}

const options = readCommandLine();
if (options !== undefined) await inWorkDirectory((directory) => runSuites(options, directory));
