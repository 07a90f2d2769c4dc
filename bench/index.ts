/**
 * The benchmark: stores a series of image directories with this library and with what users would
 * pick instead, restores the newest, and prints times, throughput, kept bytes and ratios.
 *
 *   npm run bench -- [--series DIR] [--runs N]
 *
 * DIR holds the image directories of one series, which sort in the order they were taken; without
 * it the small dumps of test/fixtures are used, which say little about speed. Subjects alternate,
 * each works in a child process, `sync` runs between them outside the timing, and what a subject
 * wrote stays until the run ends. Writing to memory that the kernel has just reclaimed is several
 * times faster than to memory that nobody has used yet, so where a subject takes 30 ms, a ratio of
 * restores says as much of that as of the subject; the order rotates to spread it. The median and
 * the spread are printed: on a shared machine, the ratios of one run say more than the times.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fixture, unpackFixtures } from '../test/support/fixtures.ts';
import { directoryBytes, warmUp } from './series.ts';
import { cpA } from './subjects/cp-a.ts';
import { ours } from './subjects/ours.ts';
import { restic } from './subjects/restic.ts';
import type { Measurement, Subject } from './subjects/subject.ts';
import { tarZstd } from './subjects/tar-zstd.ts';
import { printTable } from './table.ts';

const { values } = parseArgs({
  options: { series: { type: 'string' }, runs: { type: 'string', default: '3' } },
});

async function main(): Promise<void> {
  const series = await findSeries();
  const snapshots = readdirSync(series).sort();
  const logicalBytes = directoryBytes(series);
  const subjects = [ours, cpA, tarZstd, restic].filter((subject) => subject.isAvailable());
  const results = new Map<string, Measurement[]>(subjects.map(({ name }) => [name, []]));
  for (let run = 0; run < Number(values.runs); run++) {
    const work = mkdtempSync(join(tmpdir(), 'criu-timeline-bench-'));
    try {
      warmUp(series);
      // Each run begins with another one: the first to write meets memory that nobody has used yet.
      const first = run % subjects.length;
      for (const subject of [...subjects.slice(first), ...subjects.slice(0, first)]) {
        execFileSync('sync');
        results.get(subject.name)?.push(measure(subject, series, snapshots, work));
      }
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  printTable({ series, snapshots: snapshots.length, logicalBytes, results });
}

async function findSeries(): Promise<string> {
  if (values.series !== undefined) return resolve(values.series);
  console.log('No --series: using the small fixtures, 3 dumps of 2.7 MB, too few for speed.');
  await unpackFixtures();
  return fixture('zoo-4.2');
}

function measure(
  subject: Subject,
  series: string,
  snapshots: readonly string[],
  work: string,
): Measurement {
  const directory = join(work, subject.name.replaceAll(/\W+/g, '-'));
  execFileSync('mkdir', ['-p', directory]);
  return subject.measure({ series, snapshots, directory });
}

await main();
