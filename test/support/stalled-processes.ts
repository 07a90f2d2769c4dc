/** Processes in pid namespaces of their own that stop in the middle of something: as root. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** What a process is told. */
export interface StalledTask {
  readonly directory: string;
  /** Where it stops; or what it does before it is idle. */
  readonly what: 'export' | 'capture' | 'idle';
  readonly snapshot: string;
  /** A directory for its files. */
  readonly work: string;
}

const NAMESPACE = ['--pid', '--fork', '--mount-proc', '--kill-child'];
const program = fileURLToPath(new URL('stalled-child.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

/** Whether pid namespaces can be made; says so loudly when not. */
export const canUnshare: boolean = tryUnshare();
if (!canUnshare) process.stderr.write('SKIPPED: no pid namespaces here, tests of leases in them\n');

function tryUnshare(): boolean {
  try {
    execFileSync('unshare', [...NAMESPACE, 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Starts a process in its own pid namespace, and waits until it has stopped; returns its end. */
export async function startStalled(task: StalledTask): Promise<() => Promise<void>> {
  const typescript = './test/support/typescript.mjs';
  const options = ['--import', typescript, '-C', '@criu-timeline/source', program];
  const child = spawn(
    'unshare',
    [...NAMESPACE, process.execPath, ...options, JSON.stringify(task)],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  let complaint = '';
  child.stderr.on('data', (chunk) => (complaint += String(chunk)));
  const closed = once(child, 'close');
  const failed = closed.then(() => Promise.reject(new Error(`it ended: ${complaint}`)));
  // Its end is expected later.
  failed.catch(() => undefined);
  await Promise.race([once(child.stdout, 'data'), failed]);
  return async () => {
    child.kill('SIGKILL');
    await closed;
  };
}
