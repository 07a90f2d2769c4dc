/**
 * Reads pages by reference: a full page out of its frame, a delta page by following its chain down
 * to a full page and applying the deltas on the way back. Decoded frames stay in a bounded cache.
 *
 * Nothing here knows recipes or snapshots. What comes out is as good as the blocks' checksums; the
 * caller compares it with a digest. One decoder serves one thread.
 */
import { sameBytes } from '../bytes/hex.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import { FIRST_DELTA_SLOT } from '../bytes/slot.ts';
import { StoreError } from '../errors.ts';
import { applyDelta, MAX_DEPTH, memoryOf, type DeltaFrame } from './delta-frame.ts';
import { FRAME_BYTES, FRAME_PAGES } from './format.ts';
import { FrameCache, type CacheEntry } from './frame-cache.ts';
import type { FrameTable } from './frame-table.ts';
import type { PackSet } from './pack-set.ts';
import type { PackReader } from './reader.ts';
import type { SegmentTable } from './segment-table.ts';

/** Frames of a segment, of both kinds together: 2^32 slots. */
const MAX_FRAMES = 2 ** 26;
const MINIMUM_CACHE_BYTES = 8 * FRAME_BYTES;
/** Buffers that wait for their next frame; the others are given back. */
const MAX_SPARE = 8;

/** A frame in the cache: its pages, or its deltas. */
interface CachedFrame extends CacheEntry {
  readonly table: FrameTable;
  readonly index: number;
  readonly full: Buffer | undefined;
  /** With the numbers of the segments of the bases as the table has them; 0 for an unknown one. */
  readonly delta: DeltaFrame | undefined;
  readonly pack: PackReader;
}

/** Where the full page at the end of a chain goes, for pages whose depth is `from` or more. */
export interface RootTarget {
  readonly bytes: Uint8Array;
  readonly from: number;
}

/** Where a frame is. */
interface PlacedFrame {
  readonly pack: PackReader;
  readonly table: FrameTable;
  readonly index: number;
}

/** Reads pages. */
export class PageDecoder {
  /**
   * Of the page that was read last: its depth as its delta says, 0 for a full page. What stands on
   * it is deeper than that, even where a repair has made its chain shorter.
   */
  depth = 0;
  /** Of the page that was read last: the full page at the end of its chain. */
  rootSegment = 0;
  rootSlot = 0;
  /** Frames that were decoded so far. */
  framesDecoded = 0;
  readonly #packs: PackSet;
  #segments: SegmentTable | undefined;
  /** Whether frames that are known to be damaged are not even tried. */
  #refuseLost = false;
  readonly #frames: FrameCache<CachedFrame>;
  readonly #spare: Buffer[] = [];
  /** The frame used last at each depth: neighbours of a page are mostly in the same frames. */
  readonly #recent: (CachedFrame | undefined)[] = [];
  /** The deltas between the page that is being read and its root. */
  readonly #chain: CachedFrame[] = [];
  readonly #ranks = new Uint8Array(MAX_DEPTH + 1);
  readonly #needed = new Set<number>();

  /** @param cacheBytes of decoded frames to keep; at least 2 MiB are used. */
  constructor(packs: PackSet, cacheBytes: number) {
    this.#packs = packs;
    this.#frames = new FrameCache(Math.max(MINIMUM_CACHE_BYTES, cacheBytes), ({ full }) => {
      if (full !== undefined && this.#spare.length < MAX_SPARE) this.#spare.push(full);
    });
  }

  /** Begins to read for somebody: numbers of segments are those of this table from here on. */
  begin(segments: SegmentTable, refuseLost: boolean): void {
    this.#segments = segments;
    this.#refuseLost = refuseLost;
    this.#needed.clear();
    if (refuseLost && !this.#packs.lostFrames.isEmpty) this.#frames.clear();
  }

  /** Different frames that were needed since `begin`. */
  get framesNeeded(): number {
    return this.#needed.size;
  }

  /**
   * Writes the page in a slot, filled up with zeros to 4096 bytes, to `offset` of `target`.
   *
   * @param root gets the full page at the end of the chain, if the page is so deep.
   * @throws StoreError CORRUPT when any frame of the chain cannot be read.
   */
  read(segment: number, slot: number, target: Uint8Array, offset: number, root?: RootTarget): void {
    let [number, at, depth] = [segment, slot, 0];
    while (at >= FIRST_DELTA_SLOT) {
      const frame = this.#frame(number, at, depth);
      const delta = frame.delta as DeltaFrame;
      const rank = frame.table.rankOf(frame.index, at);
      if (depth > 0) this.#checkDepth(depth, frame, rank);
      this.#chain[depth] = frame;
      this.#ranks[depth] = rank;
      number = delta.baseSegment[rank] as number;
      at = delta.baseSlot[rank] as number;
      depth += 1;
      if (number === 0) throw this.#lost(frame, 'the base of a delta page is in no known segment');
    }
    const frame = this.#frame(number, at, depth);
    const start = frame.table.rankOf(frame.index, at) * PAGE_BYTES;
    copyPage(frame.full as Buffer, start, target, offset);
    this.depth = depth === 0 ? 0 : this.#depthAt(0);
    if (root !== undefined && this.depth >= root.from) {
      copyPage(frame.full as Buffer, start, root.bytes, 0);
    }
    this.rootSegment = number;
    this.rootSlot = at;
    for (let i = depth - 1; i >= 0; i--) {
      applyDelta(
        (this.#chain[i] as CachedFrame).delta as DeltaFrame,
        this.#ranks[i] as number,
        target,
        offset,
      );
    }
  }

  /** Writes the pages in consecutive slots, one after the other, as `read` does. */
  readRun(segment: number, slot: number, pages: number, target: Uint8Array, offset: number): void {
    let done = 0;
    while (done < pages) {
      const first = slot + done;
      if (first >= FIRST_DELTA_SLOT) {
        this.read(segment, first, target, offset + done * PAGE_BYTES);
        done += 1;
        continue;
      }
      if (this.#readWhole(segment, first, pages - done, target, offset + done * PAGE_BYTES)) {
        done += FRAME_PAGES;
        continue;
      }
      // Slots that follow each other in a frame lie one after the other: copied at once.
      const { table, index, full } = this.#frame(segment, first, 0);
      const count = table.consecutive(index, first, pages - done);
      const start = table.rankOf(index, first) * PAGE_BYTES;
      const end = start + count * PAGE_BYTES;
      (full as Buffer).copy(target, offset + done * PAGE_BYTES, start, end);
      done += count;
    }
  }

  /** A frame that is wanted as a whole is decoded where it is wanted, past the cache. */
  #readWhole(
    segment: number,
    slot: number,
    pages: number,
    target: Uint8Array,
    offset: number,
  ): boolean {
    const key = segment * MAX_FRAMES + slot / FRAME_PAGES;
    if (slot % FRAME_PAGES !== 0 || pages < FRAME_PAGES || this.#frames.get(key)) return false;
    const { pack, table, index } = this.#locate(segment, slot);
    if (table.pagesAt(index) < FRAME_PAGES) return false;
    this.framesDecoded += 1;
    this.#needed.add(key);
    pack.readFrame(table, index, target.subarray(offset, offset + FRAME_BYTES));
    return true;
  }

  /** Says that a page does not hold what was written. */
  reportLost(segment: number, slot: number): void {
    const { pack, table, index } = this.#frame(segment, slot, 0);
    pack.reportLost(table, index);
  }

  /** A base is less deep than what stands on it: chains end, and are no longer than they say. */
  #checkDepth(depth: number, frame: CachedFrame, rank: number): void {
    if (((frame.delta as DeltaFrame).depth[rank] as number) < this.#depthAt(depth - 1)) return;
    const above = this.#chain[depth - 1] as CachedFrame;
    throw this.#lost(above, 'a delta page is not deeper than its base');
  }

  /** What a delta of the chain says that its depth is. */
  #depthAt(place: number): number {
    const { depth } = (this.#chain[place] as CachedFrame).delta as DeltaFrame;
    return depth[this.#ranks[place] as number] as number;
  }

  #lost(frame: CachedFrame, message: string): Error {
    frame.pack.reportLost(frame.table, frame.index);
    return frame.pack.corrupt(message, frame.table.entryAt(frame.index).offset);
  }

  #frame(segment: number, slot: number, depth: number): CachedFrame {
    const key = segment * MAX_FRAMES + Math.floor(slot / FRAME_PAGES);
    const recent = this.#recent[depth];
    const isRecent = recent?.key === key && recent.place >= 0;
    let frame = isRecent ? recent : this.#frames.get(key);
    // A frame of which a repair has healed a part is in two pieces, with one number.
    if (!frame?.table.holds(frame.index, slot)) frame = this.#load(key, segment, slot);
    if (!isRecent) this.#needed.add(key);
    this.#recent[depth] = frame;
    return frame;
  }

  #load(key: number, segment: number, slot: number): CachedFrame {
    const { pack, table, index } = this.#locate(segment, slot);
    const frame =
      slot < FIRST_DELTA_SLOT
        ? this.#loadFull(key, pack, table, index)
        : this.#loadDelta(key, pack, table, index);
    this.framesDecoded += 1;
    this.#frames.add(frame);
    return frame;
  }

  #locate(segment: number, slot: number): PlacedFrame {
    const segments = this.#segments as SegmentTable;
    if (!segments.has(segment)) {
      throw new StoreError('CORRUPT', 'a page is in a segment that no pack holds');
    }
    const pack = this.#packs.reader(segments.packName(segment));
    const local = segments.local(segment);
    // Bases are found by what rows say that nobody has checked.
    const identity = pack.footer.references[local];
    if (identity === undefined || !sameBytes(identity, segments.identity(segment))) {
      throw pack.corrupt('the catalog says that a segment is in this pack, and it is not');
    }
    const place = pack.find(local, slot);
    if (place === undefined) throw missing(pack, slot);
    const { table, index } = place;
    if (this.#refuseLost && pack.isLost(table, index)) {
      throw pack.corrupt('a frame is known to be damaged', table.entryAt(index).offset);
    }
    return { pack, table, index };
  }

  #loadFull(key: number, pack: PackReader, table: FrameTable, index: number): CachedFrame {
    this.#frames.makeRoom(FRAME_BYTES);
    const full = this.#spare.pop() ?? Buffer.allocUnsafeSlow(FRAME_BYTES);
    try {
      pack.readFrame(table, index, full);
    } catch (error) {
      this.#spare.push(full);
      throw error;
    }
    return { key, bytes: FRAME_BYTES, place: -1, table, index, full, delta: undefined, pack };
  }

  #loadDelta(key: number, pack: PackReader, table: FrameTable, index: number): CachedFrame {
    const delta = pack.readDeltaFrame(table, index);
    const bytes = memoryOf(delta);
    this.#frames.makeRoom(bytes);
    this.#nameBases(pack, delta);
    return { key, bytes, place: -1, table, index, full: undefined, delta, pack };
  }

  /** Neighbours mostly have their bases in one segment. */
  #nameBases(pack: PackReader, { baseSegment }: DeltaFrame): void {
    let [local, number] = [-1, 0];
    for (let i = 0; i < baseSegment.length; i++) {
      if (baseSegment[i] !== local) {
        local = baseSegment[i] as number;
        number = this.#numberOf(pack, local);
      }
      baseSegment[i] = number;
    }
  }

  #numberOf(pack: PackReader, local: number): number {
    const identity = pack.footer.references[local];
    return identity === undefined ? 0 : (this.#segments as SegmentTable).find(identity);
  }
}

/** Without a view for each page: they were most of what the collector had to do. */
function copyPage(from: Buffer, start: number, target: Uint8Array, offset: number): void {
  from.copy(target, offset, start, start + PAGE_BYTES);
}

function missing(pack: PackReader, slot: number): Error {
  return pack.corrupt(`slot ${slot} is not in this pack`);
}
