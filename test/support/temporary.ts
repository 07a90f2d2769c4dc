/** A directory for one test file, removed when its tests are done. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** Returns a function that names a new path in the directory at each call. */
export function temporaryPaths(): () => string {
  const root = mkdtempSync(join(tmpdir(), 'criu-timeline-test-'));
  // Hundreds of thousands of files take minutes to remove on a busy disk.
  afterAll(() => rmSync(root, { recursive: true, force: true }), 600_000);
  let count = 0;
  return () => join(root, String(++count));
}
