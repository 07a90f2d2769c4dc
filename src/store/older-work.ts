/**
 * Whether work is going on that began before some generation, in any process: what such work may
 * still use must stay. Asked of the kernel's locks, never of process ids or clocks.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { takeLease } from '../catalog/lease.ts';
import { StoreError } from '../errors.ts';
import { exists } from '../files/transfer.ts';
import type { RunningOperation } from './activity.ts';
import { monotonicMs } from './clock.ts';
import { writableStaging, type StoreContext } from './context.ts';
import { ACTIVITY_SUFFIX } from './layout.ts';

const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 50;

/** Waits until no operation but `own` runs that is older, or time is up; says which it was. */
export async function awaitOlderWork(
  context: StoreContext,
  own: RunningOperation,
  generation: number,
  until: { readonly deadlineMs: number; readonly signal: AbortSignal | undefined },
): Promise<boolean> {
  const { deadlineMs, signal } = until;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    signal?.throwIfAborted();
    if (!hasOlderWork(context, own, generation)) return true;
    if (monotonicMs() >= deadlineMs) return false;
    await delay(waitMs, undefined, signal === undefined ? {} : { signal });
  }
}

/** Whether an operation but `own` runs that began before a generation. */
export function hasOlderWork(
  context: StoreContext,
  own: RunningOperation,
  generation: number,
): boolean {
  const { files, layout, catalog } = context;
  const staging = writableStaging(context);
  const oldest = context.activity?.oldestBut(own);
  if (oldest !== undefined && oldest < generation) return true;
  // The files, not the rows: a row may be missing, the lock of a handle at work is not.
  const names = files.list(layout.leases).map((name) => name.toString());
  return names
    .filter((name) => name.endsWith(ACTIVITY_SUFFIX))
    .map((name) => name.slice(0, -ACTIVITY_SUFFIX.length))
    .filter((lease) => lease !== staging.name)
    .some((lease) => {
      const registered = catalog.leaseGeneration(lease) ?? 0;
      return registered < generation && isAtWork(context, lease);
    });
}

function isAtWork({ files, layout }: StoreContext, lease: string): boolean {
  const path = layout.activityFile(lease);
  try {
    const lock = takeLease(path);
    lock?.release();
    return lock === undefined;
  } catch (error) {
    // Closed meanwhile.
    if (error instanceof StoreError && !exists(files, path)) return false;
    throw error;
  }
}
