/** A snapshot, as users see it: its facts, and what can be done with it. Methods only bind. */
import { toHex } from '../bytes/hex.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import type { ListedSnapshot, SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import type { SnapshotState } from '../catalog/snapshot-table.ts';
import { MAX_TEXT_BYTES, type SnapshotKind } from '../manifest/manifest.ts';
import type { OperationOptions, StoreContext } from './context.ts';
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
  #row: ListedSnapshot;

  /** @internal A store or timeline makes it. */
  constructor(operations: Operations, row: ListedSnapshot) {
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

  /** Whether it is pinned: no policy removes it. */
  get isPinned(): boolean {
    return this.#row.pinned;
  }

  /** The text that was attached to it; empty when there is none. */
  get noteText(): string {
    return this.#row.note;
  }

  /** Whether it is marked as removed. */
  get isRemoved(): boolean {
    return this.#row.removed;
  }

  /**
   * Rebuilds the image directory in `target`, which must be absent or an empty directory.
   *
   * @throws StoreError EXISTS, NOT_FOUND (no directory to restore into, or the snapshot is gone),
   * CORRUPT, STORAGE, ABORTED, CLOSED. Nothing is left behind.
   */
  async restore(target: string, options: RestoreOptions = {}): Promise<RestoreReport> {
    return await this.#operations.run(options, async (context) => {
      try {
        return await restore(context, this.#current(context), target, options);
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
      await exportArchive(context, this.#current(context), target, options);
    });
  }

  /**
   * Lists the images and processes in it, without reading memory.
   *
   * @throws StoreError CORRUPT, CLOSED.
   */
  describe(): SnapshotDescription {
    return this.#operations.runNow((context) => describeSnapshot(context, this.#current(context)));
  }

  /** The row as it is now: a collection may have put the manifest into another pack. */
  #current({ catalog }: StoreContext): SnapshotRow {
    const row = catalog.snapshots.get(this.id);
    this.#row = row;
    return row;
  }

  /**
   * Marks it as removed: it is no longer listed, and its space comes back with the next
   * collection. Snapshots that continue it stay whole.
   *
   * @throws StoreError READ_ONLY, ABORTED, CLOSED.
   */
  async remove(options: OperationOptions = {}): Promise<void> {
    await this.#setState({ removed: true }, options);
  }

  /**
   * Takes the mark back; possible until a collection has let go of its pages.
   *
   * @throws StoreError NOT_FOUND, READ_ONLY, ABORTED, CLOSED.
   */
  async undelete(options: OperationOptions = {}): Promise<void> {
    await this.#setState({ removed: false }, options);
  }

  /**
   * Pins it: no policy of `prune` removes it, until it is pinned with `false`.
   *
   * @throws StoreError NOT_FOUND, READ_ONLY, ABORTED, CLOSED.
   */
  async pin(pinned = true, options: OperationOptions = {}): Promise<void> {
    await this.#setState({ pinned }, options);
  }

  /**
   * Attaches a text to it, in place of the one before; an empty one takes that away.
   *
   * @param text at most 4096 bytes of UTF-8.
   * @throws RangeError when it is longer; StoreError NOT_FOUND, READ_ONLY, ABORTED, CLOSED.
   */
  async note(text: string, options: OperationOptions = {}): Promise<void> {
    if (typeof text !== 'string') throw new TypeError('a note is a text');
    if (Buffer.byteLength(text) > MAX_TEXT_BYTES) {
      throw new RangeError(`a note has at most ${MAX_TEXT_BYTES} bytes`);
    }
    // As UTF-8 will have it: half a surrogate pair would come back as another text.
    await this.#setState({ note: Buffer.from(text).toString() }, options);
  }

  async #setState(state: SnapshotState, options: OperationOptions): Promise<void> {
    const { id } = this;
    await this.#operations.writeRows(options, async (context) => {
      const [row] = await context.catalog.setStates([{ id, ...state }], options.signal);
      this.#row = row as SnapshotRow;
    });
  }

  /** The facts, for printing as JSON. */
  toJSON(): object {
    const { id, timeline, sequence, kind, digest, parentId, criuRunId, labels, sizes } = this;
    const takenAt = this.takenAt.toISOString();
    const { isRemoved: removed, isPinned: pinned, noteText: note } = this;
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
      pinned,
      note,
    };
  }
}
