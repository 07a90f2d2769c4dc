/**
 * Marks every slot that a snapshot needs: the pages of its recipes, and all that its delta pages
 * stand on. Exact: no filter, no counter that could be wrong. Where it cannot be read what is
 * needed, everything is that might be: all that a pack refers to, or else all that there is.
 *
 * Memory: a bit a slot, and what putting recipes together takes.
 */
import type { SnapshotRow } from '../catalog/rows.ts';
import { isDamage, StoreError } from '../errors.ts';
import { FIRST_DELTA_FRAME } from '../pack/format.ts';
import type { FrameTable } from '../pack/frame-table.ts';
import type { PackReader } from '../pack/reader.ts';
import { SlotSet } from '../pack/slot-set.ts';
import type { Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { LiveSlots } from './live-slots.ts';
import { findPages, findPagesLeft, type StoredSnapshot } from './snapshot-pages.ts';

/** Bases are looked at in rounds: mostly they are in older segments, and one is enough. */
const MAX_ROUNDS = 1000;

/** How it is marked. */
export interface MarkOptions {
  readonly pacer: Pacer;
  readonly live?: LiveSlots | undefined;
  /** Identities of segments of which every slot is needed. */
  readonly whole?: readonly Uint8Array[] | undefined;
  /**
   * Gets the ids of snapshots that must stay as they are: those of which pages are lost, whose
   * recipes cannot be written again, and those that they differ from.
   */
  readonly held?: Set<string> | undefined;
  /** Gets what cannot be read, so that more is marked than is needed. */
  readonly damage?: StoreError[] | undefined;
  readonly onProgress?: OperationOptions['onProgress'];
}

/** Adds what snapshots need to what is live already. */
export async function markLive(
  context: StoreContext,
  rows: readonly SnapshotRow[],
  options: MarkOptions,
): Promise<LiveSlots> {
  const { pacer, live = new LiveSlots(), whole = [], held = new Set(), damage = [] } = options;
  for (const [i, row] of rows.entries()) {
    try {
      const { files } = await findWhatIsLeft(context, row, pacer, held);
      for (const { runs } of files) {
        live.addRuns(runs);
        await pacer.pause();
      }
    } catch (error) {
      damage.push(asDamage(error).inSnapshot(row.id));
      // Nobody knows what its recipes say.
      live.addEverything();
      holdChain(context, row, held);
    }
    options.onProgress?.({ phase: 'snapshots', done: i + 1, total: rows.length });
  }
  const marker = new BaseMarker(context, live, { pacer, damage });
  for (const identity of whole) marker.markAll(context.segments.find(identity));
  await marker.run();
  return live;
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

function asDamage(error: unknown): StoreError {
  if (error instanceof StoreError && isDamage(error)) return error;
  throw error;
}

/** A snapshot, and those that it differs from, as the catalog says. */
function holdChain({ catalog }: StoreContext, row: SnapshotRow, held: Set<string>): void {
  for (let at: SnapshotRow | undefined = row; at !== undefined && !held.has(at.id);) {
    held.add(at.id);
    at = at.baseId === undefined ? undefined : catalog.snapshots.byId(at.baseId);
  }
}

/** Follows delta pages down to what they stand on. */
class BaseMarker {
  readonly #context: StoreContext;
  readonly #live: LiveSlots;
  readonly #pacer: Pacer;
  readonly #damage: StoreError[];
  /** Names of packs of which frame tables cannot be read. */
  readonly #damaged = new Set<string>();
  /** Delta pages whose bases have been marked. */
  readonly #done = new Map<number, SlotSet>();
  #hasMarked = false;

  constructor(
    context: StoreContext,
    live: LiveSlots,
    { pacer, damage }: { readonly pacer: Pacer; readonly damage: StoreError[] },
  ) {
    this.#context = context;
    this.#live = live;
    this.#pacer = pacer;
    this.#damage = damage;
  }

  async run(): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (this.#live.isEverything) return;
      this.#hasMarked = false;
      // The newest first: what they stand on is mostly older, and comes later in this round.
      const numbers = this.#live.segments.sort((a, b) => b - a);
      for (const number of numbers) await this.#followSegment(number);
      if (!this.#hasMarked) return;
    }
    throw new Error('chains of deltas without an end');
  }

  async #followSegment(number: number): Promise<void> {
    const frames = this.#framesOf(number);
    if (frames === undefined) return;
    const { reader, tables } = frames;
    const live = this.#live.of(number);
    const done = this.#doneOf(number);
    for (const table of tables) {
      for (let index = 0; index < table.length; index++) {
        if (!table.isDelta(index)) continue;
        // Only what is in this piece: a repair may have left a frame in two.
        const { frame, slotsLow, slotsHigh } = table.entryAt(index);
        const low = slotsLow & live.lowOf(frame) & ~done.lowOf(frame);
        const high = slotsHigh & live.highOf(frame) & ~done.highOf(frame);
        if (low === 0 && high === 0) continue;
        done.addFrame(frame, low, high);
        this.#followFrame(reader, table, index, { low, high });
        await this.#pacer.pause();
      }
    }
  }

  #doneOf(number: number): SlotSet {
    let set = this.#done.get(number);
    if (set === undefined) this.#done.set(number, (set = new SlotSet()));
    return set;
  }

  /** Marks the bases of those pages of a frame whose bits are set. */
  #followFrame(
    reader: PackReader,
    table: FrameTable,
    index: number,
    { low, high }: { readonly low: number; readonly high: number },
  ): void {
    const { references } = reader.footer;
    const numbers = references.map((identity) => this.#context.segments.find(identity));
    try {
      const { baseSegment, baseSlot } = reader.readDeltaFrame(table, index);
      for (const [rank, slot] of table.slotsAt(index).entries()) {
        const bit = slot % 64;
        if ((((bit < 32 ? low : high) >>> (bit & 31)) & 1) === 0) continue;
        this.#mark(numbers[baseSegment[rank] as number] ?? 0, baseSlot[rank] as number);
      }
    } catch (error) {
      if (!isDamage(error)) throw error;
      // What it stands on cannot be known, and is wanted once the pack is put back from a copy.
      for (const number of numbers) this.markAll(number);
    }
  }

  #mark(segment: number, slot: number): void {
    if (segment === 0) return;
    const set = this.#live.of(segment);
    if (set.has(slot)) return;
    set.add(slot);
    this.#hasMarked = true;
  }

  /** Marks every slot of a segment; of an unknown one, 0, there are none. */
  markAll(number: number): void {
    const live = this.#live.of(number);
    for (const table of this.#framesOf(number)?.tables ?? []) {
      for (let index = 0; index < table.length; index++) {
        const { frame, slotsLow, slotsHigh } = table.entryAt(index);
        const isNew = (slotsLow & ~live.lowOf(frame)) | (slotsHigh & ~live.highOf(frame));
        if (isNew !== 0 && frame >= FIRST_DELTA_FRAME) this.#hasMarked = true;
        live.addFrame(frame, slotsLow, slotsHigh);
      }
    }
  }

  /** The frames of a segment; undefined when the catalog does not know it, or they are lost. */
  #framesOf(number: number): { reader: PackReader; tables: FrameTable[] } | undefined {
    const place = this.#context.segments.at(number);
    if (place === undefined) return undefined;
    try {
      const reader = this.#context.packs.reader(place.packName);
      return { reader, tables: reader.frameTables(place.local) };
    } catch (error) {
      const damage = asDamage(error);
      this.#live.addWhole(number);
      if (!this.#damaged.has(place.packName)) this.#markReferences(place.packName, damage);
      return undefined;
    }
  }

  /** What the deltas of a pack stand on is in segments that it refers to. */
  #markReferences(packName: string, damage: StoreError): void {
    this.#damaged.add(packName);
    this.#damage.push(damage);
    const references = this.#referencesOf(packName);
    if (references === undefined) this.#live.addEverything();
    for (const identity of references ?? []) this.markAll(this.#context.segments.find(identity));
  }

  #referencesOf(packName: string): readonly Uint8Array[] | undefined {
    try {
      return this.#context.packs.reader(packName).footer.references;
    } catch (error) {
      asDamage(error);
      return undefined;
    }
  }
}
