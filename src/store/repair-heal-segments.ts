/**
 * Writes segments that no pack has any more, as far as their pages were found elsewhere: in one new
 * pack, each page in the slot that recipes and deltas refer to. So even a pack that is gone is
 * healed, for all but the snapshot whose manifest was in it.
 */
import { DIGEST_BYTES } from '#digest';
import { toHex } from '../bytes/hex.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import { FIRST_DELTA_SLOT } from '../bytes/slot.ts';
import { BlockEncoder } from '../pack/block.ts';
import { BLOCK, FRAME_PAGES } from '../pack/format.ts';
import type { ShortPage } from '../pack/frame-table.ts';
import { encodeKeptDeltas } from '../pack/kept-deltas.ts';
import type { PackWriter } from '../pack/writer.ts';
import {
  HealingBases,
  REPAIR_LEVEL,
  type BasesTarget,
  type FoundPages,
} from './repair-found-pages.ts';
import type { RepairWork } from './repair-plan.ts';
import { scanPack, type ScannedPack } from './repair-scan.ts';
import { stagePack } from './repair-staged.ts';

/** A slot, and the digest of the page that was in it. */
type FoundSlot = readonly [slot: number, digest: Uint8Array];

/** Writes what was found of missing segments; undefined when nothing was. */
export async function writeMissing(
  work: RepairWork,
  found: FoundPages,
): Promise<{ readonly pack: ScannedPack; readonly pages: number } | undefined> {
  const segments = [...found.lost.missing()]
    .map(({ identity, slots }) => {
      const here = [...slots].filter(([, digest]) => found.has(digest));
      return { identity, slots: here.sort(([a], [b]) => a - b) };
    })
    .filter(({ slots }) => slots.length > 0)
    // In an order that is the same whenever it is done.
    .sort((a, b) => (toHex(a.identity) < toHex(b.identity) ? -1 : 1));
  if (segments.length === 0) return undefined;
  const name = await stagePack(work, async (writer) => {
    const encoder = new BlockEncoder(work.zstd);
    const here = new Set(segments.map(({ identity }) => toHex(identity)));
    const target = { writer, encoder, pacer: work.pacer, segments: here };
    const copy = new SegmentCopy(found, target);
    const deltas = segments.flatMap(({ slots }) => slots.filter(([slot]) => isDelta(slot)));
    await copy.bases.add(
      deltas.map(([, digest]) => digest),
      found,
      target,
    );
    for (const { identity, slots } of segments) await copy.add(identity, slots);
  });
  const pages = segments.reduce((sum, { slots }) => sum + slots.length, 0);
  return { pack: await scanPack(work, name, true, work.pacer), pages };
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

  async add(identity: Uint8Array, slots: readonly FoundSlot[]): Promise<void> {
    const { writer, pacer } = this.#target;
    writer.beginSegment(identity);
    for (let start = 0; start < slots.length;) {
      const frame = frameOf(slots[start] as FoundSlot);
      let end = start + 1;
      while (end < slots.length && frameOf(slots[end] as FoundSlot) === frame) end += 1;
      this.#addFrame(writer, frame, slots.slice(start, end));
      start = end;
      await pacer.pause();
    }
    writer.endSegment();
  }

  #addFrame(writer: PackWriter, frame: number, slots: readonly FoundSlot[]): void {
    const { encoder } = this.#target;
    const isOfDeltas = slots.some(([slot]) => isDelta(slot));
    const raw = new Uint8Array(slots.length * PAGE_BYTES);
    const digests = new Uint8Array(isOfDeltas ? 0 : slots.length * DIGEST_BYTES);
    const shortPages: ShortPage[] = [];
    let [low, high] = [0, 0];
    for (const [place, [slot, digest]] of slots.entries()) {
      const bit = slot % FRAME_PAGES;
      if (bit < 32) low |= 1 << bit;
      else high |= 1 << (bit - 32);
      const page = this.#found.read(digest);
      if (page.length < PAGE_BYTES) shortPages.push({ slot, bytes: page.length });
      raw.set(page, place * PAGE_BYTES);
      if (!isOfDeltas) digests.set(digest, place * DIGEST_BYTES);
    }
    const head = { frame, pages: slots.length, slots: { low, high }, digests, shortPages };
    if (!isOfDeltas) writer.addFrame(head, encoder.encode(BLOCK.frame, raw, REPAIR_LEVEL));
    else {
      const copies = new Map(slots.map(([, digest], rank) => [rank, this.bases.of(digest)]));
      const deltas = encodeKeptDeltas(undefined, [...copies.keys()], (segment) => segment, copies);
      writer.addFrame(head, encoder.encode(BLOCK.deltaFrame, deltas, REPAIR_LEVEL));
    }
  }
}

function frameOf([slot]: FoundSlot): number {
  return Math.floor(slot / FRAME_PAGES);
}
