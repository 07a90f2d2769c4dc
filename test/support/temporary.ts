/** A directory for one test file, removed when its tests are done. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** Returns a function that names a new path in the directory at each call. */
export function temporaryPaths(): () => string {
  const root = mkdtempSync(join(tmpdir(), 'criu-timeline-test-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let count = 0;
  return () => join(root, String(++count));
}
