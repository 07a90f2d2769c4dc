/**
 * What delta pages stand on, down to full pages: marked in rounds, from frame tables and the heads
 * of delta frames. A round may be cut off and gone on with: marks are only ever added, and a slot
 * always holds the same page, standing on the same other one, in whichever pack it is.
 */
import { isDamage, StoreError } from '../errors.ts';
import { FIRST_DELTA_FRAME } from '../pack/format.ts';
import type { FrameTable } from '../pack/frame-table.ts';
import type { PackReader } from '../pack/reader.ts';
import { SlotSet } from '../pack/slot-set.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import type { LiveSlots } from './live-slots.ts';
import type { TimeLimit } from './time-limit.ts';

/** Bases are looked at in rounds: mostly they are in older segments, and one is enough. */
const MAX_ROUNDS = 1000;

/** How bases are followed. */
export interface BaseMarkerOptions {
  readonly pacer: Pacer;
  readonly time: TimeLimit;
  /** Gets what cannot be read, so that more is marked than is needed. */
  readonly damage: StoreError[];
}

/** Follows delta pages down to what they stand on. */
export class BaseMarker {
  readonly #context: StoreContext;
  readonly #live: LiveSlots;
  /** Names of packs of which frame tables cannot be read. */
  readonly #damaged = new Set<string>();
  /** Delta pages whose bases have been marked. */
  readonly #done = new Map<number, SlotSet>();
  /** Segments that are still to be looked at in this round, the next one last. */
  readonly #left: number[] = [];
  #isAnotherDue = false;
  #rounds = 0;
  #damage: StoreError[] = [];
  /** Whether more is marked than is needed, because something could not be read. */
  hasMetDamage = false;

  constructor(context: StoreContext, live: LiveSlots) {
    this.#context = context;
    this.#live = live;
  }

  /** Call when others have marked something: all is to be looked at once more. */
  again(): void {
    this.#isAnotherDue = true;
    this.#rounds = 0;
  }

  /** Goes on to the end, or until the time is over. @throws TimeIsOver. */
  async run({ pacer, time, damage }: BaseMarkerOptions): Promise<void> {
    this.#damage = damage;
    for (;;) {
      for (let next = this.#left.at(-1); next !== undefined; next = this.#left.at(-1)) {
        if (this.#live.isEverything) return;
        time.check();
        await this.#followSegment(next, pacer, time);
        this.#left.pop();
        time.worked();
        await pacer.pause();
      }
      if (!this.#isAnotherDue || this.#live.isEverything) return;
      if (this.#rounds++ === MAX_ROUNDS) throw new Error('chains of deltas without an end');
      this.#isAnotherDue = false;
      // The newest first: what they stand on is mostly older, and comes later in this round.
      // Not all as arguments of one call: there may be 125,000 of them.
      for (const number of this.#live.segments.sort((a, b) => a - b)) this.#left.push(number);
    }
  }

  async #followSegment(number: number, pacer: Pacer, time: TimeLimit): Promise<void> {
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
        time.check();
        this.#followFrame(reader, table, index, { low, high });
        done.addFrame(frame, low, high);
        time.worked();
        await pacer.pause();
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
      this.hasMetDamage = true;
      // What it stands on cannot be known, and is wanted once the pack is put back from a copy.
      for (const number of numbers) this.#markAll(number);
    }
  }

  #mark(segment: number, slot: number): void {
    if (segment === 0) return;
    const set = this.#live.of(segment);
    if (set.has(slot)) return;
    set.add(slot);
    this.#isAnotherDue = true;
  }

  /** Marks every slot of a segment for somebody else. */
  addWhole(number: number, damage: StoreError[]): void {
    this.#damage = damage;
    this.#markAll(number);
    this.again();
  }

  /** Marks every slot of a segment; of an unknown one, 0, there are none. */
  #markAll(number: number): void {
    const live = this.#live.of(number);
    for (const table of this.#framesOf(number)?.tables ?? []) {
      for (let index = 0; index < table.length; index++) {
        const { frame, slotsLow, slotsHigh } = table.entryAt(index);
        const isNew = (slotsLow & ~live.lowOf(frame)) | (slotsHigh & ~live.highOf(frame));
        if (isNew !== 0 && frame >= FIRST_DELTA_FRAME) this.#isAnotherDue = true;
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
    for (const identity of references ?? []) this.#markAll(this.#context.segments.find(identity));
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

/** @throws the error, if it is another one than damage. */
export function asDamage(error: unknown): StoreError {
  if (error instanceof StoreError && isDamage(error)) return error;
  throw error;
}
