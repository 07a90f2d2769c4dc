/**
 * This library: one child process captures the whole series, another restores the last snapshot.
 * Times are taken in the child around the calls; peak memory is the child's, runtime included.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { directoryBytes } from '../series.ts';
import type { Subject } from './subject.ts';

const CHILD = fileURLToPath(new URL('../child.ts', import.meta.url));

interface ChildResult {
  readonly milliseconds: number;
  readonly peakBytes: number;
}

/** The store, in-process. */
export const ours: Subject = {
  name: 'criu-timeline',
  isAvailable: () => true,
  measure: ({ series, snapshots, directory }) => {
    const store = join(directory, 'store');
    const images = snapshots.map((name) => join(series, name));
    const stored = runChild(['capture', store, ...images]);
    const keptBytes = directoryBytes(store);
    execFileSync('sync');
    const restored = runChild(['restore', store, join(directory, 'restored')]);
    return {
      storeMs: stored.milliseconds,
      restoreMs: restored.milliseconds,
      keptBytes,
      storePeakBytes: stored.peakBytes,
      restorePeakBytes: restored.peakBytes,
    };
  },
};

function runChild(parameters: readonly string[]): ChildResult {
  const command = ['--import', 'tsx', CHILD, ...parameters];
  const output = execFileSync(process.execPath, command, { encoding: 'utf8' });
  return JSON.parse(output) as ChildResult;
}
