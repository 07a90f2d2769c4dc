/**
 * The snapshots whose pages were found last: the next capture continues one of them, and what it
 * stores differs from it by one recipe, so that only that one has to be put on top. Bounded by
 * runs. Without it, each capture of a redis began with 20 ms of putting 12 recipes together.
 */
import { sameBytes } from '../bytes/hex.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import type { StoredSnapshot } from './snapshot-pages.ts';

/** Of 16 bytes each. */
const MAX_RUNS = 512 * 1024;
const MAX_SNAPSHOTS = 16;

/** Remembers where the pages of snapshots are. */
export class PagesCache {
  /** A Map iterates from the oldest entry to the newest. */
  readonly #snapshots = new Map<string, StoredSnapshot>();
  #runs = 0;
  #epoch = 0;

  /** Another number after each `clear`. */
  get epoch(): number {
    return this.#epoch;
  }

  /** What is known of a snapshot, as long as its manifest is still the same, and where it was. */
  get(row: SnapshotRow): StoredSnapshot | undefined {
    const known = this.#snapshots.get(row.id);
    if (known?.row.packName !== row.packName) return undefined;
    return sameBytes(known.row.manifestDigest, row.manifestDigest) ? known : undefined;
  }

  /**
   * Remembers a snapshot, unless it is too large.
   *
   * @param epoch when reading it began: what was read before a `clear` is not remembered after it.
   */
  put(snapshot: StoredSnapshot, epoch: number): void {
    const runs = runsIn(snapshot);
    if (runs > MAX_RUNS || epoch !== this.#epoch) return;
    this.#remove(snapshot.row.id);
    this.#snapshots.set(snapshot.row.id, snapshot);
    this.#runs += runs;
    for (const id of this.#snapshots.keys()) {
      if (this.#runs <= MAX_RUNS && this.#snapshots.size <= MAX_SNAPSHOTS) return;
      this.#remove(id);
    }
  }

  /** Forgets everything: manifests may be in other packs now. */
  clear(): void {
    this.#snapshots.clear();
    this.#runs = 0;
    this.#epoch += 1;
  }

  #remove(id: string): void {
    const known = this.#snapshots.get(id);
    if (known === undefined) return;
    this.#snapshots.delete(id);
    this.#runs -= runsIn(known);
  }
}

function runsIn({ files }: StoredSnapshot): number {
  return files.reduce((sum, { runs }) => sum + runs.length, 0);
}
