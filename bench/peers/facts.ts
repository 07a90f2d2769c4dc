/** What is found out about a subject once, in runs that are not timed against others. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeImageDirectory } from '../generate/image-directory.ts';
import { fillPages } from '../generate/page-content.ts';
import { outputOf, runShell, type ShellCommand } from '../process/shell.ts';
import { durabilityCallsOf, peakOf, type Tracing } from '../process/trace.ts';
import type { Subject } from '../subjects/subject.ts';
import { newPlace } from './measure.ts';
import type { Series } from './series.ts';

/** Facts about a subject. */
export interface Facts {
  readonly version: string;
  /** What storing one dump of nothing takes: the start of its processes. */
  readonly startMs?: number;
  /** Peak resident memory of its largest process. */
  readonly storePeakBytes?: number;
  readonly restorePeakBytes?: number;
  /** fsync and the like, for one dump. */
  readonly durabilityCalls?: number;
}

const EMPTY_DUMPS = 3;

/** Finds out all facts. */
export async function findFacts(
  subject: Subject,
  series: Series,
  { work, tracing }: { work: string; tracing: Tracing },
): Promise<Facts> {
  const version = ((await outputOf(subject.version)) ?? 'unknown').trim();
  const root = join(work, 'facts');
  try {
    const startMs = subject.isInProcess === true ? undefined : await startOf(subject, root);
    const peaks = tracing.peak ? await peaksOf(subject, series, root) : {};
    const calls = tracing.durabilityCalls ? await callsOf(subject, series, root) : undefined;
    return {
      version,
      ...peaks,
      ...(startMs === undefined ? {} : { startMs }),
      ...(calls === undefined ? {} : { durabilityCalls: calls }),
    };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Milliseconds for a dump of one page, which is as little as there can be. */
async function startOf(subject: Subject, root: string): Promise<number> {
  const dumps = Array.from({ length: EMPTY_DUMPS }, (_, i) => {
    const name = `empty-${i}`;
    const path = join(root, name);
    writeImageDirectory(path, 1, (target, page) => fillPages(target, page, i));
    return { name, path };
  });
  const place = await newPlace(subject, join(root, 'start'));
  let milliseconds = 0;
  for (const command of subject.store(place, dumps)) {
    milliseconds += (await runShell(command)).milliseconds;
  }
  return milliseconds / EMPTY_DUMPS;
}

async function peaksOf(
  subject: Subject,
  { dumps }: Series,
  root: string,
): Promise<Pick<Facts, 'storePeakBytes' | 'restorePeakBytes'>> {
  const place = await newPlace(subject, join(root, 'peak'));
  const peak = async (commands: readonly ShellCommand[]): Promise<number> => {
    let most = 0;
    for (const command of commands) most = Math.max(most, await peakOf(command, root));
    return most;
  };
  const target = join(root, 'restored');
  return {
    storePeakBytes: await peak(subject.store(place, dumps)),
    restorePeakBytes: await peak(subject.restore(place, dumps, dumps.length - 1, target)),
  };
}

async function callsOf(subject: Subject, { dumps }: Series, root: string): Promise<number> {
  const place = await newPlace(subject, join(root, 'trace'));
  let calls = 0;
  for (const command of subject.store(place, dumps))
    calls += await durabilityCallsOf(command, root);
  return calls / dumps.length;
}
