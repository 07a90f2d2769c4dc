/** Builds the package once for all tests of its command, unless it is built from these sources. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LOCK = join(ROOT, 'node_modules', '.criu-timeline-build');
/** A build takes some ten seconds; a lock that is older was left by a process that was killed. */
const STALE_MS = 120_000;
let isBuilt = false;

/** Makes `dist` what the sources say; other test processes wait for the one that builds. */
export function ensureBuilt(): void {
  if (isBuilt) return;
  while (!takeLock()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  try {
    if (isStale()) execFileSync('npm', ['run', 'build'], { cwd: ROOT, stdio: 'pipe' });
    isBuilt = true;
  } finally {
    rmdirSync(LOCK);
  }
}

function takeLock(): boolean {
  try {
    mkdirSync(LOCK);
    return true;
  } catch {
    const age = Date.now() - (statSync(LOCK, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > STALE_MS) rmdirSync(LOCK);
    return false;
  }
}

function isStale(): boolean {
  const main = join(ROOT, 'dist/cli/main.js');
  if (!existsSync(main)) return true;
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const built = statSync(main).mtimeMs;
  const others = [join(ROOT, 'tsconfig.json'), join(ROOT, 'package.json')];
  return [...sources, ...others].some((file) => statSync(file).mtimeMs > built);
}
