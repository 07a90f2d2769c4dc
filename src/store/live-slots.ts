/** The slots that are needed, by the catalog's numbers of their segments. */
import { SlotSet } from '../pack/slot-set.ts';
import { LOST_SEGMENT, type PageRuns, ZERO_SEGMENT } from '../manifest/page-runs.ts';

/** Sets of slots of all segments. */
export class LiveSlots {
  readonly #sets = new Map<number, SlotSet>();
  /** Segments of which every slot is needed, whichever those are. */
  readonly #whole = new Set<number>();
  #isEverything = false;

  /** Says that every slot of a segment is needed: of one whose slots cannot be listed. */
  addWhole(segment: number): void {
    this.#whole.add(segment);
  }

  /** Says that every slot of every segment is needed: nobody knows which are not. */
  addEverything(): void {
    this.#isEverything = true;
  }

  /** Whether every slot of every segment is needed. */
  get isEverything(): boolean {
    return this.#isEverything;
  }

  /** Whether every slot of a segment is needed, in its set or not. */
  isWhole(segment: number): boolean {
    return this.#isEverything || this.#whole.has(segment);
  }

  /** Whether any slot of a segment is needed. */
  hasAny(segment: number): boolean {
    return this.isWhole(segment) || this.#sets.get(segment)?.isEmpty === false;
  }

  /** The numbers of the segments that have any. */
  get segments(): number[] {
    // Sets that were only asked for are empty, and their packs need not be there.
    return [...this.#sets].filter(([, set]) => !set.isEmpty).map(([number]) => number);
  }

  /** The slots of a segment, unless it is whole: a set that may be added to. */
  of(segment: number): SlotSet {
    let set = this.#sets.get(segment);
    if (set === undefined) this.#sets.set(segment, (set = new SlotSet()));
    return set;
  }

  /** Adds the pages of a file. */
  addRuns({ length, end, segment, slot }: PageRuns): void {
    let start = 0;
    for (let run = 0; run < length; run++) {
      const next = end[run] as number;
      const number = segment[run] as number;
      if (number !== ZERO_SEGMENT && number !== LOST_SEGMENT)
        this.of(number).addRun(slot[run] as number, next - start);
      start = next;
    }
  }
}
