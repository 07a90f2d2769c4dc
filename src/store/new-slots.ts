/**
 * The slots of the pages that a capture adds. A page has a number as soon as it is found to be new,
 * and a slot only when it is known whether it is kept in full or as a delta; others may refer to it
 * in between. 4 bytes a page.
 */

/** Numbers to slots. */
export class NewSlots {
  #slots = new Uint32Array(1024);
  #reserved = 0;
  #settled = 0;

  /** Pages so far. */
  get length(): number {
    return this.#reserved;
  }

  /** The number of the next new page. */
  reserve(): number {
    return this.#reserved++;
  }

  /** Gives the first page that has none yet its slot. */
  settle(slot: number): void {
    if (this.#settled === this.#slots.length) {
      const larger = new Uint32Array(this.#slots.length * 2);
      larger.set(this.#slots);
      this.#slots = larger;
    }
    this.#slots[this.#settled++] = slot;
  }

  /** The slot of a page, by its number. */
  slotOf(number: number): number {
    if (number >= this.#settled) throw new RangeError(`page ${number} has no slot yet`);
    return this.#slots[number] as number;
  }
}
