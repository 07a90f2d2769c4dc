/**
 * The layout of a pack (FORMAT.md, section 3): its constants, and pure encoders and decoders of
 * header, block header and trailer. Footer and frame table have files of their own.
 *
 * A block is decoded only after its checksum has been found right, and nothing is allocated for it
 * before its length has been compared with a stated maximum. The footer is at the end because a
 * pack is written front to back, in one pass.
 */
import { DIGEST_BYTES, sha256, startSha256 } from '#digest';
import { sameBytes } from '../bytes/hex.ts';
import { PAGE_BYTES } from '../bytes/page.ts';
import { ByteReader } from '../bytes/reader.ts';
import { FIRST_DELTA_SLOT } from '../bytes/slot.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { StoreError } from '../errors.ts';

/** Pages of a frame. */
export const FRAME_PAGES = 64;
/** Bytes of the pages of a frame. */
export const FRAME_BYTES: number = FRAME_PAGES * PAGE_BYTES;
/** Frames that one frame table lists at most. */
export const TABLE_FRAMES = 4096;
/** The frame of the first delta slot. */
export const FIRST_DELTA_FRAME: number = FIRST_DELTA_SLOT / FRAME_PAGES;
/** Bytes that a block may decode to at most: the bound of every allocation. */
export const MAX_BLOCK_RAW_BYTES: number = 64 * 1024 * 1024;
/** Bytes of one part of a manifest or of states, at most. */
export const PART_BYTES: number = 1024 * 1024;
/** Bytes of a segment's identity. */
export const SEGMENT_ID_BYTES = 16;
/** Bytes of the pack's header. */
export const PACK_HEADER_BYTES = 16;
/** Bytes of a block's header. */
export const BLOCK_HEADER_BYTES = 24;
/** Bytes of the trailer. */
export const TRAILER_BYTES = 32;
/** Bytes of a frame's line in a frame table. */
export const FRAME_ENTRY_BYTES = 40;

const PACK_VERSION = 1;
const CHECKSUM_BYTES = 8;
const HEADER_MAGIC = new TextEncoder().encode('criutlpk');
const TRAILER_MAGIC = new TextEncoder().encode('criutlpe');

/** Types of blocks. */
export const BLOCK = {
  frame: 1,
  digests: 2,
  deltaFrame: 3,
  frameTable: 4,
  manifest: 5,
  states: 6,
  footer: 7,
} as const;

/** How a block's bytes are stored. */
export const CODEC = { none: 0, zstd: 1 } as const;

/** Kinds of frames. */
export const FRAME_KIND = { full: 1, delta: 2 } as const;

/** A block's header, decoded. */
export interface BlockHeader {
  readonly type: number;
  readonly codec: number;
  readonly storedBytes: number;
  readonly rawBytes: number;
}

/** The 16 bytes that every pack begins with. */
export function encodePackHeader(): Uint8Array {
  const writer = new ByteWriter(PACK_HEADER_BYTES);
  writer.raw(HEADER_MAGIC);
  writer.u16(PACK_VERSION);
  writer.raw(new Uint8Array(6));
  return writer.bytes();
}

/** @throws StoreError UNSUPPORTED_VERSION for a newer pack, CORRUPT for anything else. */
export function checkPackHeader(bytes: Uint8Array, file: string): void {
  const reader = new ByteReader(bytes, { code: 'CORRUPT', file });
  if (!sameBytes(reader.bytes(8), HEADER_MAGIC)) throw reader.fail('not a pack');
  const version = reader.u16();
  if (version > PACK_VERSION) {
    throw new StoreError('UNSUPPORTED_VERSION', `pack version ${version}`, { file });
  }
  if (!sameBytes(bytes, encodePackHeader())) throw reader.fail('damaged pack header');
}

/** Writes the header of a block whose stored bytes are `stored` into `target`. */
export function encodeBlockHeader(header: BlockHeader, stored: Uint8Array): Uint8Array {
  const writer = new ByteWriter(BLOCK_HEADER_BYTES);
  writer.u8(header.type);
  writer.u8(header.codec);
  writer.u16(0);
  writer.u32(header.storedBytes);
  writer.u32(header.rawBytes);
  writer.u32(0);
  writer.raw(checksumOf(writer.bytes(), stored));
  return writer.bytes();
}

/**
 * Checks a block, header and stored bytes together, and returns its header.
 *
 * @param offset where the block starts in `file`, for errors.
 * @throws StoreError CORRUPT when anything disagrees.
 */
export function decodeBlock(block: Uint8Array, file: string, offset: number): BlockHeader {
  const reader = new ByteReader(block, { code: 'CORRUPT', file, offset });
  const type = reader.u8();
  const codec = reader.u8();
  const keyId = reader.u16();
  const storedBytes = reader.u32();
  const rawBytes = reader.u32();
  const reserved = reader.u32();
  const checksum = reader.bytes(CHECKSUM_BYTES);
  const stored = block.subarray(BLOCK_HEADER_BYTES);
  const isWhole =
    storedBytes === stored.length &&
    rawBytes <= MAX_BLOCK_RAW_BYTES &&
    (codec !== CODEC.none || rawBytes === storedBytes) &&
    sameBytes(checksum, checksumOf(block.subarray(0, 16), stored));
  if (!isWhole) throw new StoreError('CORRUPT', 'damaged block', { file, offset });
  if (keyId !== 0 || reserved !== 0 || codec > CODEC.zstd) {
    throw new StoreError('UNSUPPORTED_VERSION', 'block of an unknown form', { file, offset });
  }
  return { type, codec, storedBytes, rawBytes };
}

/** Where the footer is. */
export interface Trailer {
  readonly footerOffset: number;
  readonly footerBytes: number;
}

/** The 32 bytes that every pack ends with. */
export function encodeTrailer(trailer: Trailer): Uint8Array {
  const writer = new ByteWriter(TRAILER_BYTES);
  writer.u64(trailer.footerOffset);
  writer.u32(trailer.footerBytes);
  writer.u32(0);
  writer.raw(sha256(writer.bytes()).subarray(0, CHECKSUM_BYTES));
  writer.raw(TRAILER_MAGIC);
  return writer.bytes();
}

/**
 * @param packBytes the size of the pack, which the footer must fill up to the trailer.
 * @throws StoreError CORRUPT.
 */
export function decodeTrailer(bytes: Uint8Array, packBytes: number, file: string): Trailer {
  const offset = packBytes - TRAILER_BYTES;
  const reader = new ByteReader(bytes, { code: 'CORRUPT', file, offset });
  const sum = sha256(bytes.subarray(0, 16)).subarray(0, CHECKSUM_BYTES);
  if (!sameBytes(bytes.subarray(16), concatenate(sum, TRAILER_MAGIC))) {
    throw reader.fail('damaged end of pack');
  }
  const trailer = { footerOffset: reader.u64(), footerBytes: reader.u32() };
  const end = trailer.footerOffset + trailer.footerBytes;
  if (trailer.footerOffset < PACK_HEADER_BYTES || end !== offset) {
    throw reader.fail('footer is not where the pack ends');
  }
  return trailer;
}

function checksumOf(header: Uint8Array, stored: Uint8Array): Uint8Array {
  const hasher = startSha256();
  hasher.update(header);
  hasher.update(stored);
  return hasher.digest().subarray(0, CHECKSUM_BYTES);
}

function concatenate(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

if (FRAME_PAGES !== 64 || DIGEST_BYTES !== 32) throw new Error('the layout is fixed');
