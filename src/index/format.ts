/**
 * The layout of a run (FORMAT.md, section 6): the full pages of some segments by the first six
 * bytes of their digests, sorted. Pure.
 *
 * A run is derived and a hint: it can be lost, and is then built again; the digest in the pack
 * decides what it says. Of its bytes, 12 a page are entries, 1.5 the filter, and 8 for each 341
 * pages are fences and checksums.
 */
import { CRC_BYTES, crc32 } from '../bytes/checksum.ts';
import { sameBytes } from '../bytes/hex.ts';
import { ByteReader } from '../bytes/reader.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { FILTER_LINE_BYTES } from './filter.ts';

/** Bytes of an entry: four of prefix, four of slot, two more of the digest, two of ordinal. */
export const ENTRY_BYTES = 12;
/** Entries of a block; the last block of a run has what is left. */
export const BLOCK_ENTRIES = 341;
/** Bytes of a full block. */
export const BLOCK_BYTES: number = BLOCK_ENTRIES * ENTRY_BYTES + CRC_BYTES;
/** Bytes of a segment's identity. */
export const IDENTITY_BYTES = 16;
/** Segments that one run covers at most: entries name them with two bytes. */
export const MAX_RUN_SEGMENTS = 65_535;
/** Bytes of the end of a run. */
export const RUN_TRAILER_BYTES = 36;
/** How the names of runs end. */
export const RUN_SUFFIX = '.run';

const MAGIC = new TextEncoder().encode('criutlix');
const VERSION = 1;

/** How much of everything a run has; where its parts are follows from it. */
export interface RunShape {
  readonly filterLines: number;
  readonly entryCount: number;
  readonly segmentCount: number;
}

/** What the end of a run says. */
export interface RunTrailer {
  readonly shape: RunShape;
  readonly filterChecksum: number;
}

/** Blocks of a run. */
export function blockCountOf({ entryCount }: RunShape): number {
  return Math.ceil(entryCount / BLOCK_ENTRIES);
}

/** Where the blocks begin: the filter is before them. */
export function blocksOffset({ filterLines }: RunShape): number {
  return filterLines * FILTER_LINE_BYTES;
}

/** Where the directory begins: fences, identities, trailer. */
export function directoryOffset(shape: RunShape): number {
  return blocksOffset(shape) + shape.entryCount * ENTRY_BYTES + blockCountOf(shape) * CRC_BYTES;
}

/** Bytes of the directory. */
export function directoryBytes(shape: RunShape): number {
  return blockCountOf(shape) * 4 + shape.segmentCount * IDENTITY_BYTES + RUN_TRAILER_BYTES;
}

/** Entries of block `block`. */
export function entriesOfBlock({ entryCount }: RunShape, block: number): number {
  return Math.min(BLOCK_ENTRIES, entryCount - block * BLOCK_ENTRIES);
}

/** Bytes of a block of so many entries, with its checksum. */
export function bytesOfBlock(entries: number): number {
  return entries * ENTRY_BYTES + CRC_BYTES;
}

/** Ends a block, whose columns are filled, with their checksum. */
export function sealBlock(block: Uint8Array): void {
  const end = block.length - CRC_BYTES;
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  view.setUint32(end, crc32(block.subarray(0, end)), true);
}

/** Whether a block is as it was written. */
export function isBlockIntact(block: Uint8Array): boolean {
  const end = block.length - CRC_BYTES;
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  return view.getUint32(end, true) === crc32(block.subarray(0, end));
}

/** Everything after the blocks: fences, identities, and the trailer with the checksum of it all. */
export function encodeDirectory(
  { shape, filterChecksum }: RunTrailer,
  fences: Uint8Array,
  identities: Uint8Array,
): Uint8Array {
  const writer = new ByteWriter(directoryBytes(shape));
  writer.raw(fences);
  writer.raw(identities);
  writer.raw(MAGIC);
  writer.u32(VERSION);
  writer.u32(shape.segmentCount);
  writer.u64(shape.entryCount);
  writer.u32(shape.filterLines);
  writer.u32(filterChecksum);
  writer.u32(crc32(writer.bytes()));
  return writer.bytes();
}

/** What the last bytes of a file say; undefined when a run of `fileBytes` cannot end so. */
export function decodeTrailer(bytes: Uint8Array, fileBytes: number): RunTrailer | undefined {
  const reader = new ByteReader(bytes, { code: 'CORRUPT' });
  if (!sameBytes(reader.bytes(MAGIC.length), MAGIC) || reader.u32() !== VERSION) return undefined;
  const segmentCount = reader.u32();
  const entryCount = Number(reader.bigU64());
  const filterLines = reader.u32();
  const shape = { filterLines, entryCount, segmentCount };
  if (directoryOffset(shape) + directoryBytes(shape) !== fileBytes) return undefined;
  if (segmentCount > MAX_RUN_SEGMENTS || (filterLines === 0 && entryCount > 0)) return undefined;
  return { shape, filterChecksum: reader.u32() };
}

/** The parts of a directory. */
export interface RunDirectory {
  /** The largest prefix of each block. */
  readonly fences: Uint32Array;
  /** Identities of the segments that the run covers, ascending, one after the other. */
  readonly identities: Uint8Array;
}

/** The directory; undefined when it is damaged. */
export function decodeDirectory(bytes: Uint8Array, shape: RunShape): RunDirectory | undefined {
  if (!isBlockIntact(bytes)) return undefined;
  const fenceBytes = blockCountOf(shape) * 4;
  const view = new DataView(bytes.buffer, bytes.byteOffset, fenceBytes);
  const fences = new Uint32Array(fenceBytes / 4);
  for (let i = 0; i < fences.length; i++) fences[i] = view.getUint32(i * 4, true);
  const identities = bytes.slice(fenceBytes, fenceBytes + shape.segmentCount * IDENTITY_BYTES);
  return { fences, identities };
}

/** The identity at `ordinal`, as a view. */
export function identityAt(identities: Uint8Array, ordinal: number): Uint8Array {
  return identities.subarray(ordinal * IDENTITY_BYTES, (ordinal + 1) * IDENTITY_BYTES);
}

/** Orders identities by their bytes, as in a run's table. */
export function compareIdentities(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < IDENTITY_BYTES; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

if (BLOCK_BYTES !== 4096) throw new Error('a full block is one read of 4 KiB');
