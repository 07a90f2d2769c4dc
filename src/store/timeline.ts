/** A timeline, as users see it: the ordered snapshots of one container. Methods only bind. */
import type { RetentionPolicy } from '../retention/policy.ts';
import { capture } from './capture.ts';
import type { CaptureSource } from './capture-source.ts';
import type { OperationOptions } from './context.ts';
import type { Operations } from './operations.ts';
import type { ArchiveInput, ImportOptions } from './import-archive.ts';
import { prune, type PruneOptions, type PruneReport } from './prune.ts';
import { Snapshot } from './snapshot.ts';

/** What a list takes. */
export interface ListOptions {
  /** Lists the snapshots that are marked as removed instead of the others. */
  readonly removed?: boolean | undefined;
}

/** The ordered snapshots of one container; it exists from its first capture on. */
export class Timeline {
  /** Letters, digits and `._:-/`. */
  readonly name: string;
  readonly #operations: Operations;

  /** @internal A store makes it. */
  constructor(operations: Operations, name: string) {
    this.#operations = operations;
    this.name = name;
  }

  /**
   * Stores an image directory as the next snapshot. When this returns, the snapshot survives a
   * power loss; the directory may be deleted. Captures of one timeline wait for each other.
   *
   * @throws StoreError NOT_FOUND, INVALID_IMAGE, UNSUPPORTED_IMAGE, INCOMPLETE (the directory
   * changed, or lacks its parent), LOCKED, STORAGE, READ_ONLY, ABORTED, CLOSED. The store is then
   * as it was.
   */
  async capture(source: CaptureSource, options: OperationOptions = {}): Promise<Snapshot> {
    return await this.#operations.write(options, async (context) => {
      const row = await capture(context, this.name, source, options);
      return new Snapshot(this.#operations, row);
    });
  }

  /**
   * Stores a checkpoint archive of podman, CRI-O or containerd (tar, gzip or zstd, told by what is
   * in it), or a checkpoint directory of Docker or runc, as the next snapshot. Labels that the
   * archive knows are added: those of its container, pod, image and engine.
   *
   * @param archive path of a file or directory, or a stream of bytes, read once.
   * @throws StoreError like `capture`; INVALID_IMAGE names what is wrong with an archive,
   * UNSUPPORTED_IMAGE the limit that it passes. The store is then as it was.
   */
  async import(archive: ArchiveInput, options: ImportOptions = {}): Promise<Snapshot> {
    return await this.#operations.write(options, async (context) => {
      // Only here: what takes archives apart is half as much code again as all the rest.
      const { importArchive } = await import('./import-archive.ts');
      const row = await importArchive(context, this.name, archive, options);
      return new Snapshot(this.#operations, row);
    });
  }

  /** The snapshots by sequence; those marked as removed only if asked for. */
  list({ removed = false }: ListOptions = {}): Snapshot[] {
    const { catalog } = this.#operations.context;
    const rows = catalog.snapshots.ofTimeline(this.name, removed);
    return rows.map((row) => new Snapshot(this.#operations, row));
  }

  /** The newest restorable snapshot, if there is one. */
  latest(): Snapshot | undefined {
    const row = this.#operations.context.catalog.snapshots.latest(this.name);
    return row && new Snapshot(this.#operations, row);
  }

  /** The restorable snapshot with the greatest time not after `date`, ties by sequence. */
  at(date: Date): Snapshot | undefined {
    if (Number.isNaN(date.getTime())) throw new TypeError('not a valid Date');
    const row = this.#operations.context.catalog.snapshots.at(this.name, date.getTime());
    return row && new Snapshot(this.#operations, row);
  }

  /**
   * Marks as removed what no rule of a policy keeps, all in one transaction; never a snapshot that
   * is pinned, nor the newest restorable one. The report says why each is kept or removed. What
   * snapshots of other timelines continue from counts as if they did not: they stay whole.
   *
   * @example
   * ```ts
   * import { SnapshotStore } from 'criu-timeline';
   *
   * const store = await SnapshotStore.open('/var/lib/checkpoints');
   * const policy = { keepLast: 10, keepHourly: 24, keepDaily: '1mo', maxBytes: 10e9 };
   * const { removed } = await store.timeline('web-1').prune(policy, { dryRun: true });
   * for (const { id, reasons } of removed) console.log(id, reasons);
   * ```
   * @throws TypeError, RangeError naming the option of a policy that makes no sense; StoreError
   * READ_ONLY unless it is a dry run, CORRUPT, STORAGE, ABORTED, CLOSED. Then none is removed.
   */
  async prune(policy: RetentionPolicy, options: PruneOptions = {}): Promise<PruneReport> {
    const access = options.dryRun === true ? 'runOnRows' : 'writeRows';
    return await this.#operations[access](options, (context) =>
      prune(context, this.name, policy, options),
    );
  }
}
