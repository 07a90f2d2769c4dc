/**
 * Writes a pack front to back into a sink: pages into frames, frames into a segment, then
 * manifests, footer and trailer. One pack is written once; `finish` returns its name.
 *
 * Memory is bounded whatever is written: one frame, 8192 digests, 4096 lines of the frame table.
 * Pages are told apart by the caller: this room stores what it is given, in the order given.
 */
import { DIGEST_BYTES, startSha256, type Hasher } from '#digest';
import { sameBytes, toHex } from '../bytes/hex.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import { compressBound, type Zstd } from '../bytes/zstd.ts';
import { encodeFooter, type FooterEntry } from './footer.ts';
import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  CODEC,
  encodeBlockHeader,
  encodePackHeader,
  encodeTrailer,
  FRAME_PAGES,
  MAX_BLOCK_RAW_BYTES,
  PACK_HEADER_BYTES,
  TABLE_FRAMES,
} from './format.ts';
import { encodeFrameTable, lowBits, type FrameEntry, type ShortPage } from './frame-table.ts';

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

const FRAME_BYTES = FRAME_PAGES * PAGE_BYTES;
/** Frames whose digests go into one block: 256 KiB of digests, read back 32 bytes at a time. */
const DIGESTS_FRAMES = 128;
const MANIFEST_PART_BYTES = 1024 * 1024;
/** Manifests are small and kept for long: 6 saves 6 % over 1, and costs 0.2 ms for 17 KB. */
const MANIFEST_LEVEL = 6;

/** Writes one pack. */
export class PackWriter {
  readonly #sink: Sink;
  readonly #zstd: Zstd;
  readonly #level: number;
  readonly #hasher: Hasher = startSha256();
  readonly #references: Uint8Array[] = [];
  readonly #entries: FooterEntry[] = [];
  readonly #block = new Uint8Array(BLOCK_HEADER_BYTES + compressBound(FRAME_BYTES));
  readonly #frame = new Uint8Array(FRAME_BYTES);
  readonly #digests = new Uint8Array(DIGESTS_FRAMES * FRAME_PAGES * DIGEST_BYTES);
  #offset = 0;
  #segment = 0;
  #framePages = 0;
  #digestCount = 0;
  #frameCount = 0;
  #table: FrameEntry[] = [];
  #shortPages: ShortPage[] = [];
  /** How many lines of the table still wait for their digests' offset. */
  #undigestedFrames = 0;

  /** @param level zstd's compression level for pages. */
  constructor(sink: Sink, zstd: Zstd, level: number) {
    this.#sink = sink;
    this.#zstd = zstd;
    this.#level = level;
    this.#write(encodePackHeader());
  }

  /** Bytes written so far. */
  get sizeBytes(): number {
    return this.#offset;
  }

  /** The local number of a segment in this pack, given by its identity. The first is 0. */
  reference(identity: Uint8Array): number {
    const known = this.#references.findIndex((other) => sameBytes(other, identity));
    return known >= 0 ? known : this.#references.push(identity) - 1;
  }

  /**
   * Adds a page to the segment and returns its slot.
   *
   * @param page 1 to 4096 bytes; copied.
   * @param digests holds the page's SHA-256 at `digestOffset`.
   */
  addPage(page: Uint8Array, digests: Uint8Array, digestOffset: number): number {
    if (page.length === 0 || page.length > PAGE_BYTES) {
      throw new RangeError(`page of ${page.length} bytes`);
    }
    const slot = this.#frameCount * FRAME_PAGES + this.#framePages;
    const start = this.#framePages * PAGE_BYTES;
    this.#frame.set(page, start);
    if (page.length < PAGE_BYTES) {
      this.#frame.fill(0, start + page.length, start + PAGE_BYTES);
      this.#shortPages.push({ slot, bytes: page.length });
    }
    const digest = digests.subarray(digestOffset, digestOffset + DIGEST_BYTES);
    this.#digests.set(digest, this.#digestCount * DIGEST_BYTES);
    this.#digestCount += 1;
    this.#framePages += 1;
    if (this.#framePages === FRAME_PAGES) this.#endFrame();
    return slot;
  }

  /** Begins a segment: the pages added from here on are its slots 0, 1, 2 … */
  beginSegment(identity: Uint8Array): void {
    this.#segment = this.reference(identity);
    this.#frameCount = 0;
  }

  /** Ends the segment: all its pages have been added. */
  endSegment(): void {
    if (this.#framePages > 0) this.#endFrame();
    this.#endDigests();
    this.#endTable();
  }

  /** Adds a manifest, in parts of 1 MiB. */
  addManifest(manifest: ManifestToWrite): void {
    const { snapshotId, revision, digest, bytes } = manifest;
    const parts = Math.max(1, Math.ceil(bytes.length / MANIFEST_PART_BYTES));
    for (let part = 0; part < parts; part++) {
      const start = part * MANIFEST_PART_BYTES;
      const raw = bytes.subarray(start, start + MANIFEST_PART_BYTES);
      const place = this.#writeBlock(BLOCK.manifest, raw, MANIFEST_LEVEL);
      this.#entries.push({ type: 'manifest', ...place, snapshotId, revision, part, parts, digest });
    }
  }

  /** Writes footer and trailer. Nothing can be added afterwards. */
  finish(): FinishedPack {
    if (this.#framePages > 0 || this.#table.length > 0)
      throw new Error('the segment has not ended');
    const footer = encodeFooter({ references: this.#references, entries: this.#entries });
    const place = this.#writeBlock(BLOCK.footer, footer, MANIFEST_LEVEL);
    this.#write(encodeTrailer({ footerOffset: place.offset, footerBytes: place.blockBytes }));
    return { name: toHex(this.#hasher.digest()), sizeBytes: this.#offset };
  }

  #endFrame(): void {
    const count = this.#framePages;
    const place = this.#writeBlock(
      BLOCK.frame,
      this.#frame.subarray(0, count * PAGE_BYTES),
      this.#level,
    );
    this.#table.push({
      frame: this.#frameCount,
      slotsLow: count >= 32 ? -1 >>> 0 : lowBits(count) >>> 0,
      slotsHigh: count === FRAME_PAGES ? -1 >>> 0 : lowBits(Math.max(0, count - 32)) >>> 0,
      ...place,
      digestsOffset: 0,
    });
    this.#frameCount += 1;
    this.#framePages = 0;
    this.#undigestedFrames += 1;
    if (this.#undigestedFrames === DIGESTS_FRAMES) this.#endDigests();
    // Only at TABLE_FRAMES, a multiple of DIGESTS_FRAMES, so that no line waits for its digests.
    if (this.#table.length === TABLE_FRAMES) this.#endTable();
  }

  /** Writes the digests that wait, and tells the frames they belong to where they are. */
  #endDigests(): void {
    if (this.#digestCount === 0) return;
    const raw = this.#digests.subarray(0, this.#digestCount * DIGEST_BYTES);
    const place = this.#writeBlock(BLOCK.digests, raw, undefined);
    this.#entries.push({ type: 'digests', ...place });
    let offset = place.offset + BLOCK_HEADER_BYTES;
    const first = this.#table.length - this.#undigestedFrames;
    for (let i = first; i < this.#table.length; i++) {
      const entry = this.#table[i] as FrameEntry;
      this.#table[i] = { ...entry, digestsOffset: offset };
      offset += FRAME_PAGES * DIGEST_BYTES;
    }
    this.#digestCount = 0;
    this.#undigestedFrames = 0;
  }

  #endTable(): void {
    const [first, last] = [this.#table[0], this.#table.at(-1)];
    if (first === undefined || last === undefined) return;
    const raw = encodeFrameTable(this.#table, this.#shortPages);
    const place = this.#writeBlock(BLOCK.frameTable, raw, MANIFEST_LEVEL);
    const range = { firstFrame: first.frame, lastFrame: last.frame };
    this.#entries.push({ type: 'frameTable', ...place, segment: this.#segment, ...range });
    this.#table = [];
    this.#shortPages = [];
  }

  /** Writes a block, compressed when a level is given and it pays. */
  #writeBlock(type: number, raw: Uint8Array, level: number | undefined): BlockRange {
    if (raw.length > MAX_BLOCK_RAW_BYTES) throw new RangeError(`block of ${raw.length} bytes`);
    const room = BLOCK_HEADER_BYTES + compressBound(raw.length);
    const block = room <= this.#block.length ? this.#block : new Uint8Array(room);
    const body = block.subarray(BLOCK_HEADER_BYTES);
    let storedBytes = level === undefined ? raw.length : this.#zstd.compressInto(body, raw, level);
    const codec = storedBytes < raw.length ? CODEC.zstd : CODEC.none;
    if (codec === CODEC.none) {
      body.set(raw);
      storedBytes = raw.length;
    }
    const header = { type, codec, storedBytes, rawBytes: raw.length };
    block.set(encodeBlockHeader(header, body.subarray(0, storedBytes)));
    const place = { offset: this.#offset, blockBytes: BLOCK_HEADER_BYTES + storedBytes };
    this.#write(block.subarray(0, place.blockBytes));
    return place;
  }

  #write(bytes: Uint8Array): void {
    this.#sink.write(bytes);
    this.#hasher.update(bytes);
    this.#offset += bytes.length;
  }
}

interface BlockRange {
  readonly offset: number;
  readonly blockBytes: number;
}

if (TABLE_FRAMES % DIGESTS_FRAMES !== 0 || PACK_HEADER_BYTES !== encodePackHeader().length) {
  throw new Error('the layout is fixed');
}
