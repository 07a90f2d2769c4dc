/**
 * Writes segments that no pack has any more, as far as their pages were found elsewhere: in one new
 * pack, each page in the slot that recipes and deltas refer to. So even a pack that is gone is
 * healed, for all but the snapshot whose manifest was in it. Slots of which nothing was found are
 * in frames that cannot be read, beside what is known of their digests, for a later repair.
 */
import { DIGEST_BYTES } from '#digest';
import { toHex } from '../bytes/hex.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import { FIRST_DELTA_SLOT } from '../bytes/slot.ts';
import { BlockEncoder } from '../pack/block.ts';
import { BLOCK, BLOCK_HEADER_BYTES, FRAME_PAGES } from '../pack/format.ts';
import type { ShortPage } from '../pack/frame-table.ts';
import { encodeKeptDeltas } from '../pack/kept-deltas.ts';
import type { CollectedFrame } from '../pack/writer.ts';
import {
  HealingBases,
  REPAIR_LEVEL,
  type BasesTarget,
  type FoundPages,
} from './repair-found-pages.ts';
import type { RepairWork } from './repair-plan.ts';
import { scanPack, type ScannedPack } from './repair-scan.ts';
import { stagePack } from './repair-staged.ts';

/** A slot, and the digest of the page that was in it; undefined where nothing tells. */
type NeededSlot = readonly [slot: number, digest: Uint8Array | undefined];
type FoundSlot = readonly [slot: number, digest: Uint8Array];

interface MissingSegment {
  readonly identity: Uint8Array;
  readonly found: readonly FoundSlot[];
  readonly lost: readonly NeededSlot[];
}

/** Writes what was found of missing segments; undefined when nothing was. */
export async function writeMissing(
  work: RepairWork,
  found: FoundPages,
): Promise<{ readonly pack: ScannedPack; readonly pages: number } | undefined> {
  const segments = missingSegments(found);
  if (segments.length === 0) return undefined;
  const name = await stagePack(work, async (writer) => {
    const encoder = new BlockEncoder(work.zstd);
    const here = new Set(segments.map(({ identity }) => toHex(identity)));
    const target = { writer, encoder, pacer: work.pacer, segments: here };
    const copy = new SegmentCopy(found, target);
    const deltas = segments.flatMap((segment) => segment.found.filter(([slot]) => isDelta(slot)));
    await copy.bases.add(
      deltas.map(([, digest]) => digest),
      found,
      target,
    );
    for (const segment of segments) await copy.add(segment);
  });
  const pages = segments.reduce((sum, segment) => sum + segment.found.length, 0);
  return { pack: await scanPack(work, name, true, work.pacer), pages };
}

/** Those of which anything was found, in an order that is the same whenever it is done. */
function missingSegments(found: FoundPages): MissingSegment[] {
  return [...found.lost.missing()]
    .map(({ identity, number, slots }) => {
      const needed = slots.map((slot): NeededSlot => [slot, found.lost.digestOf(number, slot)]);
      const isHere = (slot: NeededSlot): slot is FoundSlot =>
        slot[1] !== undefined && found.has(slot[1]);
      return {
        identity,
        found: needed.filter(isHere),
        lost: needed.filter((slot) => !isHere(slot)),
      };
    })
    .filter((segment) => segment.found.length > 0)
    .sort((a, b) => (toHex(a.identity) < toHex(b.identity) ? -1 : 1));
}

function isDelta(slot: number): boolean {
  return slot >= FIRST_DELTA_SLOT;
}

class SegmentCopy {
  readonly bases = new HealingBases();
  readonly #found: FoundPages;
  readonly #target: BasesTarget;

  constructor(found: FoundPages, target: BasesTarget) {
    this.#found = found;
    this.#target = target;
  }

  /** What was found, then what was not: frames that cannot be read, which a repair looks for. */
  async add({ identity, found, lost }: MissingSegment): Promise<void> {
    await this.#addLayer(identity, found, (frame, slots) => this.#addFound(frame, slots));
    if (lost.length === 0) return;
    await this.#addLayer(identity, lost, (frame, slots) => this.#addLost(frame, slots));
  }

  async #addLayer<Slot extends NeededSlot>(
    identity: Uint8Array,
    slots: readonly Slot[],
    addFrame: (frame: number, slots: readonly Slot[]) => void,
  ): Promise<void> {
    const { writer, pacer } = this.#target;
    writer.beginSegment(identity);
    for (let start = 0; start < slots.length;) {
      const frame = frameOf(slots[start] as Slot);
      let end = start + 1;
      while (end < slots.length && frameOf(slots[end] as Slot) === frame) end += 1;
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
    const copies = new Map(slots.map(([, digest], rank) => [rank, this.bases.of(digest)]));
    const deltas = encodeKeptDeltas(undefined, [...copies.keys()], (segment) => segment, copies);
    writer.addFrame(head, encoder.encode(BLOCK.deltaFrame, deltas, REPAIR_LEVEL));
  }

  #addLost(frame: number, slots: readonly NeededSlot[]): void {
    this.#target.writer.addFrame(headOf(frame, slots, []), new Uint8Array(BLOCK_HEADER_BYTES));
  }
}

function headOf(
  frame: number,
  slots: readonly NeededSlot[],
  shortPages: readonly ShortPage[],
): CollectedFrame {
  const isOfDeltas = slots.some(([slot]) => isDelta(slot));
  const digests = new Uint8Array(isOfDeltas ? 0 : slots.length * DIGEST_BYTES);
  let [low, high] = [0, 0];
  for (const [place, [slot, digest]] of slots.entries()) {
    const bit = slot % FRAME_PAGES;
    if (bit < 32) low |= 1 << bit;
    else high |= 1 << (bit - 32);
    if (!isOfDeltas && digest !== undefined) digests.set(digest, place * DIGEST_BYTES);
  }
  return { frame, pages: slots.length, slots: { low, high }, digests, shortPages };
}

function frameOf([slot]: NeededSlot): number {
  return Math.floor(slot / FRAME_PAGES);
}
