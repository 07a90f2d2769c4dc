/**
 * The directory in which a run of the benchmark does everything, and its end: it is removed when
 * the work is done, when it fails, and on SIGINT, SIGTERM and SIGHUP.
 */
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killRunning } from './shell.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const INTERRUPTED = 130;

/** Makes a directory below the system's temporary one, works in it, and removes it. */
export async function inWorkDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'criu-timeline-bench-'));
  const clean = (): void => {
    killRunning();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  const stop = (): void => {
    clean();
    process.exit(INTERRUPTED);
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    await work(directory);
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
    clean();
  }
}

/** Bytes that can still be written at a path. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}
