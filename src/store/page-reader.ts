/**
 * Reads pages by reference: finds the pack of a slot, decodes its frame into a bounded cache, and
 * copies runs of pages out of it. What it returns is checked by the caller against leaves.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import type { SegmentRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { FRAME_PAGES } from '../pack/format.ts';
import type { PackReader, SlotPlace } from '../pack/reader.ts';
import type { StoreContext } from './context.ts';

const FRAME_BYTES = FRAME_PAGES * PAGE_BYTES;
const MINIMUM_FRAMES = 8;
/** Frames of a segment, at most: 2^32 slots. */
const MAX_FRAMES = 2 ** 26;

/** Decoded frames, the least recently used one leaving first. */
export class PageReader {
  readonly #context: StoreContext;
  readonly #segments: SegmentRow[] = [];
  /** Frame key to its buffer; a Map iterates from the oldest entry to the newest. */
  readonly #frames = new Map<number, Uint8Array>();
  readonly #frameLimit: number;

  constructor(context: StoreContext) {
    this.#context = context;
    const frames = Math.floor(context.settings.cacheBytes / FRAME_BYTES);
    this.#frameLimit = Math.max(MINIMUM_FRAMES, frames);
    context.segments.refresh();
  }

  /** Locates the segments of a manifest; from here on, their local numbers are meant. */
  useSegments(identities: Manifest['segments'], snapshot: string): void {
    this.#segments.length = 0;
    for (const identity of identities) {
      const row = this.#context.segments.find(identity);
      if (row === undefined) {
        const file = this.#context.layout.catalogFile;
        throw new StoreError('CORRUPT', 'the catalog lacks a segment', { snapshot, file });
      }
      this.#segments.push(row);
    }
  }

  /** Copies `pages` pages, from `slot` of a segment on, into `target` at `offset`. */
  copy(segment: number, slot: number, pages: number, target: Uint8Array, offset: number): void {
    const { packName, local, number } = this.#segments[segment] as SegmentRow;
    // Looked up for each run: only the packs in use stay open.
    const pack = this.#context.packs.reader(packName);
    let done = 0;
    while (done < pages) {
      const first = slot + done;
      const place = pack.find(local, first);
      if (place === undefined) throw pack.corrupt(`slot ${first} is not in this pack`);
      const { table, index } = place;
      const rank = table.rankOf(index, first);
      // Slots that follow each other in a frame lie one after the other: copy them at once.
      const count = table.consecutive(index, first, pages - done);
      const key = number * MAX_FRAMES + table.entryAt(index).frame;
      const frame = this.#frame(key, pack, place);
      const start = rank * PAGE_BYTES;
      const bytes = frame.subarray(start, start + count * PAGE_BYTES);
      target.set(bytes, offset + done * PAGE_BYTES);
      done += count;
    }
  }

  #frame(key: number, pack: PackReader, place: SlotPlace): Uint8Array {
    const known = this.#frames.get(key);
    if (known !== undefined) {
      this.#frames.delete(key);
      this.#frames.set(key, known);
      return known;
    }
    const buffer = this.#takeBuffer();
    pack.readFrame(place.table, place.index, buffer);
    this.#frames.set(key, buffer);
    return buffer;
  }

  /** A new buffer, or that of the frame that was used longest ago. */
  #takeBuffer(): Uint8Array {
    if (this.#frames.size < this.#frameLimit) return new Uint8Array(FRAME_BYTES);
    for (const [key, buffer] of this.#frames) {
      this.#frames.delete(key);
      return buffer;
    }
    return new Uint8Array(FRAME_BYTES);
  }
}
