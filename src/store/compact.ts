/**
 * Writes what is needed of some packs into one new pack: frames of which all pages are needed as
 * they are, others once more without the rest, and manifests. Segments keep their identities and
 * pages their slots, so that no recipe changes.
 *
 * Everything that is copied has been found right by its checksum: damage is never given a new one.
 */
import { DIGEST_BYTES } from '#digest';
import { idFromText } from '../bytes/id.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import type { Replacement } from '../catalog/collection-table.ts';
import { BlockEncoder } from '../pack/block.ts';
import { BLOCK, BLOCK_HEADER_BYTES, FRAME_BYTES, FRAME_PAGES } from '../pack/format.ts';
import { frameLayers, framesOf } from '../pack/frame-layers.ts';
import { countBits, type FrameTable, type ShortPage } from '../pack/frame-table.ts';
import { encodeKeptDeltas } from '../pack/kept-deltas.ts';
import type { PackReader } from '../pack/reader.ts';
import type { SlotSet } from '../pack/slot-set.ts';
import type { CollectedFrame, PackWriter } from '../pack/writer.ts';
import type { Pacer } from './clock.ts';
import type { StoreContext } from './context.ts';
import type { PackSurvey, SegmentSurvey } from './survey.ts';

/** What a compaction has written: a part of a replacement. */
export type Compacted = Pick<Replacement, 'segments' | 'goneSegments' | 'manifests'>;

/** Writes packs into one. */
export class Compaction {
  readonly #context: StoreContext;
  readonly #writer: PackWriter;
  readonly #pacer: Pacer;
  readonly #encoder: BlockEncoder;
  readonly #frame = new Uint8Array(FRAME_BYTES);
  /** What was encoded, decoded again. */
  readonly #decoded = new Uint8Array(FRAME_BYTES);
  /** Local numbers of the pack that is read to those of the new one. */
  #locals: number[] = [];
  readonly #segments: Compacted['segments'][number][] = [];
  readonly #goneSegments: number[] = [];
  readonly #manifests: string[] = [];

  constructor(context: StoreContext, writer: PackWriter, pacer: Pacer) {
    this.#context = context;
    this.#writer = writer;
    this.#pacer = pacer;
    this.#encoder = new BlockEncoder(context.zstd);
  }

  /** What has been written so far. */
  get written(): Compacted {
    const [segments, goneSegments] = [this.#segments, this.#goneSegments];
    return { segments, goneSegments, manifests: this.#manifests };
  }

  /** Digests of the manifests that have been written so far. */
  readonly manifestDigests: Uint8Array[] = [];

  /** Writes what is needed of a pack. @throws StoreError CORRUPT when it is damaged. */
  async add(survey: PackSurvey): Promise<void> {
    const reader = this.#context.packs.reader(survey.name);
    // Digests are copied without being looked at: here their checksums are.
    reader.digestBlocks.check();
    this.#locals = [];
    for (const segment of survey.segments) {
      if (segment.livePages === 0) this.#goneSegments.push(segment.number);
      else await this.#addSegment(reader, segment);
    }
    for (const { id, manifestDigest: digest, revision } of survey.manifests) {
      const bytes = reader.readManifest(digest);
      const snapshotId = idFromText(id) as Uint8Array;
      const parts = this.#writer.addManifestParts({ snapshotId, revision, digest, bytes });
      for (const _ of parts) await this.#pacer.pause();
      this.manifestDigests.push(digest);
      this.#manifests.push(id);
    }
  }

  async #addSegment(reader: PackReader, segment: SegmentSurvey): Promise<void> {
    const { identity, number, livePages: pages, dead } = segment;
    const before = this.#writer.frameBytes;
    const local = this.#writer.reference(identity);
    const frames = framesOf(reader.frameTables(segment.local));
    for (const layer of frameLayers(frames, ({ table, index }) => table.entryAt(index).frame)) {
      this.#writer.beginSegment(identity);
      for (const { table, index } of layer) {
        this.#addFrame(reader, table, index, dead);
        await this.#pacer.pause();
      }
      this.#writer.endSegment();
    }
    const frameBytes = this.#writer.frameBytes - before;
    this.#segments.push({ number, identity, local, pages, frameBytes });
  }

  #addFrame(reader: PackReader, table: FrameTable, index: number, dead: SlotSet): void {
    const { frame, slotsLow, slotsHigh } = table.entryAt(index);
    const slots = { low: slotsLow & ~dead.lowOf(frame), high: slotsHigh & ~dead.highOf(frame) };
    const pages = countBits(slots.low) + countBits(slots.high);
    if (pages === 0) return;
    const isWhole = pages === table.pagesAt(index);
    const shortPages = shortPagesOf(table, index, dead);
    const head = { frame, pages, slots, shortPages };
    if (table.isDelta(index)) this.#addDeltas(reader, table, index, { head, dead, isWhole });
    else if (isWhole) {
      const digests = reader.frameDigests(table, index);
      this.#writer.addFrame({ ...head, digests }, reader.frameBlock(table, index));
    } else this.#addSomePages(reader, table, index, { head, dead });
  }

  #addSomePages(
    reader: PackReader,
    table: FrameTable,
    index: number,
    { head, dead }: { readonly head: FrameHead; readonly dead: SlotSet },
  ): void {
    reader.readFrame(table, index, this.#frame);
    const digests = reader.frameDigests(table, index).slice();
    const slots = table.slotsAt(index);
    let kept = 0;
    for (let rank = 0; rank < slots.length; rank++) {
      if (dead.has(slots[rank] as number)) continue;
      // In place, without a view of each page.
      if (kept < rank) {
        this.#frame.copyWithin(kept * PAGE_BYTES, rank * PAGE_BYTES, (rank + 1) * PAGE_BYTES);
        digests.copyWithin(kept * DIGEST_BYTES, rank * DIGEST_BYTES, (rank + 1) * DIGEST_BYTES);
      }
      kept += 1;
    }
    const raw = this.#frame.subarray(0, kept * PAGE_BYTES);
    const collected = { ...head, digests: digests.subarray(0, kept * DIGEST_BYTES) };
    this.#writer.addFrame(collected, this.#encode(BLOCK.frame, raw));
  }

  #addDeltas(
    reader: PackReader,
    table: FrameTable,
    index: number,
    what: { readonly head: FrameHead; readonly dead: SlotSet; readonly isWhole: boolean },
  ): void {
    const { references } = reader.footer;
    const ranks: number[] = [];
    for (const [rank, slot] of table.slotsAt(index).entries()) {
      if (!what.dead.has(slot)) ranks.push(rank);
    }
    const frame = reader.readDeltaFrame(table, index);
    let isSame = what.isWhole;
    const localOf = (segment: number): number => {
      const known = this.#locals[segment];
      if (known !== undefined) return known;
      const identity = references[segment];
      if (identity === undefined) throw reader.corrupt('a delta refers to no segment');
      return (this.#locals[segment] = this.#writer.reference(identity));
    };
    for (const rank of ranks) {
      const segment = frame.baseSegment[rank] as number;
      if (localOf(segment) !== segment) isSame = false;
    }
    const collected = { ...what.head, digests: new Uint8Array(0) };
    if (isSame) this.#writer.addFrame(collected, reader.frameBlock(table, index));
    else {
      const raw = encodeKeptDeltas(frame, ranks, localOf);
      this.#writer.addFrame(collected, this.#encode(BLOCK.deltaFrame, raw));
    }
  }

  #encode(type: number, raw: Uint8Array): Uint8Array {
    const { zstd, settings } = this.#context;
    const block = this.#encoder.encode(type, raw, settings.compressionLevel);
    // A compressor may be wrong, and what it was given is about to be deleted: 0.1 ms a frame.
    const stored = block.subarray(BLOCK_HEADER_BYTES);
    const isStored = stored.length === raw.length;
    const decoded = isStored ? stored.length : zstd.decompressInto(this.#decoded, stored);
    const same = isStored ? stored : this.#decoded.subarray(0, decoded);
    if (Buffer.compare(same, raw) !== 0) throw new Error('a frame does not decode to what it was');
    return block;
  }
}

type FrameHead = Omit<CollectedFrame, 'digests'>;

function shortPagesOf(table: FrameTable, index: number, dead: SlotSet): ShortPage[] {
  const pages: ShortPage[] = [];
  const first = table.entryAt(index).frame * FRAME_PAGES;
  for (let slot = first; slot < first + FRAME_PAGES; slot++) {
    const bytes = table.pageBytes(slot);
    if (bytes < PAGE_BYTES && table.holds(index, slot) && !dead.has(slot)) {
      pages.push({ slot, bytes });
    }
  }
  return pages;
}
