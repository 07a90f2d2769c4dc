/**
 * One capture at a time on a timeline: from here to the commit, because the sequence number and
 * the parent's digest are inside the pack. Waiting is asynchronous and ends with the signal or
 * after a stated time.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sha256 } from '#digest';
import { toHex } from '../bytes/hex.ts';
import { takeLease, type Lease } from '../catalog/lease.ts';
import { StoreError, systemCode } from '../errors.ts';
import { monotonicMs } from './clock.ts';
import type { StoreContext } from './context.ts';

const FIRST_WAIT_MS = 2;
const LONGEST_WAIT_MS = 50;

/** Waits for the timeline. @throws StoreError LOCKED, ABORTED. */
export async function lockTimeline(
  context: StoreContext,
  timeline: string,
  signal: AbortSignal | undefined,
): Promise<Lease> {
  const path = lockFile(context, timeline);
  const deadline = monotonicMs() + context.settings.lockTimeoutMs;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    signal?.throwIfAborted();
    const lease = takeLease(path);
    if (lease !== undefined) return lease;
    if (monotonicMs() >= deadline) {
      const seconds = context.settings.lockTimeoutMs / 1000;
      const message = `another capture has held the timeline '${timeline}' for ${seconds} s`;
      throw new StoreError('LOCKED', message, { file: path });
    }
    await delay(waitMs, undefined, signal === undefined ? {} : { signal });
  }
}

/** The timeline's lock file, which is made when it is not there, and never removed. */
function lockFile(context: StoreContext, timeline: string): string {
  const digest = toHex(sha256(new TextEncoder().encode(timeline))).slice(0, 32);
  const path = join(context.layout.leases, `timeline-${digest}.lock`);
  try {
    context.files.close(context.files.open(path, 'create'));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  return path;
}
