/**
 * The slots that nothing new may refer to, as the catalog has them: loaded when the generation has
 * changed. Of captures, whose hits of the page index are believed only if they are not here.
 */
import { sameBytes } from '../bytes/hex.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { decodeIntact } from '../catalog/rows.ts';
import type { StoreError } from '../errors.ts';
import { decodeSlotSet, type SlotSet } from '../pack/slot-set.ts';

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
    const before = this.#now;
    const known = this.#encoded;
    const sets = decodeIntact(rows, damage, ({ segment, slots }): [number, SlotSet] => {
      const bytes = known.get(segment);
      const same = bytes && sameBytes(bytes, slots) ? before.of(segment) : undefined;
      return [segment, same ?? decodeSlotSet(slots, this.#file)];
    });
    this.#encoded = new Map(rows.map(({ segment, slots }) => [segment, slots]));
    this.#now = new CondemnedThen(new Map(sets), damage.length > 0);
  }
}
