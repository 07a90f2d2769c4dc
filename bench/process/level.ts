/**
 * The state in which every timed command begins: everything written is on the disk, and there is
 * memory that was in use a moment ago.
 *
 * In a virtual machine, memory that was never used can be many times slower to write to than memory
 * that the kernel has just got back: copies of 90 MB were seen to take 250 ms and 40. The kernel
 * hands out first what it got back last, so half a gigabyte, more than a restore takes for its
 * files and itself, is enough: 0.1 s on a quiet machine, one to two seconds on a busy one.
 */
import { rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { runShell } from './shell.ts';

const MEBIBYTES = 512;

/**
 * Brings the machine into that state; writes and removes a file in `directory`.
 *
 * @returns MB/s of that writing: thousands on a quiet machine whose memory was used before. Some
 * hundreds mean fresh memory, or a machine that is busy: the number does not tell which.
 */
export async function level(directory: string): Promise<number> {
  await runShell({ line: 'sync', cwd: '/' });
  const most = Math.floor(os.freemem() / 2 ** 20 / 4);
  const count = Math.min(MEBIBYTES, most);
  const variables = { FILE: join(directory, 'level'), COUNT: String(count) };
  const line = 'dd if=/dev/zero of="$FILE" bs=1M count="$COUNT" status=none';
  try {
    const { milliseconds } = await runShell({ line, cwd: '/', variables });
    return (count * 2 ** 20) / 1000 / milliseconds;
  } finally {
    // Before any of it gets to the disk, and at once before what is timed.
    rmSync(variables.FILE, { force: true });
  }
}
