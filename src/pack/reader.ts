/**
 * Reads a pack: its footer at opening, everything else on demand, each block against its checksum.
 *
 * Frame tables are kept once read (half a byte a page); frames and manifests are not, that is the
 * caller's cache. Nothing here trusts a length before it is checked against the pack's size.
 */
import { DIGEST_BYTES, sha256, startSha256 } from '#digest';
import { sameBytes, toHex } from '../bytes/hex.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import type { Zstd } from '../bytes/zstd.ts';
import { isDamage, StoreError } from '../errors.ts';
import {
  decodeFooter,
  type BlockPlace,
  type Footer,
  type FrameTablePlace,
  type ManifestPartPlace,
} from './footer.ts';
import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  checkPackHeader,
  CODEC,
  decodeBlock,
  decodeTrailer,
  FRAME_BYTES,
  MAX_BLOCK_RAW_BYTES,
  PACK_HEADER_BYTES,
  PART_BYTES,
  TRAILER_BYTES,
} from './format.ts';
import { DigestBlocks } from './digest-blocks.ts';
import { decodeDeltaFrame, type DeltaFrame } from './delta-frame.ts';
import { decodeFrameTable, type FrameTable } from './frame-table.ts';
import { FrameTables, type SlotPlace } from './frame-tables.ts';
import { LostFrames, WHOLE_PACK } from './lost-frames.ts';
import { decodeStates, type States } from './states.ts';

/** Where a pack's bytes come from. */
export interface Source {
  /** For errors. */
  readonly file: string;
  readonly sizeBytes: number;
  /** Fills `target` from `offset`, or throws. */
  read(target: Uint8Array, offset: number): void;
}

/** What the readers of one store share: 256 KiB each would be most of their memory. */
export interface PackSharing {
  /** A frame's block, while it is decoded. */
  readonly scratch: Uint8Array;
  readonly lostFrames: LostFrames;
}

const SCRATCH_BYTES = BLOCK_HEADER_BYTES + FRAME_BYTES;

/** What readers share, new. */
export function newPackSharing(): PackSharing {
  return { scratch: new Uint8Array(SCRATCH_BYTES), lostFrames: new LostFrames() };
}

/** The longest manifest, and the longest states, that are read into memory. */
const MAX_PARTED_BYTES = 1024 * 1024 * 1024;
const HASH_SLICE_BYTES = 1024 * 1024;

/** An open pack. */
export class PackReader {
  /** The directory of the pack. */
  readonly footer: Footer;
  /** The frames that it has. */
  readonly tables: FrameTables;
  /** Which of its digests are right. */
  readonly digestBlocks: DigestBlocks;
  readonly #source: Source;
  readonly #zstd: Zstd;
  /** The digests of the frame that was asked for last. */
  #digests: Uint8Array = new Uint8Array(0);
  #digestsTable: FrameTable | undefined;
  #digestsIndex = -1;
  readonly #shared: PackSharing;

  /** @throws StoreError CORRUPT, UNSUPPORTED_VERSION. */
  constructor(source: Source, zstd: Zstd, shared: PackSharing = newPackSharing()) {
    this.#source = source;
    this.#zstd = zstd;
    this.#shared = shared;
    this.footer = this.#readFooter();
    const { entries } = this.footer;
    this.tables = new FrameTables(
      entries.filter((entry) => entry.type === 'frameTable'),
      (place) => this.#readTable(place),
    );
    this.digestBlocks = new DigestBlocks(
      entries.filter(({ type }) => type === 'digests'),
      (place) => this.#readBlock(place, BLOCK.digests),
    );
  }

  #readFooter(): Footer {
    const { sizeBytes, file } = this.#source;
    if (sizeBytes < PACK_HEADER_BYTES + TRAILER_BYTES) {
      throw new StoreError('CORRUPT', `${sizeBytes} bytes are too few for a pack`, { file });
    }
    checkPackHeader(this.#bytes(0, PACK_HEADER_BYTES), file);
    const trailerBytes = this.#bytes(sizeBytes - TRAILER_BYTES, TRAILER_BYTES);
    const { footerOffset, footerBytes } = decodeTrailer(trailerBytes, sizeBytes, file);
    const place = { offset: footerOffset, blockBytes: footerBytes };
    return decodeFooter(this.#readBlock(place, BLOCK.footer), file, footerOffset);
  }

  /** Bytes of the pack. */
  get sizeBytes(): number {
    return this.#source.sizeBytes;
  }

  /** Path of the pack, for errors. */
  get file(): string {
    return this.#source.file;
  }

  /** The error for something wrong in this pack. */
  corrupt(message: string, offset?: number): StoreError {
    return new StoreError('CORRUPT', message, { file: this.#source.file, offset });
  }

  /** All frame tables of a segment, in the order of their frames. */
  frameTables(segment: number): FrameTable[] {
    return this.tables.of(segment);
  }

  /** Where a slot of a segment is, or undefined when this pack does not hold it. */
  find(segment: number, slot: number): SlotPlace | undefined {
    return this.tables.find(segment, slot);
  }

  #readTable(place: FrameTablePlace): FrameTable {
    try {
      const raw = this.#readBlock(place, BLOCK.frameTable);
      return decodeFrameTable(raw, this.#source.file, place.offset);
    } catch (error) {
      const { file } = this.#source;
      if (isDamage(error)) this.#shared.lostFrames.report({ file, offset: WHOLE_PACK });
      throw error;
    }
  }

  /**
   * The block of the frame at `index` as it is in the pack, its checksum found right, to be copied
   * into another pack. Valid until the next call.
   */
  frameBlock(table: FrameTable, index: number): Uint8Array {
    const { offset, blockBytes } = table.entryAt(index);
    try {
      const block = this.#block({ offset, blockBytes });
      const { type } = decodeBlock(block, this.file, offset);
      const expected = table.isDelta(index) ? BLOCK.deltaFrame : BLOCK.frame;
      if (type !== expected) throw this.corrupt(`block of type ${type}`, offset);
      return block;
    } catch (error) {
      if (isDamage(error)) this.reportLost(table, index);
      throw error;
    }
  }

  /** The bytes of a frame's block, whatever they are: copied, damage stays what it is. */
  damagedBlock(table: FrameTable, index: number): Uint8Array {
    const { offset, blockBytes } = table.entryAt(index);
    return this.#bytes(offset, blockBytes);
  }

  /** Decodes the frame at `index` into `target` (256 KiB) and returns its pages. */
  readFrame(table: FrameTable, index: number, target: Uint8Array): number {
    const { offset, blockBytes } = table.entryAt(index);
    const pages = table.pagesAt(index);
    try {
      const length = this.#readBlockInto({ offset, blockBytes }, BLOCK.frame, target);
      if (length !== pages * PAGE_BYTES) throw this.corrupt('frame of the wrong length', offset);
    } catch (error) {
      if (isDamage(error)) this.reportLost(table, index);
      throw error;
    }
    return pages;
  }

  /** Decodes the frame of delta pages at `index`. */
  readDeltaFrame(table: FrameTable, index: number): DeltaFrame {
    const { offset, blockBytes } = table.entryAt(index);
    try {
      const raw = this.#readBlock({ offset, blockBytes }, BLOCK.deltaFrame, FRAME_BYTES);
      const frame = decodeDeltaFrame(raw, this.file, offset);
      if (frame.pages !== table.pagesAt(index)) throw this.corrupt('frame of other pages', offset);
      return frame;
    } catch (error) {
      if (isDamage(error)) this.reportLost(table, index);
      throw error;
    }
  }

  /** Says that the frame at `index` does not hold what was written. */
  reportLost(table: FrameTable, index: number): void {
    this.#shared.lostFrames.report({ file: this.file, offset: table.entryAt(index).offset });
  }

  /**
   * Whether the digest that the pack keeps for a slot is the one in `digests` at `digestOffset`.
   * Without a checksum: a damaged byte can only make the answer no. Pages of a frame, or of a pack,
   * that somebody could not read are lost, and nothing is equal to them.
   */
  hasDigest(segment: number, slot: number, digests: Uint8Array, digestOffset: number): boolean {
    const place = this.find(segment, slot);
    if (place === undefined) return false;
    const { table, index } = place;
    if (table.isDelta(index) || this.isLost(table, index)) return false;
    if (this.#shared.lostFrames.hasPack(this.file)) return false;
    // Neighbours are asked for one after the other: one read for a frame instead of one for a
    // page took 300 ms off a capture of 12 redis dumps (2.5 s).
    if (this.#digestsTable !== table || this.#digestsIndex !== index) {
      this.#digests = this.frameDigests(table, index);
      this.#digestsTable = table;
      this.#digestsIndex = index;
    }
    const start = table.rankOf(index, slot) * DIGEST_BYTES;
    for (let i = 0; i < DIGEST_BYTES; i++) {
      if (this.#digests[start + i] !== digests[digestOffset + i]) return false;
    }
    return true;
  }

  /** Whether the frame at `index` is known to be damaged. */
  isLost(table: FrameTable, index: number): boolean {
    const { lostFrames } = this.#shared;
    return lostFrames.mayHave(this.file) && lostFrames.has(this.file, table.entryAt(index).offset);
  }

  /** The digests of the frame at `index`, 32 bytes a page, straight from the pack. */
  frameDigests(table: FrameTable, index: number): Uint8Array {
    const { digestsOffset } = table.entryAt(index);
    return this.#bytes(digestsOffset, table.pagesAt(index) * DIGEST_BYTES);
  }

  /** What the pack says of snapshots beside their manifests; undefined when it says nothing. */
  readStates(): States | undefined {
    const places = this.footer.entries.filter((entry) => entry.type === 'states');
    const [first] = places;
    if (first === undefined) return undefined;
    return decodeStates(this.#readParts(places, BLOCK.states), this.file, first.offset);
  }

  /** The whole manifest whose first part the footer lists at `first`. */
  readManifest(digest: Uint8Array): Uint8Array {
    const places = this.#manifestParts(digest);
    const bytes = this.#readParts(places, BLOCK.manifest);
    if (!sameBytes(sha256(bytes), digest)) {
      throw this.corrupt('manifest does not match its digest', places[0]?.offset);
    }
    return bytes;
  }

  #manifestParts(digest: Uint8Array): ManifestPartPlace[] {
    const places = this.footer.entries.filter(
      (entry) => entry.type === 'manifest' && sameBytes(entry.digest, digest),
    ) as ManifestPartPlace[];
    const complete = places.every((place, i) => place.part === i && place.parts === places.length);
    if (places.length === 0 || !complete) throw this.corrupt('manifest is not in this pack');
    return places;
  }

  /** What was cut into parts of a block each, put together. */
  #readParts(places: readonly BlockPlace[], type: number): Uint8Array {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (const place of places) {
      const part = this.#readBlock(place, type, PART_BYTES);
      length += part.length;
      if (length > MAX_PARTED_BYTES) throw this.corrupt('parts are too long', place.offset);
      parts.push(part);
    }
    const bytes = new Uint8Array(length);
    let end = 0;
    for (const part of parts) {
      bytes.set(part, end);
      end += part.length;
    }
    return bytes;
  }

  /** The SHA-256 of the whole file in hex, which must be its name; read in slices. */
  computeName(): string {
    const steps = this.nameSteps();
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /** The same, slice by slice. */
  *nameSteps(): Generator<undefined, string> {
    const hasher = startSha256();
    const { sizeBytes } = this.#source;
    for (let offset = 0; offset < sizeBytes; offset += HASH_SLICE_BYTES) {
      hasher.update(this.#bytes(offset, Math.min(HASH_SLICE_BYTES, sizeBytes - offset)));
      yield;
    }
    return toHex(hasher.digest());
  }

  #readBlock(place: BlockPlace, type: number, maximum = MAX_BLOCK_RAW_BYTES): Uint8Array {
    const block = this.#block(place);
    const header = decodeBlock(block, this.#source.file, place.offset);
    if (header.rawBytes > maximum) throw this.corrupt('block is too long', place.offset);
    const raw = new Uint8Array(header.rawBytes);
    this.#unpack(block, header, { offset: place.offset, type }, raw);
    return raw;
  }

  /** The bytes of a block; small ones in memory that the next one will use. */
  #block({ offset, blockBytes }: BlockPlace): Uint8Array {
    if (blockBytes > SCRATCH_BYTES) return this.#bytes(offset, blockBytes);
    const block = this.#shared.scratch.subarray(0, blockBytes);
    this.#fill(block, offset);
    return block;
  }

  #readBlockInto(place: BlockPlace, type: number, target: Uint8Array): number {
    if (place.blockBytes > SCRATCH_BYTES) {
      throw this.corrupt('frame block is too long', place.offset);
    }
    const block = this.#block(place);
    const { offset } = place;
    const header = decodeBlock(block, this.#source.file, offset);
    return this.#unpack(block, header, { offset, type }, target);
  }

  /** Decodes a block, whose checksum is right, into `target`; returns the bytes that came. */
  #unpack(
    block: Uint8Array,
    header: BlockHeader,
    { offset, type }: { readonly offset: number; readonly type: number },
    target: Uint8Array,
  ): number {
    if (header.type !== type)
      throw this.corrupt(`block of type ${header.type}, not ${type}`, offset);
    if (header.rawBytes > target.length) throw this.corrupt('block is too long', offset);
    const stored = block.subarray(BLOCK_HEADER_BYTES);
    if (header.codec === CODEC.none) {
      target.set(stored);
    } else if (this.#decompress(target, stored, offset) !== header.rawBytes) {
      throw this.corrupt('block decodes to another length', offset);
    }
    return header.rawBytes;
  }

  #decompress(target: Uint8Array, stored: Uint8Array, offset: number): number {
    try {
      return this.#zstd.decompressInto(target, stored);
    } catch (cause) {
      const { file } = this.#source;
      throw new StoreError('CORRUPT', 'block does not decompress', { file, offset, cause });
    }
  }

  #bytes(offset: number, length: number): Uint8Array {
    if (length > MAX_BLOCK_RAW_BYTES + BLOCK_HEADER_BYTES) {
      throw this.corrupt(`block of ${length} bytes`, offset);
    }
    const { sizeBytes } = this.#source;
    if (offset + length > sizeBytes) throw this.corrupt('pack is too short', sizeBytes);
    const bytes = new Uint8Array(length);
    this.#fill(bytes, offset);
    return bytes;
  }

  #fill(target: Uint8Array, offset: number): void {
    if (offset + target.length > this.#source.sizeBytes) {
      throw this.corrupt('pack is too short', this.#source.sizeBytes);
    }
    this.#source.read(target, offset);
  }
}
