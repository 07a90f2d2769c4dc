/** Real mounts for tests, taken away when the test is done. They need root. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Whether this process may mount; says so loudly when it may not. */
export const canMount: boolean = tryMount();
if (!canMount) process.stderr.write('SKIPPED: this process may not mount, tests with mounts\n');

/** Root in a container without CAP_SYS_ADMIN may not. */
function tryMount(): boolean {
  const path = mkdtempSync(join(tmpdir(), 'criu-timeline-test-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path], { stdio: 'ignore' });
    unmount(path);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(path);
  }
}

/** Mounts an empty file system of so many KiB in memory at `path`, which is made. */
export function mountMemory(path: string, kibibytes: number): void {
  mkdirSync(path, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', path]);
  onTestFinished(() => unmount(path));
}

/** Gives a file system in memory another size. */
export function resizeMemory(path: string, kibibytes: number): void {
  execFileSync('mount', ['-o', `remount,size=${kibibytes}k`, path]);
}

/** Mounts `source` at `target` as well. */
export function mountBind(source: string, target: string, options = 'rw'): void {
  mkdirSync(target, { recursive: true });
  execFileSync('mount', ['--bind', source, target]);
  onTestFinished(() => unmount(target));
  if (options !== 'rw') execFileSync('mount', ['-o', `remount,bind,${options}`, target]);
}

function unmount(path: string): void {
  execFileSync('umount', ['--lazy', path]);
}
