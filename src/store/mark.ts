/**
 * Marks every slot that a snapshot needs: the pages of its recipes, and all that its delta pages
 * stand on. Exact: no filter, no counter that could be wrong. Where it cannot be read what is
 * needed, everything is that might be: all that a pack refers to, or else all that there is.
 *
 * Memory: a bit a slot, and what putting recipes together takes.
 */
import { toHex } from '../bytes/hex.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { isDamage } from '../errors.ts';
import { asDamage, BaseMarker, type BaseMarkerOptions } from './base-marker.ts';
import type { Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { LiveSlots } from './live-slots.ts';
import { findPages, findPagesLeft, type StoredSnapshot } from './snapshot-pages.ts';

/** How it is marked. */
export interface MarkOptions extends BaseMarkerOptions {
  /** Identities of segments of which every slot is needed. */
  readonly whole?: readonly Uint8Array[] | undefined;
  /**
   * Gets the ids of snapshots that must stay as they are: those of which pages are lost, whose
   * recipes cannot be written again, and those that they differ from.
   */
  readonly held?: Set<string> | undefined;
  readonly onProgress?: OperationOptions['onProgress'];
}

/**
 * What has been marked so far. One that was cut off is gone on with, also by a later collection of
 * the same handle: the slots of a snapshot are always the same, whatever becomes of its packs and
 * its manifest, and numbers of segments are never given twice.
 */
export class Marking {
  readonly live: LiveSlots = new LiveSlots();
  readonly #context: StoreContext;
  readonly #bases: BaseMarker;
  /** Ids of the snapshots whose recipes are marked. */
  readonly #ids = new Set<string>();
  /** Segments that are marked as a whole: identities in hex. */
  readonly #whole = new Set<string>();
  #hasMetDamage = false;

  constructor(context: StoreContext) {
    this.#context = context;
    this.#bases = new BaseMarker(context, this.live);
  }

  /** Whether more may be marked than is needed: of that, nothing is to be remembered. */
  get hasMetDamage(): boolean {
    return this.#hasMetDamage || this.#bases.hasMetDamage || this.live.isEverything;
  }

  /** Whether all that is marked is needed by these snapshots and segments. */
  isOnlyOf(rows: readonly SnapshotRow[], whole: readonly Uint8Array[]): boolean {
    const ids = new Set(rows.map(({ id }) => id));
    const identities = new Set(whole.map(toHex));
    const isOfRows = [...this.#ids].every((id) => ids.has(id));
    return isOfRows && [...this.#whole].every((name) => identities.has(name));
  }

  /** Adds what snapshots need, as far as it is not marked yet. @throws TimeIsOver. */
  async add(rows: readonly SnapshotRow[], options: MarkOptions): Promise<void> {
    const { pacer, time, damage, whole = [], held = new Set() } = options;
    const before = damage.length + held.size;
    try {
      for (const [i, row] of rows.entries()) {
        if (this.#ids.has(row.id)) continue;
        time.check();
        await this.#addPages(row, held, options);
        this.#ids.add(row.id);
        this.#bases.again();
        time.worked();
        options.onProgress?.({ phase: 'snapshots', done: i + 1, total: rows.length });
      }
      for (const identity of whole) this.#addWhole(identity, options);
      await this.#bases.run({ pacer, time, damage });
    } finally {
      if (damage.length + held.size > before) this.#hasMetDamage = true;
    }
  }

  async #addPages(
    row: SnapshotRow,
    held: Set<string>,
    { pacer, damage }: MarkOptions,
  ): Promise<void> {
    try {
      const { files } = await findWhatIsLeft(this.#context, row, pacer, held);
      for (const { runs } of files) {
        this.live.addRuns(runs);
        await pacer.pause();
      }
    } catch (error) {
      damage.push(asDamage(error).inSnapshot(row.id));
      // Nobody knows what its recipes say.
      this.live.addEverything();
      holdChain(this.#context, row, held);
    }
  }

  #addWhole(identity: Uint8Array, { time, damage }: MarkOptions): void {
    const number = this.#context.segments.find(identity);
    const name = toHex(identity);
    // One that the catalog does not know may be known to it later.
    if (number === 0 || this.#whole.has(name)) return;
    time.check();
    this.#bases.addWhole(number, damage);
    this.#whole.add(name);
    time.worked();
  }
}

async function findWhatIsLeft(
  context: StoreContext,
  row: SnapshotRow,
  pacer: Pacer,
  held: Set<string>,
): Promise<StoredSnapshot> {
  try {
    return await findPages(context, row, pacer);
  } catch (error) {
    if (!isDamage(error)) throw error;
    // Once more: fails again where it is a manifest that cannot be read.
    const left = await findPagesLeft(context, row, pacer);
    for (const { id } of left.chain) held.add(id);
    return left;
  }
}

/** A snapshot, and those that it differs from, as the catalog says. */
function holdChain({ catalog }: StoreContext, row: SnapshotRow, held: Set<string>): void {
  for (let at: SnapshotRow | undefined = row; at !== undefined && !held.has(at.id);) {
    held.add(at.id);
    at = at.baseId === undefined ? undefined : catalog.snapshots.byId(at.baseId);
  }
}
