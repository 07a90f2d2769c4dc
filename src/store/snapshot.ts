/** A snapshot, as users see it: its facts, and what can be done with it. Methods only bind. */
import { toHex } from '../bytes/hex.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import type { SnapshotKind } from '../manifest/manifest.ts';
import type { OperationOptions } from './context.ts';
import { describeSnapshot, type SnapshotDescription } from './describe.ts';
import type { ArchiveTarget, ExportOptions } from './export-archive.ts';
import type { Operations } from './operations.ts';
import { restore, type RestoreOptions, type RestoreReport } from './restore.ts';

/** How big a snapshot is. */
export interface SnapshotSizes {
  /** Of the image directory, as it is restored, and of the container's files, in whole pages. */
  readonly logical: { readonly bytes: number; readonly pages: number };
  /** What the store did not have before. */
  readonly new: { readonly bytes: number; readonly pages: number };
  /** What the capture added to the store's packs; `pages` are the same as the new ones. */
  readonly stored: { readonly bytes: number; readonly pages: number };
}

/** One stored moment of a container; immutable. */
export class Snapshot {
  readonly #operations: Operations;
  #row: SnapshotRow;

  /** @internal A store or timeline makes it. */
  constructor(operations: Operations, row: SnapshotRow) {
    this.#operations = operations;
    this.#row = row;
  }

  /** 26 characters of Crockford's base 32, sorted by the time of capture. */
  get id(): string {
    return this.#row.id;
  }

  /** Name of its timeline. */
  get timeline(): string {
    return this.#row.timelineName;
  }

  /** Position in the timeline, from 1. */
  get sequence(): number {
    return this.#row.sequence;
  }

  /** Whether it can be restored, or is only the parent of snapshots that can. */
  get kind(): SnapshotKind {
    return this.#row.kind;
  }

  /** When the container was frozen, as the capture was told. */
  get takenAt(): Date {
    return new Date(this.#row.takenAtMs);
  }

  /** SHA-256 of the logical content and of the parent's digest, in hex. */
  get digest(): string {
    return toHex(this.#row.digest);
  }

  /** Id of the snapshot that it continues; stays when that one is removed. */
  get parentId(): string | undefined {
    return this.#row.parentId;
  }

  /** CRIU's own id of the dump, since CRIU 4.1. */
  get criuRunId(): string | undefined {
    return this.#row.criuRunId;
  }

  /** What the capture was told to remember. */
  get labels(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#row.labels);
  }

  /** How big it is. */
  get sizes(): SnapshotSizes {
    const { logicalBytes, logicalPages, newPages, storedBytes } = this.#row;
    return {
      logical: { bytes: logicalBytes, pages: logicalPages },
      new: { bytes: newPages * PAGE_BYTES, pages: newPages },
      stored: { bytes: storedBytes, pages: newPages },
    };
  }

  /** Whether it is marked as removed. */
  get isRemoved(): boolean {
    return this.#row.removed;
  }

  /**
   * Rebuilds the image directory in `target`, which must be absent or an empty directory.
   *
   * @throws StoreError EXISTS, NOT_FOUND (no directory to restore into), CORRUPT, STORAGE,
   * ABORTED, CLOSED. Nothing is left behind.
   */
  async restore(target: string, options: RestoreOptions = {}): Promise<RestoreReport> {
    return await this.#operations.run(options, async (context) => {
      try {
        return await restore(context, this.#row, target, options);
      } catch (error) {
        throw error instanceof StoreError ? error.inSnapshot(this.id) : error;
      }
    });
  }

  /**
   * Writes the snapshot as an archive of the engine that it came from: member for member, and, not
   * compressed, byte for byte what was imported. A snapshot of plain directories becomes a tar of
   * them.
   *
   * @param target path of a new file, or a stream, which is ended.
   * @throws StoreError EXISTS, CORRUPT, STORAGE, ABORTED, CLOSED.
   */
  async export(target: ArchiveTarget, options: ExportOptions = {}): Promise<void> {
    await this.#operations.run(options, async (context) => {
      const { exportArchive } = await import('./export-archive.ts');
      await exportArchive(context, this.#row, target, options);
    });
  }

  /**
   * Lists the images and processes in it, without reading memory.
   *
   * @throws StoreError CORRUPT, CLOSED.
   */
  describe(): SnapshotDescription {
    return describeSnapshot(this.#operations.context, this.#row);
  }

  /**
   * Marks it as removed: it is no longer listed, and its space comes back with the next
   * collection. Snapshots that continue it stay whole.
   *
   * @throws StoreError READ_ONLY, ABORTED, CLOSED.
   */
  async remove(options: OperationOptions = {}): Promise<void> {
    await this.#setRemoved(true, options);
  }

  /**
   * Takes the mark back.
   *
   * @throws StoreError READ_ONLY, ABORTED, CLOSED.
   */
  async undelete(options: OperationOptions = {}): Promise<void> {
    await this.#setRemoved(false, options);
  }

  async #setRemoved(removed: boolean, options: OperationOptions): Promise<void> {
    await this.#operations.write(options, async (context) => {
      this.#row = await context.catalog.setRemoved(this.id, removed, options.signal);
    });
  }

  /** The facts, for printing as JSON. */
  toJSON(): object {
    const { id, timeline, sequence, kind, digest, parentId, criuRunId, labels, sizes } = this;
    const takenAt = this.takenAt.toISOString();
    const removed = this.isRemoved;
    return {
      id,
      timeline,
      sequence,
      kind,
      takenAt,
      digest,
      parentId,
      criuRunId,
      labels,
      sizes,
      removed,
    };
  }
}
