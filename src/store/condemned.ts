/**
 * The slots that nothing new may refer to, as the catalog has them: loaded when the generation has
 * changed. Of captures, whose hits of the page index are believed only if they are not here.
 */
import type { Catalog } from '../catalog/catalog.ts';
import { decodeSlotSet, type SlotSet } from '../pack/slot-set.ts';

/** Sets of slots by the catalog's numbers of their segments. */
export class Condemned {
  readonly #catalog: Catalog;
  readonly #file: string;
  #sets = new Map<number, SlotSet>();

  /** @param file of the catalog, for errors. */
  constructor(catalog: Catalog, file: string) {
    this.#catalog = catalog;
    this.#file = file;
  }

  /** Reads them once more. @throws StoreError CORRUPT. */
  load(): void {
    const rows = this.#catalog.collections.condemned();
    this.#sets = new Map(
      rows.map(({ segment, slots }) => [segment, decodeSlotSet(slots, this.#file)]),
    );
  }

  /** Whether a slot is condemned. */
  has(segment: number, slot: number): boolean {
    return this.#sets.size > 0 && this.#sets.get(segment)?.has(slot) === true;
  }

  /** The condemned slots of a segment; undefined when there are none. */
  of(segment: number): SlotSet | undefined {
    return this.#sets.get(segment);
  }
}
