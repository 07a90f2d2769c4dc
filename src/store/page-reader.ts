/**
 * Reads pages by reference: finds the pack of a slot, decodes its frame into a bounded cache, and
 * copies runs of pages out of it. What it returns is checked by the caller against leaves.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import { StoreError } from '../errors.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { FRAME_PAGES } from '../pack/format.ts';
import type { PackReader } from '../pack/reader.ts';
import type { StoreContext } from './context.ts';

const FRAME_BYTES = FRAME_PAGES * PAGE_BYTES;
const MINIMUM_FRAMES = 8;
/** Frames of a segment, at most: 2^32 slots. */
const MAX_FRAMES = 2 ** 26;

/** A segment of the manifest, found: the pack that holds it and its number there. */
interface LocatedSegment {
  readonly pack: PackReader;
  readonly local: number;
  /** Number in the catalog: tells the frames of different segments apart in the cache. */
  readonly number: number;
}

/** Decoded frames, the least recently used one leaving first. */
export class PageReader {
  readonly #context: StoreContext;
  readonly #segments: LocatedSegment[] = [];
  /** Frame key to its buffer; a Map iterates from the oldest entry to the newest. */
  readonly #frames = new Map<number, Uint8Array>();
  readonly #frameLimit: number;
  #framesDecoded = 0;

  constructor(context: StoreContext) {
    this.#context = context;
    const frames = Math.floor(context.settings.cacheBytes / FRAME_BYTES);
    this.#frameLimit = Math.max(MINIMUM_FRAMES, frames);
    context.segments.refresh();
  }

  /** Frames that were decoded so far. */
  get framesDecoded(): number {
    return this.#framesDecoded;
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
      const pack = this.#context.packs.reader(row.packName);
      this.#segments.push({ pack, local: row.local, number: row.number });
    }
  }

  /** Copies `pages` pages, from `slot` of a segment on, into `target` at `offset`. */
  copy(segment: number, slot: number, pages: number, target: Uint8Array, offset: number): void {
    const located = this.#segments[segment] as LocatedSegment;
    let done = 0;
    while (done < pages) {
      const first = slot + done;
      const place = located.pack.find(located.local, first);
      if (place === undefined) throw located.pack.corrupt(`slot ${first} is not in this pack`);
      const { table, index } = place;
      const rank = table.rankOf(index, first);
      // Slots that follow each other in a frame lie one after the other: copy them at once.
      const count = table.consecutive(index, first, pages - done);
      const frame = this.#frame(located, table.entryAt(index).frame, place);
      const start = rank * PAGE_BYTES;
      const bytes = frame.subarray(start, start + count * PAGE_BYTES);
      target.set(bytes, offset + done * PAGE_BYTES);
      done += count;
    }
  }

  #frame(
    located: LocatedSegment,
    frame: number,
    place: NonNullable<ReturnType<PackReader['find']>>,
  ): Uint8Array {
    const key = located.number * MAX_FRAMES + frame;
    const known = this.#frames.get(key);
    if (known !== undefined) {
      this.#frames.delete(key);
      this.#frames.set(key, known);
      return known;
    }
    const buffer = this.#takeBuffer();
    located.pack.readFrame(place.table, place.index, buffer);
    this.#framesDecoded += 1;
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
