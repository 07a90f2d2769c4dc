/** Real mounts for tests, taken away when the test is done. They need root. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { onTestFinished } from 'vitest';

/** Whether this process may mount; says so loudly when it may not. */
export const canMount: boolean = process.getuid?.() === 0;
if (!canMount) process.stderr.write('SKIPPED: tests with real mounts must be run as root\n');

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
