/** A directory for one test file, removed when its tests are done. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** Returns a function that names a new path in the directory at each call. */
export function temporaryPaths(): () => string {
  return pathsIn(tmpdir());
}

const MEMORY = '/dev/shm';

/** The same in memory where there is room, for tests that sync thousands of times. */
export function memoryPaths(): () => string {
  return pathsIn(existsSync(MEMORY) ? MEMORY : tmpdir());
}

function pathsIn(parent: string): () => string {
  const root = mkdtempSync(join(parent, 'criu-timeline-test-'));
  // Hundreds of thousands of files take minutes to remove on a busy disk.
  afterAll(() => rmSync(root, { recursive: true, force: true }), 600_000);
  let count = 0;
  return () => join(root, String(++count));
}
