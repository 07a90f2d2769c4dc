/**
 * What was in slots that cannot be read, as far as anything tells (repair-lost-search.ts finds it):
 * the digests of their pages, which of them no table lists, and what those are needed for.
 */
import { toHex } from '../bytes/hex.ts';
import { UnlistedSlots } from './repair-unlisted-slots.ts';
import type { SlotNumber } from './slot-finder.ts';

/** A slot from which a page can be read, by the numbers of the catalog that is tried out. */
export interface PagePlace {
  readonly segment: number;
  readonly slot: number;
  /** Length of the page. */
  readonly bytes: number;
}

/** What is known of lost slots. */
export class LostSlots {
  readonly #digests = new Map<number, Map<number, Uint8Array>>();
  readonly #unlisted = new Map<number, UnlistedSlots>();
  /** Numbers of segments that the catalog does not have, by their identities in hex. */
  readonly #missing = new Map<string, number>();
  /** Where a page with a digest can be read, by `digestKey`: of those that are lost, some. */
  readonly copies: Map<string, PagePlace> = new Map();

  /** Says what the digest of the page in a slot is. */
  add(segment: number, slot: number, digest: Uint8Array): void {
    let slots = this.#digests.get(segment);
    if (slots === undefined) this.#digests.set(segment, (slots = new Map<number, Uint8Array>()));
    slots.set(slot, digest.slice());
  }

  /**
   * Says that a slot is needed that no table lists, whether or not anything tells what it was: by a
   * recipe, as itself, or because what a recipe needs stands on it.
   */
  need({ segment, slot }: SlotNumber, inRecipe: SlotNumber): void {
    let slots = this.#unlisted.get(segment);
    if (slots === undefined) this.#unlisted.set(segment, (slots = new UnlistedSlots()));
    const isItself = inRecipe.segment === segment && inRecipe.slot === slot;
    if (isItself) slots.add(slot);
    else slots.addBase(slot, inRecipe);
  }

  /**
   * Slots of a segment that are needed and that no table lists, ascending.
   *
   * @param isFound whether a slot of a recipe is found by itself: it needs no more what it
   * stands on.
   */
  unlisted(segment: number, isFound: (inRecipe: SlotNumber) => boolean = () => false): number[] {
    return this.#unlisted.get(segment)?.needed(isFound) ?? [];
  }

  /** The digest of the page in a slot, if it is lost and anything tells. */
  digestOf(segment: number, slot: number): Uint8Array | undefined {
    return this.#digests.get(segment)?.get(slot);
  }

  /** All of them. */
  *digests(): Generator<Uint8Array> {
    for (const slots of this.#digests.values()) yield* slots.values();
  }

  /** The number here of a segment that no pack has. */
  numberOf(identity: Uint8Array): number {
    const key = toHex(identity);
    let number = this.#missing.get(key);
    if (number === undefined) {
      number = FIRST_MISSING + this.#missing.size;
      this.#missing.set(key, number);
    }
    return number;
  }

  /** Segments that no pack has, and their numbers here. */
  *missing(): Generator<{ identity: Uint8Array; number: number }> {
    for (const [key, number] of this.#missing) yield { identity: Buffer.from(key, 'hex'), number };
  }
}

/** No catalog has as many segments. */
const FIRST_MISSING = 2 ** 31;
