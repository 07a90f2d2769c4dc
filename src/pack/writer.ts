/**
 * Writes a pack front to back into a sink: the frames of a segment, then manifests, footer and
 * trailer. One pack is written once; `finish` returns its name.
 *
 * Frames come as blocks that somebody has encoded, perhaps on another thread; collecting pages into
 * frames is the business of frame-builder.ts. Memory is bounded whatever is written: 8192 digests,
 * and 4096 lines of each of the two frame tables, of full and of delta pages.
 */
import { DIGEST_BYTES, startSha256, type Hasher } from '#digest';
import { toHex } from '../bytes/hex.ts';
import type { Zstd } from '../bytes/zstd.ts';
import { BlockEncoder } from './block.ts';
import { encodeFooter, type FooterEntry } from './footer.ts';
import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  encodePackHeader,
  encodeTrailer,
  FIRST_DELTA_FRAME,
  FRAME_PAGES,
  PACK_HEADER_BYTES,
  PART_BYTES,
  TABLE_FRAMES,
} from './format.ts';
import {
  countBits,
  encodeFrameTable,
  lowBits,
  type FrameEntry,
  type ShortPage,
} from './frame-table.ts';

/** Where a pack's bytes go, one after the other. */
export interface Sink {
  write(bytes: Uint8Array): void;
}

/** What a finished pack is called, and how long it is. */
export interface FinishedPack {
  /** SHA-256 of all bytes, in hex: the file's name. */
  readonly name: string;
  readonly sizeBytes: number;
}

/** A manifest to be stored. */
export interface ManifestToWrite {
  readonly snapshotId: Uint8Array;
  readonly revision: number;
  /** SHA-256 of `bytes`. */
  readonly digest: Uint8Array;
  readonly bytes: Uint8Array;
}

/** A frame whose pages have been collected: its block is yet to be encoded. */
export interface CollectedFrame {
  /** Number of the frame in its segment. */
  readonly frame: number;
  readonly pages: number;
  /** Which of its slots they are, as bits: the first ones, unless given. */
  readonly slots?: { readonly low: number; readonly high: number } | undefined;
  /** 32 bytes for each page; empty for delta pages. */
  readonly digests: Uint8Array;
  readonly shortPages: readonly ShortPage[];
}

/** Frames whose digests go into one block: 256 KiB of digests, read back 32 bytes at a time. */
const DIGESTS_FRAMES = 128;
/** Manifests are small and kept for long: 6 saves 6 % over 1, and costs 0.2 ms for 17 KB. */
const MANIFEST_LEVEL = 6;
/** A part of 1 MiB would hold the thread for 40 ms at that level, and does for 4 ms at 1. */
const LARGE_BYTES = 256 * 1024;
const LARGE_LEVEL = 1;

/** The lines of one kind of frames that wait to be written as a table. */
interface PendingTable {
  entries: FrameEntry[];
  shortPages: ShortPage[];
}

/** Writes one pack. */
export class PackWriter {
  readonly #sink: Sink;
  readonly #encoder: BlockEncoder;
  readonly #hasher: Hasher = startSha256();
  readonly #references: Uint8Array[] = [];
  /** Their numbers, by identities in hex. */
  readonly #numbers = new Map<string, number>();
  readonly #entries: FooterEntry[] = [];
  readonly #digests = new Uint8Array(DIGESTS_FRAMES * FRAME_PAGES * DIGEST_BYTES);
  readonly #full: PendingTable = { entries: [], shortPages: [] };
  readonly #delta: PendingTable = { entries: [], shortPages: [] };
  #offset = 0;
  #frameBytes = 0;
  #segment = 0;
  #digestCount = 0;
  /** How many lines of the table of full frames still wait for their digests' offset. */
  #undigestedFrames = 0;

  constructor(sink: Sink, zstd: Zstd) {
    this.#sink = sink;
    this.#encoder = new BlockEncoder(zstd);
    this.#write(encodePackHeader());
  }

  /** Bytes of the blocks of all frames so far: what the pages themselves take. */
  get frameBytes(): number {
    return this.#frameBytes;
  }

  /** Bytes written so far. */
  get sizeBytes(): number {
    return this.#offset;
  }

  /** The local number of a segment in this pack, given by its identity. The first is 0. */
  reference(identity: Uint8Array): number {
    const key = toHex(identity);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#references.push(identity) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** Begins a segment: the frames added from here on are its. */
  beginSegment(identity: Uint8Array): void {
    this.#segment = this.reference(identity);
  }

  /**
   * Adds a frame; those of one kind come by ascending numbers.
   *
   * @param block the encoded block of its pages.
   */
  addFrame({ frame, pages, slots, digests, shortPages }: CollectedFrame, block: Uint8Array): void {
    const isDelta = frame >= FIRST_DELTA_FRAME;
    const table = isDelta ? this.#delta : this.#full;
    const { low, high } = slots ?? firstSlots(pages);
    table.entries.push({
      frame,
      slotsLow: low >>> 0,
      slotsHigh: high >>> 0,
      offset: this.#offset,
      blockBytes: block.length,
      digestsOffset: 0,
    });
    table.shortPages.push(...shortPages);
    this.#write(block);
    this.#frameBytes += block.length;
    if (!isDelta) this.#addDigests(digests);
    // Only at TABLE_FRAMES, a multiple of DIGESTS_FRAMES, so that no line waits for its digests.
    if (table.entries.length === TABLE_FRAMES) this.#endTable(table);
  }

  #addDigests(digests: Uint8Array): void {
    this.#digests.set(digests, this.#digestCount * DIGEST_BYTES);
    this.#digestCount += digests.length / DIGEST_BYTES;
    this.#undigestedFrames += 1;
    if (this.#undigestedFrames === DIGESTS_FRAMES) this.#endDigests();
  }

  /** Ends the segment: all its frames have been added. */
  endSegment(): void {
    this.#endDigests();
    this.#endTable(this.#full);
    this.#endTable(this.#delta);
  }

  /** Adds a manifest in one go. */
  addManifest(manifest: ManifestToWrite): void {
    for (const _ of this.addManifestParts(manifest));
  }

  /** Adds a manifest in parts of 1 MiB, one at each step: a large one takes its time. */
  *addManifestParts(manifest: ManifestToWrite): Generator<void> {
    const { snapshotId, revision, digest, bytes } = manifest;
    const parts = Math.max(1, Math.ceil(bytes.length / PART_BYTES));
    for (let part = 0; part < parts; part++) {
      const start = part * PART_BYTES;
      const raw = bytes.subarray(start, start + PART_BYTES);
      const level = raw.length > LARGE_BYTES ? LARGE_LEVEL : MANIFEST_LEVEL;
      const place = this.#writeBlock(BLOCK.manifest, raw, level);
      this.#entries.push({ type: 'manifest', ...place, snapshotId, revision, part, parts, digest });
      yield;
    }
  }

  /** Adds the states of a store (states.ts), encoded, in parts of 1 MiB; once at most. */
  addStates(bytes: Uint8Array): void {
    if (this.#entries.some(({ type }) => type === 'states')) throw new Error('states come once');
    for (let start = 0; start < bytes.length; start += PART_BYTES) {
      const raw = bytes.subarray(start, start + PART_BYTES);
      const level = raw.length > LARGE_BYTES ? LARGE_LEVEL : MANIFEST_LEVEL;
      this.#entries.push({ type: 'states', ...this.#writeBlock(BLOCK.states, raw, level) });
    }
  }

  /** Writes footer and trailer. Nothing can be added afterwards. */
  finish(): FinishedPack {
    if (this.#full.entries.length + this.#delta.entries.length > 0) {
      throw new Error('the segment has not ended');
    }
    const footer = encodeFooter({ references: this.#references, entries: this.#entries });
    const place = this.#writeBlock(BLOCK.footer, footer, MANIFEST_LEVEL);
    this.#write(encodeTrailer({ footerOffset: place.offset, footerBytes: place.blockBytes }));
    return { name: toHex(this.#hasher.digest()), sizeBytes: this.#offset };
  }

  /** Writes the digests that wait, and tells the frames they belong to where they are. */
  #endDigests(): void {
    if (this.#digestCount === 0) return;
    const raw = this.#digests.subarray(0, this.#digestCount * DIGEST_BYTES);
    const place = this.#writeBlock(BLOCK.digests, raw, undefined);
    this.#entries.push({ type: 'digests', ...place });
    let offset = place.offset + BLOCK_HEADER_BYTES;
    const { entries } = this.#full;
    for (let i = entries.length - this.#undigestedFrames; i < entries.length; i++) {
      const entry = entries[i] as FrameEntry;
      entries[i] = { ...entry, digestsOffset: offset };
      offset += (countBits(entry.slotsLow) + countBits(entry.slotsHigh)) * DIGEST_BYTES;
    }
    this.#digestCount = 0;
    this.#undigestedFrames = 0;
  }

  #endTable(table: PendingTable): void {
    const [first, last] = [table.entries[0], table.entries.at(-1)];
    if (first === undefined || last === undefined) return;
    const raw = encodeFrameTable(table.entries, table.shortPages);
    const place = this.#writeBlock(BLOCK.frameTable, raw, MANIFEST_LEVEL);
    const range = { firstFrame: first.frame, lastFrame: last.frame };
    this.#entries.push({ type: 'frameTable', ...place, segment: this.#segment, ...range });
    table.entries = [];
    table.shortPages = [];
  }

  #writeBlock(type: number, raw: Uint8Array, level: number | undefined): BlockRange {
    const block = this.#encoder.encode(type, raw, level);
    const place = { offset: this.#offset, blockBytes: block.length };
    this.#write(block);
    return place;
  }

  #write(bytes: Uint8Array): void {
    this.#sink.write(bytes);
    this.#hasher.update(bytes);
    this.#offset += bytes.length;
  }
}

function firstSlots(pages: number): { low: number; high: number } {
  return {
    low: pages >= 32 ? -1 : lowBits(pages),
    high: pages === FRAME_PAGES ? -1 : lowBits(Math.max(0, pages - 32)),
  };
}

interface BlockRange {
  readonly offset: number;
  readonly blockBytes: number;
}

if (TABLE_FRAMES % DIGESTS_FRAMES !== 0 || PACK_HEADER_BYTES !== encodePackHeader().length) {
  throw new Error('the layout is fixed');
}
