/**
 * The staging area of one open store: a directory for unfinished work that belongs to a lease.
 *
 * Order at opening: lease file, its lock, the activity's file, the directory. Order of removal, by
 * the owner or by whoever takes the lease of a dead process: the directory, the activity's file,
 * the lease file. So a directory
 * whose lease file is gone, or whose lease can be taken, is nobody's.
 */
import { join } from 'node:path';
import { takeLease, type Lease } from '../catalog/lease.ts';
import type { Files } from '../files/files.ts';
import { exists } from '../files/transfer.ts';
import { newName } from './clock.ts';
import type { StoreLayout } from './layout.ts';

const LEASE_SUFFIX = '.lease';

/** This process's claim on the store, and its unfinished work. */
export class StagingArea {
  /** Name of the lease. */
  readonly name: string;
  readonly #files: Files;
  readonly #layout: StoreLayout;
  readonly #lease: Lease;
  #nextFile = 1;

  private constructor(files: Files, layout: StoreLayout, name: string, lease: Lease) {
    this.#files = files;
    this.#layout = layout;
    this.name = name;
    this.#lease = lease;
  }

  /** Takes a new lease and makes its directory. @throws StoreError STORAGE. */
  static open(files: Files, layout: StoreLayout): StagingArea {
    const { name, lease } = takeNewLease(files, layout);
    try {
      files.close(files.open(layout.activityFile(name), 'create'));
      files.mkdir(layout.stagingDirectory(name), 0o700);
      return new StagingArea(files, layout, name, lease);
    } catch (error) {
      lease.release();
      for (const path of [layout.activityFile(name), layout.leaseFile(name)]) {
        files.removeTree(path);
      }
      throw error;
    }
  }

  /** A path for a new file. */
  newPath(suffix: string): string {
    const number = this.#nextFile++;
    return join(this.#layout.stagingDirectory(this.name), `${number}${suffix}`);
  }

  /** Removes the directory and gives the lease back. */
  close(): void {
    try {
      removeStaging(this.#files, this.#layout, this.name);
    } finally {
      this.#lease.release();
    }
  }
}

function takeNewLease(files: Files, layout: StoreLayout): { name: string; lease: Lease } {
  for (;;) {
    const name = newName();
    const path = layout.leaseFile(name);
    files.close(files.open(path, 'create'));
    const lease = takeUnlessGone(files, path);
    if (lease !== undefined) return { name, lease };
  }
}

/** Between our creating and our locking, a clean-up may lock, and remove, the file: once more. */
function takeUnlessGone(files: Files, path: string): Lease | undefined {
  let lease: Lease | undefined;
  try {
    lease = takeLease(path);
    if (lease !== undefined && exists(files, path)) return lease;
    lease?.release();
    return undefined;
  } catch (error) {
    lease?.release();
    if (!exists(files, path)) return undefined;
    files.removeTree(path);
    throw error;
  }
}

function removeStaging(files: Files, layout: StoreLayout, name: string): void {
  const directory = layout.stagingDirectory(name);
  if (exists(files, directory)) {
    // Mostly there is nothing left in it, and a whole library would be loaded to remove that.
    if (files.list(directory).length === 0) files.rmdir(directory);
    else files.removeTree(directory);
  }
  for (const path of [layout.activityFile(name), layout.leaseFile(name)]) {
    if (exists(files, path)) files.unlink(path);
  }
}

/**
 * Removes what dead processes left behind. What belongs to living ones stays: their leases cannot
 * be taken.
 */
export function clearDeadStaging(files: Files, layout: StoreLayout, own: string): void {
  // Directories are listed before leases are looked at: a lease file is older than its directory.
  const directories = files.list(layout.staging).map((name) => name.toString());
  const leases = files
    .list(layout.leases)
    .map((name) => name.toString())
    .filter((name) => name.endsWith(LEASE_SUFFIX))
    .map((name) => name.slice(0, -LEASE_SUFFIX.length));
  for (const name of new Set([...directories, ...leases])) {
    if (name !== own) clearIfDead(files, layout, name);
  }
}

function clearIfDead(files: Files, layout: StoreLayout, name: string): void {
  const path = layout.leaseFile(name);
  let lease: Lease | undefined;
  try {
    if (exists(files, path)) lease = takeLease(path);
    if (lease === undefined && exists(files, path)) return;
    removeStaging(files, layout, name);
  } catch {
    // What a dead process left must not keep a living one from opening; the next one tries again.
  } finally {
    lease?.release();
  }
}
