/**
 * What becomes of the frames of a pack that is written once more: which of their pages are right,
 * found elsewhere, or lost. A frame of which only some pages were found is two parts: those, and
 * the rest as it was, damaged, with the digests by which it may be found later: zeros where their
 * block of digests is damaged too and nothing else tells.
 */
import { DIGEST_BYTES } from '#digest';
import { framesOf, type FramePlace } from '../pack/frame-layers.ts';
import type { PackReader } from '../pack/reader.ts';
import type { FoundPages } from './repair-found-pages.ts';
import { neededSlots, type NeededSlots } from './repair-needed-slots.ts';
import type { RepairWork } from './repair-plan.ts';
import type { ScannedPack } from './repair-scan.ts';

/** A part of a frame, as it is written. */
export interface FramePart extends FramePlace {
  readonly kind: 'right' | 'healed' | 'lost';
  /** Which of the frame's pages. */
  readonly ranks: readonly number[];
  /** Digests of those of them that were found, by their places in the frame. */
  readonly found: ReadonlyMap<number, Uint8Array>;
  /** Of full pages that are lost: what is known of the digests of all pages of the frame. */
  readonly digests: Uint8Array | undefined;
}

/** The parts of a segment. */
export interface SegmentParts {
  readonly identity: Uint8Array;
  readonly parts: readonly FramePart[];
  /** Slots that no table lists which can be read. */
  readonly unlisted: NeededSlots;
}

const NOTHING: ReadonlyMap<number, Uint8Array> = new Map();

/**
 * Whether a pack is written once more only for its digests: nobody needs them to read pages, and
 * one that lacks anything else would stay beside what is written, for what it may still hold.
 */
export function needsDigests({ hasDigests, hasTables, hasManifests }: ScannedPack): boolean {
  return !hasDigests && hasTables && hasManifests;
}

/** Whether anything was found that a pack has lost, or its digests are to be computed. */
export async function isFound(
  work: RepairWork,
  pack: ScannedPack,
  found: FoundPages,
): Promise<boolean> {
  if (needsDigests(pack)) return true;
  const segments = await segmentsOf(work, pack, found);
  return segments.some(
    ({ parts, unlisted }) =>
      unlisted.found.length > 0 || parts.some(({ kind }) => kind === 'healed'),
  );
}

/** What becomes of the frames of a pack. */
export async function segmentsOf(
  work: RepairWork,
  pack: ScannedPack,
  found: FoundPages,
): Promise<SegmentParts[]> {
  const reader = work.packs.reader(pack.name);
  const segments: SegmentParts[] = [];
  for (const { local, identity } of pack.segments) {
    const findable = new Findable(found, pack, identity);
    const parts = await partsOf(work, { reader, findable }, local);
    segments.push({ identity, parts, unlisted: findable.unlisted() });
  }
  return segments;
}

/** Which lost pages of a segment can be had from elsewhere: none for a copy that nobody reads. */
class Findable {
  readonly #found: FoundPages;
  readonly #number: number;

  constructor(found: FoundPages, { name }: ScannedPack, identity: Uint8Array) {
    const { segments } = found.draft;
    this.#found = found;
    // Where several packs have a segment, readers look for it in one of them.
    const number = segments.find(identity);
    this.#number = segments.at(number)?.packName === name ? number : 0;
  }

  /** Slots that are needed and in no table that can be read. */
  unlisted(): NeededSlots {
    if (this.#number === 0) return { segment: 0, found: [], lost: [] };
    return neededSlots(this.#found, this.#number);
  }

  /** The digest of a delta page that is lost, if it is known and the page is there. */
  delta(slot: number): Uint8Array | undefined {
    const digest = this.#found.lost.digestOf(this.#number, slot);
    return digest !== undefined && this.has(digest) ? digest : undefined;
  }

  /** Puts what is known of the digests of lost pages where there are zeros. */
  fillDigests(digests: Uint8Array, slots: readonly number[]): Uint8Array {
    for (const [rank, slot] of slots.entries()) {
      const start = rank * DIGEST_BYTES;
      if (digests.subarray(start, start + DIGEST_BYTES).some((byte) => byte !== 0)) continue;
      const digest = this.#found.lost.digestOf(this.#number, slot);
      if (digest !== undefined) digests.set(digest, start);
    }
    return digests;
  }

  /** Whether a page is there. */
  has(digest: Uint8Array): boolean {
    return this.#number > 0 && this.#found.has(digest);
  }
}

/** A pack, and what is known of what it has lost of one segment. */
interface PartSource {
  readonly reader: PackReader;
  readonly findable: Findable;
}

async function partsOf(
  { pacer }: RepairWork,
  source: PartSource,
  local: number,
): Promise<FramePart[]> {
  const parts: FramePart[] = [];
  for (const place of framesOf(source.reader.tables.readable(local))) {
    parts.push(...partsOfFrame(source, place));
    await pacer.pause();
  }
  return parts;
}

function partsOfFrame({ reader, findable }: PartSource, { table, index }: FramePlace): FramePart[] {
  const slots = table.slotsAt(index);
  const ranks = [...slots.keys()];
  const isLost = reader.isLost(table, index);
  const isDelta = table.isDelta(index);
  const found = new Map<number, Uint8Array>();
  let digests: Uint8Array | undefined;
  if (isDelta) {
    for (const [rank, slot] of slots.entries()) {
      const digest = findable.delta(slot);
      if (digest !== undefined) found.set(rank, digest);
    }
  } else if (isLost) {
    const known = reader.digestBlocks.areRight(table, index)
      ? reader.frameDigests(table, index)
      : new Uint8Array(slots.length * DIGEST_BYTES);
    digests = findable.fillDigests(known, slots);
    for (const rank of ranks) {
      const digest = digests.subarray(rank * DIGEST_BYTES, (rank + 1) * DIGEST_BYTES);
      if (findable.has(digest)) found.set(rank, digest);
    }
  }
  if (!isLost) {
    const kind = found.size > 0 ? 'healed' : 'right';
    return [{ table, index, kind, ranks, found, digests }];
  }
  const left = ranks.filter((rank) => !found.has(rank));
  const parts: FramePart[] = [
    { table, index, kind: 'healed', ranks: [...found.keys()], found, digests },
    { table, index, kind: 'lost', ranks: left, found: NOTHING, digests },
  ];
  return parts.filter((part) => part.ranks.length > 0);
}
