/**
 * The frame tables of a pack, read when they are first wanted and kept (half a byte a page). One
 * that is damaged costs what it lists, and nothing else.
 */
import { isDamage, StoreError } from '../errors.ts';
import type { FrameTablePlace } from './footer.ts';
import { FRAME_PAGES } from './format.ts';
import type { FrameTable } from './frame-table.ts';

/** A slot, found: the table that lists its frame, and the line there. */
export interface SlotPlace {
  readonly table: FrameTable;
  readonly index: number;
}

/** The tables of an open pack. */
export class FrameTables {
  readonly #places: readonly FrameTablePlace[];
  readonly #read: (place: FrameTablePlace) => FrameTable;
  /** Those that were read; where they are damaged, how. */
  readonly #known = new Map<FrameTablePlace, FrameTable | StoreError>();

  /** @param read reads and decodes one; throws what is wrong with it. */
  constructor(places: readonly FrameTablePlace[], read: (place: FrameTablePlace) => FrameTable) {
    this.#places = places;
    this.#read = read;
  }

  /** All of a segment, in the order of their frames. @throws StoreError CORRUPT. */
  of(segment: number): FrameTable[] {
    return this.#placesOf(segment).map((place) => this.#table(place));
  }

  /** Those that can be read. */
  readable(segment: number): FrameTable[] {
    return this.#placesOf(segment).flatMap((place) => {
      try {
        return this.#table(place);
      } catch (error) {
        if (!isDamage(error)) throw error;
        return [];
      }
    });
  }

  /** How many a segment has. */
  count(segment: number): number {
    return this.#placesOf(segment).length;
  }

  /** One of them, by its place; undefined behind the last. @throws StoreError CORRUPT. */
  at(segment: number, number: number): FrameTable | undefined {
    const place = this.#placesOf(segment)[number];
    return place && this.#table(place);
  }

  /**
   * Where a slot of a segment is, or undefined when no table lists it.
   *
   * @throws StoreError CORRUPT when a table that may list it cannot be read, and no other does.
   */
  find(segment: number, slot: number): SlotPlace | undefined {
    const frame = Math.floor(slot / FRAME_PAGES);
    let damage: Error | undefined;
    for (const place of this.#places) {
      if (place.segment !== segment || frame < place.firstFrame || frame > place.lastFrame)
        continue;
      try {
        const table = this.#table(place);
        const index = table.indexOf(slot);
        if (index >= 0) return { table, index };
      } catch (error) {
        // It may be in another one: a frame of which a part was healed is in two.
        if (!isDamage(error)) throw error;
        damage ??= error as Error;
      }
    }
    if (damage !== undefined) throw damage;
    return undefined;
  }

  #placesOf(segment: number): FrameTablePlace[] {
    const places = this.#places.filter((place) => place.segment === segment);
    return places.sort((a, b) => a.firstFrame - b.firstFrame);
  }

  #table(place: FrameTablePlace): FrameTable {
    const known = this.#known.get(place) ?? this.#readNew(place);
    if (known instanceof StoreError) throw known;
    return known;
  }

  /** Damage is remembered: each slot that is looked up in it would have it read again. */
  #readNew(place: FrameTablePlace): FrameTable | StoreError {
    let read: FrameTable | StoreError;
    try {
      read = this.#read(place);
    } catch (error) {
      // A medium that fails may do better the next time.
      if (!(error instanceof StoreError) || error.code !== 'CORRUPT') throw error;
      read = error;
    }
    this.#known.set(place, read);
    return read;
  }
}
