/**
 * The slots that nothing new may refer to, as the catalog has them: loaded when the generation has
 * changed. Of captures, whose hits of the page index are believed only if they are not here.
 */
import { sameBytes } from '../bytes/hex.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { CondemnedSlots } from '../catalog/collection-table.ts';
import { decodeIntact } from '../catalog/rows.ts';
import type { StoreError } from '../errors.ts';
import { decodeSlotSet, type SlotSet } from '../pack/slot-set.ts';
import type { Pacer } from './clock.ts';

const ROWS_IN_ONE_GO = 200;

/** What was condemned at one moment: never changes. */
export class CondemnedThen {
  readonly #sets: ReadonlyMap<number, SlotSet>;
  /** Whether a part of it is lost: then any slot may be condemned. */
  readonly isDamaged: boolean;

  /** @param sets by the catalog's numbers of their segments. */
  constructor(sets: ReadonlyMap<number, SlotSet>, isDamaged: boolean) {
    this.#sets = sets;
    this.isDamaged = isDamaged;
  }

  /** Whether a slot was condemned, or may have been. */
  has(segment: number, slot: number): boolean {
    if (this.isDamaged) return true;
    return this.#sets.size > 0 && this.#sets.get(segment)?.has(slot) === true;
  }

  /** The condemned slots of a segment; undefined when there were none. */
  of(segment: number): SlotSet | undefined {
    return this.#sets.get(segment);
  }
}

/** What is condemned, as far as it is known. */
export class Condemned {
  readonly #catalog: Catalog;
  readonly #file: string;
  #now: CondemnedThen = new CondemnedThen(new Map(), false);
  /** The sets as the catalog has them: most stay the same from one generation to the next. */
  #encoded = new Map<number, Uint8Array>();
  #loads = 0;

  /** @param file of the catalog, for errors. */
  constructor(catalog: Catalog, file: string) {
    this.#catalog = catalog;
    this.#file = file;
  }

  /**
   * What is condemned now. Whoever looks for slots to refer to keeps to one of these: slots that
   * are gone are not condemned any more, while the pack that had them can still be read.
   */
  get now(): CondemnedThen {
    return this.#now;
  }

  /** Reads it once more. Damage keeps nobody from reading: captures find nothing then. */
  load(): void {
    const damage: StoreError[] = [];
    const rows = this.#catalog.collections.condemned(damage);
    this.#loads += 1;
    this.#put(rows, this.#decode(rows, damage), damage);
  }

  /** The same, with pauses; what somebody else has loaded meanwhile stays. */
  async loadInPieces(pacer: Pacer): Promise<void> {
    const damage: StoreError[] = [];
    const rows = this.#catalog.collections.condemned(damage);
    const load = (this.#loads += 1);
    const sets: [number, SlotSet][] = [];
    for (let start = 0; start < rows.length; start += ROWS_IN_ONE_GO) {
      await pacer.pause();
      sets.push(...this.#decode(rows.slice(start, start + ROWS_IN_ONE_GO), damage));
    }
    if (load === this.#loads) this.#put(rows, sets, damage);
  }

  #decode(rows: readonly CondemnedSlots[], damage: StoreError[]): [number, SlotSet][] {
    return decodeIntact(rows, damage, ({ segment, slots }): [number, SlotSet] => {
      const known = this.#encoded.get(segment);
      const same = known && sameBytes(known, slots) ? this.#now.of(segment) : undefined;
      return [segment, same ?? decodeSlotSet(slots, this.#file)];
    });
  }

  #put(
    rows: readonly CondemnedSlots[],
    sets: readonly (readonly [number, SlotSet])[],
    damage: readonly StoreError[],
  ): void {
    this.#encoded = new Map(rows.map(({ segment, slots }) => [segment, slots]));
    this.#now = new CondemnedThen(new Map(sets), damage.length > 0);
  }
}
