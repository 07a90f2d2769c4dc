/** A store, as users see it: the door to its timelines and snapshots. Methods only bind. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { nodeFiles } from '../files/node-files.ts';
import type { Files } from '../files/files.ts';
import type { RunningOperation } from './activity.ts';
import type { CollectOptions, CollectReport } from './collect-options.ts';
import { backup, type BackupReport } from './backup.ts';
import type { OperationOptions } from './context.ts';
import { resolveSnapshot, checkTimelineName } from './names.ts';
import { openStore } from './open-store.ts';
import { Operations } from './operations.ts';
import type { RepairOptions } from './repair.ts';
import type { RepairReport } from './repair-report.ts';
import { Snapshot } from './snapshot.ts';
import { Timeline } from './timeline.ts';
import { verify, type VerifyOptions, type VerifyReport } from './verify.ts';

/** How to open a store. */
export interface OpenOptions {
  /** Makes a new store when there is none; the directory must then be absent or empty. */
  readonly create?: boolean | undefined;
  /**
   * Takes no lease and writes nothing, so that the store may be on read-only media. It sees the
   * store as it was when it was opened; what needs what a collection has moved since is INCOMPLETE.
   */
  readonly readOnly?: boolean | undefined;
  /** Bytes of memory for what has been read of packs; 64 MiB by default. */
  readonly cacheBytes?: number | undefined;
  /**
   * Bytes of memory for pages that the next capture of the same timeline is compared with; 96 MiB
   * by default, 0 for a process that captures only once. It is taken from the system as it is
   * needed, and given back when the store is closed.
   */
  readonly warmBytes?: number | undefined;
  /** zstd's level for pages, 1 (default) to 19. */
  readonly compressionLevel?: number | undefined;
  /**
   * Deltas that a page may stand on, 16 by default: more keep less, and read slower. With 0, pages
   * are only kept in full.
   */
  readonly maxDeltaDepth?: number | undefined;
  /**
   * Threads that work for captures and restores; 0 for none. By default one for each core, which
   * start with the second operation, or with the first on the container's files or on so much that
   * they are worth the time that they take to start. A number that is given starts at once.
   */
  readonly workers?: number | undefined;
  /** How long a capture waits for another one of the same timeline; a minute by default. */
  readonly lockTimeoutMs?: number | undefined;
  /** Allows network and user-space file systems, on which SQLite is not safe. */
  readonly anyFileSystem?: boolean | undefined;
  /** @internal The file system; another one than Node's is for tests. */
  readonly files?: Files | undefined;
}

/** How much a store holds. */
export interface StoreStatistics {
  readonly timelines: number;
  readonly snapshots: number;
  /** Marked as removed, and still there. */
  readonly removedSnapshots: number;
  /** Bytes of all image directories, as they would be restored. */
  readonly logicalBytes: number;
  readonly packs: number;
  /** Bytes of all packs. */
  readonly storedBytes: number;
  /** Distinct pages in the packs. */
  readonly pages: number;
  /** Bytes of the compressed pages in them; the rest are digests, tables and manifests. */
  readonly frameBytes: number;
  /** Raised by every collection. */
  readonly generation: number;
}

const DEFAULT_CACHE_BYTES = 64 * 1024 * 1024;
const DEFAULT_WARM_BYTES = 96 * 1024 * 1024;
const DEFAULT_LOCK_TIMEOUT_MS = 60_000;
const MAX_COMPRESSION_LEVEL = 19;
const DEFAULT_DELTA_DEPTH = 16;
const MAX_DELTA_DEPTH = 64;
const MAX_WORKERS = 64;
/**
 * What is done by two threads of a new process in the time that one needs who is there already:
 * the restore of 84 MB takes 490 to 600 ms with two workers, and 390 to 430 without.
 */
const WORKERS_FROM_BYTES = 128 * 1024 * 1024;
const MAX_WARM_BYTES = 2 ** 30;

/**
 * A store of checkpoints.
 *
 * @example
 * ```ts
 * import { SnapshotStore } from 'criu-timeline';
 *
 * const store = await SnapshotStore.open('/var/lib/checkpoints', { create: true });
 * const snapshot = await store.timeline('web-1').capture({ images: '/run/dump' });
 * await snapshot.restore('/run/restore');
 * await store.close();
 * ```
 */
export class SnapshotStore {
  /** The store's directory, absolute. */
  readonly directory: string;
  readonly #operations: Operations;

  private constructor(operations: Operations) {
    this.#operations = operations;
    this.directory = operations.context.layout.directory;
  }

  /**
   * Opens a store.
   *
   * @throws StoreError NOT_FOUND, EXISTS (create, and something else is there), CORRUPT,
   * UNSUPPORTED_VERSION, STORAGE; RangeError for options out of range.
   */
  static async open(directory: string, options: OpenOptions = {}): Promise<SnapshotStore> {
    if (typeof directory !== 'string' || directory === '') {
      throw new TypeError('the directory of a store is a path');
    }
    const { create = false, readOnly = false, anyFileSystem = false } = options;
    if (create && readOnly) throw new TypeError('a store cannot be created for reading only');
    const settings = {
      create,
      readOnly,
      anyFileSystem,
      files: options.files ?? nodeFiles,
      cacheBytes: wholeNumber('cacheBytes', options.cacheBytes ?? DEFAULT_CACHE_BYTES, 0),
      warmBytes: wholeNumber(
        'warmBytes',
        options.warmBytes ?? DEFAULT_WARM_BYTES,
        0,
        MAX_WARM_BYTES,
      ),
      lockTimeoutMs: wholeNumber(
        'lockTimeoutMs',
        options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS,
        0,
      ),
      compressionLevel: wholeNumber(
        'compressionLevel',
        options.compressionLevel ?? 1,
        1,
        MAX_COMPRESSION_LEVEL,
      ),
      maxDeltaDepth: wholeNumber(
        'maxDeltaDepth',
        options.maxDeltaDepth ?? DEFAULT_DELTA_DEPTH,
        0,
        MAX_DELTA_DEPTH,
      ),
      workers: wholeNumber('workers', options.workers ?? defaultWorkers(), 0, MAX_WORKERS),
      workersFromBytes: options.workers === undefined ? WORKERS_FROM_BYTES : 0,
    };
    const path = resolve(directory);
    const reopen = () => openStore(path, { ...settings, create: false });
    return new SnapshotStore(new Operations(await openStore(path, settings), reopen));
  }

  /**
   * A timeline by name; it exists from its first capture on.
   *
   * @throws TypeError when the name has other characters than letters, digits and `._:-/`.
   */
  timeline(name: string): Timeline {
    checkTimelineName(name);
    return new Timeline(this.#operations, name);
  }

  /** All timelines, by name. */
  timelines(): Timeline[] {
    const names = this.#operations.context.catalog.timelineNames();
    return names.map((name) => new Timeline(this.#operations, name));
  }

  /**
   * A snapshot by its id, a unique prefix of that (8 characters or more), `TIMELINE` (its newest
   * restorable one), `TIMELINE@7` (sequence) or `TIMELINE@2026-11-21T10:00:00Z` (the greatest time
   * not after it). By id or sequence, removed ones are found too.
   *
   * @throws StoreError NOT_FOUND, CLOSED.
   */
  snapshot(reference: string): Snapshot {
    const row = resolveSnapshot(this.#operations.context.catalog, reference);
    return new Snapshot(this.#operations, row);
  }

  /**
   * Reads the whole store and lists everything that is damaged.
   *
   * @throws StoreError ABORTED, CLOSED. Damage is not thrown, but reported.
   */
  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    return await this.#operations.run(options, (context) => verify(context, options));
  }

  /**
   * Gives back the space of snapshots that have been removed, beside whatever else runs. It may be
   * stopped or killed at any time: the next one goes on. Snapshots that are marked as removed can
   * no longer be undeleted once it has begun.
   *
   * Where a snapshot is so damaged that nobody can tell what it needs, everything stays that it
   * might need, until it is removed or repaired; the report says so.
   *
   * @throws StoreError CORRUPT (the catalog is damaged), LOCKED (another collection runs),
   * READ_ONLY, STORAGE, ABORTED, CLOSED.
   */
  async collect(options: CollectOptions = {}): Promise<CollectReport> {
    return await this.#operations.write(options, async (context, operation) => {
      const { collect } = await import('./collect.ts');
      return await collect(context, operation as RunningOperation, options);
    });
  }

  /**
   * Copies the whole store into another directory, which is a store itself then: a new one, or one
   * that holds an earlier backup of this store, of which only what is new is copied. Captures may
   * run meanwhile. Until it is done, the earlier backup is what the directory holds; one that was
   * cut off is continued by the next. Damage is reported, and does not stop it.
   *
   * @throws StoreError EXISTS when the target is something else, or has snapshots of its own;
   * LOCKED while somebody has opened it; NOT_FOUND, ABORTED, CLOSED, STORAGE.
   */
  async backup(target: string, options: OperationOptions = {}): Promise<BackupReport> {
    return await this.#operations.run(options, (context) => backup(context, target, options));
  }

  /**
   * Repairs a store that cannot be opened, or that `verify` finds damaged: a catalog that is
   * missing or damaged is built anew from the packs, packs that the catalog does not know are
   * adopted, and what cannot be read is moved to the store's `damaged/`. What is lost is reported.
   *
   * A removal, pin or note that is in no pack yet is lost with the catalog that had it. Where a
   * backup has a pack that was moved away, put it back and repair again before the next collection,
   * which does not know what the pages of that pack stood on.
   *
   * @throws StoreError NOT_FOUND, LOCKED (somebody has it open), UNSUPPORTED_VERSION, STORAGE,
   * ABORTED.
   */
  static async repair(directory: string, options: RepairOptions = {}): Promise<RepairReport> {
    const { repairStore } = await import('./repair.ts');
    return await repairStore(directory, options);
  }

  /**
   * The same for this store, which is closed meanwhile, and opened again. If that fails, it stays
   * closed.
   *
   * @throws StoreError LOCKED (another handle has it open), READ_ONLY, STORAGE, ABORTED, CLOSED.
   */
  async repair(options: RepairOptions = {}): Promise<RepairReport> {
    const { files } = this.#operations.context;
    const work = async () => {
      const { repairStore } = await import('./repair.ts');
      return await repairStore(this.directory, { files, ...options });
    };
    if (options.dryRun === true) return await this.#operations.run(options, work);
    return await this.#operations.alone(options, work);
  }

  /** How much the store holds. */
  statistics(): StoreStatistics {
    const { packBytes, ...totals } = this.#operations.context.catalog.totals();
    return { ...totals, storedBytes: packBytes };
  }

  /** Waits for what is running, and closes the store. Closing twice is closing once. */
  async close(): Promise<void> {
    await this.#operations.close();
  }

  /** Closes the store at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function defaultWorkers(): number {
  return Math.min(availableParallelism(), MAX_WORKERS);
}

function wholeNumber(name: string, value: number, minimum: number, maximum = 2 ** 32): number {
  if (typeof value !== 'number') throw new TypeError(`${name} is not a number`);
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw new RangeError(`${name} is ${value}, not a whole number from ${minimum} to ${maximum}`);
}
