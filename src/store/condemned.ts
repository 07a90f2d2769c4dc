/**
 * The slots that nothing new may refer to, as the catalog has them: loaded when the generation has
 * changed. Of captures, whose hits of the page index are believed only if they are not here.
 */
import type { Catalog } from '../catalog/catalog.ts';
import { decodeSlotSet, type SlotSet } from '../pack/slot-set.ts';

/** What was condemned at one moment: never changes. */
export class CondemnedThen {
  readonly #sets: ReadonlyMap<number, SlotSet>;

  /** @param sets by the catalog's numbers of their segments. */
  constructor(sets: ReadonlyMap<number, SlotSet>) {
    this.#sets = sets;
  }

  /** Whether a slot was condemned. */
  has(segment: number, slot: number): boolean {
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
  #now: CondemnedThen = new CondemnedThen(new Map());

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

  /** Reads it once more. @throws StoreError CORRUPT. */
  load(): void {
    const rows = this.#catalog.collections.condemned();
    this.#now = new CondemnedThen(
      new Map(rows.map(({ segment, slots }) => [segment, decodeSlotSet(slots, this.#file)])),
    );
  }
}
