/**
 * Who repairs a store is alone with it. It takes leases/repair.lock and then looks for leases that
 * are held; whoever opens the store takes a lease and then looks for that lock: one of two sees the
 * other. Looking is done with a lock that any number may have, so that it is in nobody's way.
 */
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isLeaseHeld, takeLease, type Lease } from '../catalog/lease.ts';
import { StoreError, systemCode } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { exists } from '../files/transfer.ts';
import { monotonicMs } from './clock.ts';
import type { StoreLayout } from './layout.ts';
import type { StagingArea } from './staging.ts';

/** Whoever opens the store asks for the lock, and has it for some 0.1 ms. */
const LOCK_TIMEOUT_MS = 1000;
const RETRY_MS = 2;

/** Makes sure that nobody else is here. @throws StoreError LOCKED, ABORTED. */
export async function lockStore(
  files: Files,
  layout: StoreLayout,
  staging: StagingArea,
  signal: AbortSignal | undefined,
): Promise<Lease> {
  const { repairLock: file } = layout;
  try {
    files.close(files.open(file, 'create'));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  const deadline = monotonicMs() + LOCK_TIMEOUT_MS;
  let lock = takeLease(file);
  while (lock === undefined) {
    if (monotonicMs() >= deadline) {
      throw new StoreError('LOCKED', 'another process repairs the store', { file });
    }
    await delay(RETRY_MS, undefined, signal === undefined ? {} : { signal });
    lock = takeLease(file);
  }
  let other: string | undefined;
  try {
    other = findOther(files, layout, staging);
  } catch (error) {
    lock.release();
    throw error;
  }
  if (other === undefined) return lock;
  lock.release();
  const message = 'the store is open, in this or another process: close it first';
  throw new StoreError('LOCKED', message, { file: other });
}

/** After the lock: whoever opens the store now sees it, or is seen here. */
function findOther(files: Files, layout: StoreLayout, staging: StagingArea): string | undefined {
  const own = layout.leaseFile(staging.name);
  return files
    .list(layout.leases)
    .map((name) => layout.leaseFile(basename(name.toString(), '.lease')))
    .find((path) => path !== own && exists(files, path) && isLeaseHeld(path));
}

/** For whoever opens a store. @throws StoreError LOCKED while it is repaired. */
export function checkNoRepair(files: Files, layout: StoreLayout): void {
  const { repairLock: file } = layout;
  if (!exists(files, file) || !isLeaseHeld(file)) return;
  const message = 'the store is being repaired, or a backup is being written to it';
  throw new StoreError('LOCKED', message, { file });
}
