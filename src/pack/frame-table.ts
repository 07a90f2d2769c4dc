/**
 * The frame table of a segment, in columns: where each frame of up to 64 pages is, which slots it
 * holds, and where their digests are. Pure; the layout is in FORMAT.md, section 3.
 *
 * Capacity: 32 bytes of memory for a frame, half a byte for a page: 2.5 MB for 5 million pages.
 */
import { ByteReader } from '../bytes/reader.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { StoreError } from '../errors.ts';
import {
  FIRST_DELTA_FRAME,
  FRAME_ENTRY_BYTES,
  FRAME_KIND,
  FRAME_PAGES,
  TABLE_FRAMES,
} from './format.ts';

/** One line of the table. */
export interface FrameEntry {
  /** Number of the frame in its segment. */
  readonly frame: number;
  /** Bit i: slot 64 * frame + i is here. Bits 0 to 31, and 32 to 63. */
  readonly slotsLow: number;
  readonly slotsHigh: number;
  /** Where the frame's block starts in the pack, and its length with the block header. */
  readonly offset: number;
  readonly blockBytes: number;
  /** Where the digest of the frame's first page is in the pack; 0 for delta pages, without any. */
  readonly digestsOffset: number;
}

/** A page shorter than 4096 bytes. */
export interface ShortPage {
  readonly slot: number;
  readonly bytes: number;
}

/** A decoded frame table: find a slot's frame, its place there and its length. */
export class FrameTable {
  readonly #frames: Uint32Array;
  readonly #slotsLow: Uint32Array;
  readonly #slotsHigh: Uint32Array;
  readonly #offsets: Float64Array;
  readonly #blockBytes: Uint32Array;
  readonly #digestsOffsets: Float64Array;
  readonly #shortPages = new Map<number, number>();

  /** @internal Use {@link decodeFrameTable}. */
  constructor(entries: readonly FrameEntry[], shortPages: readonly ShortPage[]) {
    this.#frames = Uint32Array.from(entries, (entry) => entry.frame);
    this.#slotsLow = Uint32Array.from(entries, (entry) => entry.slotsLow);
    this.#slotsHigh = Uint32Array.from(entries, (entry) => entry.slotsHigh);
    this.#offsets = Float64Array.from(entries, (entry) => entry.offset);
    this.#blockBytes = Uint32Array.from(entries, (entry) => entry.blockBytes);
    this.#digestsOffsets = Float64Array.from(entries, (entry) => entry.digestsOffset);
    for (const page of shortPages) this.#shortPages.set(page.slot, page.bytes);
  }

  /** Frames listed. */
  get length(): number {
    return this.#frames.length;
  }

  /** The index of a slot's frame in this table, or -1 when the slot is not here. */
  indexOf(slot: number): number {
    const frame = Math.floor(slot / FRAME_PAGES);
    let low = 0;
    let high = this.#frames.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#frames[middle] as number) < frame) low = middle + 1;
      else high = middle;
    }
    return this.#frames[low] === frame && this.holds(low, slot) ? low : -1;
  }

  /** The place of a slot among the pages of its frame, which must be at `index`. */
  rankOf(index: number, slot: number): number {
    const bit = slot % FRAME_PAGES;
    const low = this.#slotsLow[index] as number;
    const high = this.#slotsHigh[index] as number;
    if (bit < 32) return countBits(low & lowBits(bit));
    return countBits(low) + countBits(high & lowBits(bit - 32));
  }

  /** How many slots from `slot` on, at most `limit`, are in the frame at `index` without a gap. */
  consecutive(index: number, slot: number, limit: number): number {
    const end = ((this.#frames[index] as number) + 1) * FRAME_PAGES;
    const most = Math.min(limit, end - slot);
    let count = 1;
    while (count < most && this.holds(index, slot + count)) count += 1;
    return count;
  }

  /** Whether a slot is in the frame at `index`, which must be the frame of that number. */
  holds(index: number, slot: number): boolean {
    const bit = slot % FRAME_PAGES;
    const word = bit < 32 ? this.#slotsLow[index] : this.#slotsHigh[index];
    return (((word as number) >>> (bit & 31)) & 1) === 1;
  }

  /** Pages in the frame at `index`. */
  pagesAt(index: number): number {
    return countBits(this.#slotsLow[index] as number) + countBits(this.#slotsHigh[index] as number);
  }

  /** The slots of the frame at `index`, ascending. */
  slotsAt(index: number): number[] {
    const first = (this.#frames[index] as number) * FRAME_PAGES;
    const slots: number[] = [];
    for (let slot = first; slot < first + FRAME_PAGES; slot++) {
      if (this.holds(index, slot)) slots.push(slot);
    }
    return slots;
  }

  /** The line at `index`. */
  entryAt(index: number): FrameEntry {
    return {
      frame: this.#frames[index] as number,
      slotsLow: this.#slotsLow[index] as number,
      slotsHigh: this.#slotsHigh[index] as number,
      offset: this.#offsets[index] as number,
      blockBytes: this.#blockBytes[index] as number,
      digestsOffset: this.#digestsOffsets[index] as number,
    };
  }

  /** Whether the frame at `index` holds delta pages. */
  isDelta(index: number): boolean {
    return (this.#frames[index] as number) >= FIRST_DELTA_FRAME;
  }

  /** The length of a slot's page. */
  pageBytes(slot: number): number {
    return this.#shortPages.get(slot) ?? PAGE_BYTES;
  }
}

/** How many bits are set (Warren, Hacker's Delight, figure 5-2). */
export function countBits(word: number): number {
  let value = word - ((word >>> 1) & 0x55555555);
  value = (value & 0x33333333) + ((value >>> 2) & 0x33333333);
  return Math.imul((value + (value >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The word whose lowest `count` bits are set; `count` is below 32. */
export function lowBits(count: number): number {
  return (1 << count) - 1;
}

/** The table's bytes. */
export function encodeFrameTable(
  entries: readonly FrameEntry[],
  shortPages: readonly ShortPage[],
): Uint8Array {
  const writer = new ByteWriter(8 + entries.length * FRAME_ENTRY_BYTES + shortPages.length * 8);
  writer.u32(entries.length);
  writer.u32(shortPages.length);
  for (const entry of entries) {
    writer.u32(entry.frame);
    writer.u32(kindOf(entry.frame));
    writer.u32(entry.slotsLow);
    writer.u32(entry.slotsHigh);
    writer.u64(entry.offset);
    writer.u32(entry.blockBytes);
    writer.u32(0);
    writer.u64(entry.digestsOffset);
  }
  for (const page of shortPages) {
    writer.u32(page.slot);
    writer.u32(page.bytes);
  }
  return writer.bytes();
}

/** @throws StoreError CORRUPT; UNSUPPORTED_VERSION for a kind of frame this version cannot read. */
export function decodeFrameTable(bytes: Uint8Array, file: string, offset: number): FrameTable {
  const reader = new ByteReader(bytes, { code: 'CORRUPT', file, offset });
  const frameCount = reader.u32();
  const shortCount = reader.u32();
  const expected = frameCount * FRAME_ENTRY_BYTES + shortCount * 8;
  if (frameCount > TABLE_FRAMES || reader.remaining !== expected) {
    throw reader.fail('frame table of the wrong size');
  }
  const entries = Array.from({ length: frameCount }, () => decodeEntry(reader, file, offset));
  for (let i = 1; i < entries.length; i++) {
    const [before, entry] = [entries[i - 1], entries[i]] as [FrameEntry, FrameEntry];
    if (entry.frame <= before.frame) throw reader.fail('frames out of order');
  }
  const shortPages = Array.from({ length: shortCount }, () => decodeShortPage(reader));
  reader.end();
  return new FrameTable(entries, shortPages);
}

function decodeEntry(reader: ByteReader, file: string, tableOffset: number): FrameEntry {
  const frame = reader.u32();
  const kind = reader.u32();
  if (kind !== kindOf(frame)) {
    const message = `frame of unknown kind ${kind}`;
    throw new StoreError('UNSUPPORTED_VERSION', message, { file, offset: tableOffset });
  }
  const slotsLow = reader.u32();
  const slotsHigh = reader.u32();
  const offset = reader.u64();
  const blockBytes = reader.u32();
  if (reader.u32() !== 0) throw reader.fail('reserved bytes are not zero');
  return { frame, slotsLow, slotsHigh, offset, blockBytes, digestsOffset: reader.u64() };
}

function kindOf(frame: number): number {
  return frame < FIRST_DELTA_FRAME ? FRAME_KIND.full : FRAME_KIND.delta;
}

function decodeShortPage(reader: ByteReader): ShortPage {
  const slot = reader.u32();
  const bytes = reader.u32();
  if (bytes === 0 || bytes >= PAGE_BYTES) throw reader.fail(`short page of ${bytes} bytes`);
  return { slot, bytes };
}
