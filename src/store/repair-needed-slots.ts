/**
 * Slots that snapshots need and that no table lists any more: their pack is gone, or their table is
 * damaged. Those of which the pages were found are written in frames as they were; the others in
 * frames that cannot be read, beside what is known of their digests, for a later repair.
 */
import { DIGEST_BYTES } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import { FIRST_DELTA_SLOT } from '../bytes/slot.ts';
import { BLOCK, BLOCK_HEADER_BYTES, FRAME_PAGES } from '../pack/format.ts';
import type { ShortPage } from '../pack/frame-table.ts';
import { encodeKeptDeltas } from '../pack/kept-deltas.ts';
import type { CollectedFrame } from '../pack/writer.ts';
import {
  REPAIR_LEVEL,
  type BasesTarget,
  type FoundPages,
  type HealingBases,
} from './repair-found-pages.ts';
import type { SlotNumber } from './slot-finder.ts';

/** Slots of one segment that no table lists, ascending: they may be millions. */
export interface NeededSlots {
  /** Number of the segment. */
  readonly segment: number;
  readonly found: readonly number[];
  readonly lost: readonly number[];
}

/** A slot, and the digest of the page that was in it; undefined where nothing tells. */
type NeededSlot = readonly [slot: number, digest: Uint8Array | undefined];
type FoundSlot = readonly [slot: number, digest: Uint8Array];

/** Tells those of which the pages were found from the others. */
export function neededSlots(found: FoundPages, segment: number): NeededSlots {
  const needed = found.lost.unlisted(segment, (inRecipe) => isFound(found, inRecipe));
  const isThere = (slot: number) => isFound(found, { segment, slot });
  return {
    segment,
    found: needed.filter(isThere),
    lost: needed.filter((slot) => !isThere(slot)),
  };
}

function isFound(found: FoundPages, { segment, slot }: SlotNumber): boolean {
  const digest = found.lost.digestOf(segment, slot);
  return digest !== undefined && found.has(digest);
}

/** Digests of the delta pages among slots: each needs a full page to stand on. */
export function digestsOfDeltas({ lost }: FoundPages, slots: NeededSlots): Uint8Array[] {
  const { segment, found } = slots;
  return found.filter(isDelta).map((slot) => lost.digestOf(segment, slot) as Uint8Array);
}

function isDelta(slot: number): boolean {
  return slot >= FIRST_DELTA_SLOT;
}

/** Writes slots that no table lists. */
export class NeededSlotsCopy {
  readonly #found: FoundPages;
  readonly #bases: HealingBases;
  readonly #target: BasesTarget;

  /** @param bases what the deltas stand on: those of `digestsOfDeltas` at least. */
  constructor(found: FoundPages, bases: HealingBases, target: BasesTarget) {
    this.#found = found;
    this.#bases = bases;
    this.#target = target;
  }

  /** What was found, then what was not. */
  async add(identity: Uint8Array, { segment, found, lost }: NeededSlots): Promise<void> {
    const digestOf = (slot: number) => this.#found.lost.digestOf(segment, slot);
    await this.#addTable(identity, found, (frame, slots) => {
      this.#addFound(
        frame,
        slots.map((slot): FoundSlot => [slot, digestOf(slot) as Uint8Array]),
      );
    });
    await this.#addTable(identity, lost, (frame, slots) => {
      this.#addLost(
        frame,
        slots.map((slot): NeededSlot => [slot, digestOf(slot)]),
      );
    });
  }

  async #addTable(
    identity: Uint8Array,
    slots: readonly number[],
    addFrame: (frame: number, slots: readonly number[]) => void,
  ): Promise<void> {
    if (slots.length === 0) return;
    const { writer, pacer } = this.#target;
    writer.beginSegment(identity);
    for (let start = 0; start < slots.length;) {
      const frame = frameOf(slots[start] as number);
      let end = start + 1;
      while (end < slots.length && frameOf(slots[end] as number) === frame) end += 1;
      addFrame(frame, slots.slice(start, end));
      start = end;
      await pacer.pause();
    }
    writer.endSegment();
  }

  #addFound(frame: number, slots: readonly FoundSlot[]): void {
    const { encoder, writer } = this.#target;
    const raw = new Uint8Array(slots.length * PAGE_BYTES);
    const shortPages: ShortPage[] = [];
    for (const [place, [slot, digest]] of slots.entries()) {
      const page = this.#found.read(digest);
      if (page.length < PAGE_BYTES) shortPages.push({ slot, bytes: page.length });
      raw.set(page, place * PAGE_BYTES);
    }
    const head = headOf(frame, slots, shortPages);
    if (!slots.some(([slot]) => isDelta(slot))) {
      writer.addFrame(head, encoder.encode(BLOCK.frame, raw, REPAIR_LEVEL));
      return;
    }
    const copies = new Map(slots.map(([, digest], rank) => [rank, this.#bases.of(digest)]));
    const deltas = encodeKeptDeltas(undefined, [...copies.keys()], (segment) => segment, copies);
    writer.addFrame(head, encoder.encode(BLOCK.deltaFrame, deltas, REPAIR_LEVEL));
  }

  #addLost(frame: number, slots: readonly NeededSlot[]): void {
    this.#target.writer.addFrame(headOf(frame, slots, []), new Uint8Array(BLOCK_HEADER_BYTES));
  }
}

function headOf(
  frame: number,
  needed: readonly NeededSlot[],
  shortPages: readonly ShortPage[],
): CollectedFrame {
  const isOfDeltas = needed.some(([slot]) => isDelta(slot));
  const digests = new Uint8Array(isOfDeltas ? 0 : needed.length * DIGEST_BYTES);
  for (const [place, [, digest]] of needed.entries()) {
    if (!isOfDeltas && digest !== undefined) digests.set(digest, place * DIGEST_BYTES);
  }
  const slots = slotBits(needed.map(([slot]) => slot));
  return { frame, pages: needed.length, slots, digests, shortPages };
}

/** Which of a frame's 64 slots some are: two words of bits. */
export function slotBits(slots: readonly number[]): CollectedFrame['slots'] {
  let [low, high] = [0, 0];
  for (const slot of slots) {
    const bit = slot % FRAME_PAGES;
    if (bit < 32) low |= 1 << bit;
    else high |= 1 << (bit - 32);
  }
  return { low, high };
}

function frameOf(slot: number): number {
  return Math.floor(slot / FRAME_PAGES);
}
