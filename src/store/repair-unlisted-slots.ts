/**
 * Slots of one segment that no table lists, and what recipes need them for: with a pack that is
 * gone, these are millions, and so sets and numbers, not objects.
 */
import { SlotSet } from '../pack/slot-set.ts';
import type { SlotNumber } from './slot-finder.ts';

/** What is needed of a segment and in no table. */
export class UnlistedSlots {
  /** Those that recipes have themselves. */
  readonly #inRecipes = new SlotSet();
  /** Those that something else stands on, one for each slot of a recipe that does, which is... */
  readonly #bases: number[] = [];
  /** ...in this segment... */
  readonly #segments: number[] = [];
  /** ...and this slot. */
  readonly #slots: number[] = [];
  /** All of these, by their segments: thousands of recipes have the same. */
  readonly #standing = new Map<number, SlotSet>();

  /** Adds a slot that a recipe has. */
  add(slot: number): void {
    this.#inRecipes.add(slot);
  }

  /** Adds a slot that one of a recipe stands on. */
  addBase(slot: number, inRecipe: SlotNumber): void {
    let standing = this.#standing.get(inRecipe.segment);
    if (standing === undefined) this.#standing.set(inRecipe.segment, (standing = new SlotSet()));
    // A chain has one end.
    if (standing.has(inRecipe.slot)) return;
    standing.add(inRecipe.slot);
    this.#bases.push(slot);
    this.#segments.push(inRecipe.segment);
    this.#slots.push(inRecipe.slot);
  }

  /** Those that are needed, ascending, but for what only slots stand on that are found. */
  needed(isFound: (inRecipe: SlotNumber) => boolean): number[] {
    const needed = new SlotSet();
    for (const frame of this.#inRecipes.frames()) {
      needed.addFrame(frame, this.#inRecipes.lowOf(frame), this.#inRecipes.highOf(frame));
    }
    for (const [i, slot] of this.#bases.entries()) {
      if (needed.has(slot)) continue;
      const inRecipe = { segment: this.#segments[i] as number, slot: this.#slots[i] as number };
      if (!isFound(inRecipe)) needed.add(slot);
    }
    return [...needed.slots()];
  }
}
