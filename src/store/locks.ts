/**
 * Who works alone: one capture at a time on a timeline, from before its sequence number is known to
 * the commit, because that and the parent's digest are inside the pack; and one collection at a
 * time. Waiting is asynchronous and ends with the signal or after a stated time.
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
  const digest = toHex(sha256(new TextEncoder().encode(timeline))).slice(0, 32);
  const whose = `another capture has held the timeline '${timeline}'`;
  return await lock(context, { name: `timeline-${digest}`, whose }, signal);
}

/** Waits for other collections. @throws StoreError LOCKED, ABORTED. */
export async function lockCollection(
  context: StoreContext,
  signal: AbortSignal | undefined,
): Promise<Lease> {
  const whose = 'another collection has been running';
  return await lock(context, { name: 'collection', whose }, signal);
}

async function lock(
  context: StoreContext,
  { name, whose }: { readonly name: string; readonly whose: string },
  signal: AbortSignal | undefined,
): Promise<Lease> {
  const path = lockFile(context, name);
  const deadline = monotonicMs() + context.settings.lockTimeoutMs;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    signal?.throwIfAborted();
    const lease = takeLease(path);
    if (lease !== undefined) return lease;
    if (monotonicMs() >= deadline) {
      const message = `${whose} for ${context.settings.lockTimeoutMs / 1000} s`;
      throw new StoreError('LOCKED', message, { file: path });
    }
    await delay(waitMs, undefined, signal === undefined ? {} : { signal });
  }
}

/** The lock's file, which is made when it is not there, and never removed. */
function lockFile(context: StoreContext, name: string): string {
  const path = join(context.layout.leases, `${name}.lock`);
  try {
    context.files.close(context.files.open(path, 'create'));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  return path;
}
