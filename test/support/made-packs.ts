/**
 * Packs in memory for tests: made of numbered pages and deltas, read out whole, put together by
 * hand.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../../src/bytes/hex.ts';
import { PAGE_BYTES } from '../../src/bytes/page.ts';
import { nativeZstd, type Zstd } from '../../src/bytes/zstd.ts';
import { BlockEncoder } from '../../src/pack/block.ts';
import { applyDelta } from '../../src/pack/delta-frame.ts';
import { encodeFooter, type Footer } from '../../src/pack/footer.ts';
import {
  BLOCK,
  encodeBlockHeader,
  encodePackHeader,
  encodeTrailer,
  FRAME_BYTES,
} from '../../src/pack/format.ts';
import { DeltaFrames, FullFrames } from '../../src/pack/frame-builder.ts';
import type { FrameTable } from '../../src/pack/frame-table.ts';
import { PackReader, type Source } from '../../src/pack/reader.ts';
import { type FinishedPack, PackWriter } from '../../src/pack/writer.ts';
import { recordOf } from './made-deltas.ts';

/** Zstandard for tests. */
export const zstd: Zstd = await nativeZstd();

/** A delta page: what it is, and upon what. */
export interface MadeDelta {
  readonly page: Uint8Array;
  readonly base: Uint8Array;
  /** Identity of the base's segment; the delta's own unless given. */
  readonly segment?: Uint8Array;
  readonly slot: number;
  /** 1 unless given. */
  readonly depth?: number;
}

/** The pages of a segment. */
export interface MadeSegment {
  readonly identity: Uint8Array;
  readonly pages: readonly Uint8Array[];
  readonly deltas?: readonly MadeDelta[];
}

/** What to put into a pack. */
export interface MadePack {
  readonly segments?: readonly MadeSegment[];
  readonly manifests?: readonly Uint8Array[];
}

/** A pack's bytes, with its name and length as the writer gave them. */
export interface PackBytes extends FinishedPack {
  readonly bytes: Uint8Array;
}

/** Sixteen bytes that follow from a number: the identity of a segment or a snapshot. */
export function identityOf(number: number): Uint8Array {
  return new Uint8Array(16).fill(number);
}

/** A page that compresses well and is like no other of another number. */
export function numberedPage(number: number, length: number = PAGE_BYTES): Uint8Array {
  const page = new Uint8Array(length);
  for (let i = 0; i < Math.min(4, length); i++) page[i] = (number >>> (8 * i)) & 0xff;
  return page.fill(7, 4, 40);
}

/** Adds the pages of one segment to a pack, as a capture does, in one thread. */
export class SegmentFiller {
  readonly #writer: PackWriter;
  readonly #identity: Uint8Array;
  readonly #encoder = new BlockEncoder(zstd);
  readonly #full = new FullFrames();
  readonly #delta = new DeltaFrames();

  constructor(writer: PackWriter, identity: Uint8Array) {
    this.#writer = writer;
    this.#identity = identity;
    writer.beginSegment(identity);
  }

  /** Adds a page in full and returns its slot. */
  addPage(page: Uint8Array, digest: Uint8Array = sha256(page)): number {
    const slot = this.#full.add(page, digest);
    if (this.#full.isFull) this.#write(this.#full);
    return slot;
  }

  /** Adds a delta page and returns its slot. */
  addDelta({ page, base, segment = this.#identity, slot, depth = 1 }: MadeDelta): number {
    const local = this.#writer.reference(segment);
    const record = recordOf(page, base, { segment: local, slot, depth });
    const own = this.#delta.add(record, local, page.length);
    if (this.#delta.isFull) this.#write(this.#delta);
    return own;
  }

  #write(frames: FullFrames | DeltaFrames): void {
    const frame = frames.take();
    if (frame === undefined) return;
    this.#writer.addFrame(frame, this.#encoder.encode(frame.type, frame.raw, 1));
  }

  /** Ends the segment. */
  end(): void {
    this.#write(this.#full);
    this.#write(this.#delta);
    this.#writer.endSegment();
  }
}

/** Runs `action` on a writer and gives what it wrote. */
export function writePack(action: (writer: PackWriter) => void): PackBytes {
  const parts: Uint8Array[] = [];
  const sink = { write: (bytes: Uint8Array) => void parts.push(Uint8Array.from(bytes)) };
  const writer = new PackWriter(sink, zstd);
  action(writer);
  return { ...writer.finish(), bytes: Uint8Array.from(Buffer.concat(parts)) };
}

/** Makes a pack. */
export function makePack({ segments = [], manifests = [] }: MadePack): PackBytes {
  return writePack((writer) => {
    for (const { identity, pages, deltas = [] } of segments) {
      const filler = new SegmentFiller(writer, identity);
      for (const page of pages) filler.addPage(page);
      for (const delta of deltas) filler.addDelta(delta);
      filler.end();
    }
    manifests.forEach((bytes, i) => {
      writer.addManifest({
        snapshotId: identityOf(i),
        revision: i,
        digest: sha256(bytes),
        bytes,
      });
    });
  });
}

/** A block with a right checksum. */
export function makeBlock(
  type: number,
  stored: Uint8Array,
  form: { codec?: number; rawBytes?: number } = {},
): Uint8Array {
  const { codec = 0, rawBytes = stored.length } = form;
  const header = encodeBlockHeader({ type, codec, storedBytes: stored.length, rawBytes }, stored);
  return Uint8Array.from([...header, ...stored]);
}

/** A pack with these blocks between its header and a footer that says what it is told. */
export function joinPack(blocks: readonly Uint8Array[], footer: Footer | Uint8Array): Uint8Array {
  const front = Buffer.concat([encodePackHeader(), ...blocks]);
  const raw = footer instanceof Uint8Array ? footer : encodeFooter(footer);
  const block = makeBlock(BLOCK.footer, raw);
  const trailer = encodeTrailer({ footerOffset: front.length, footerBytes: block.length });
  return Uint8Array.from(Buffer.concat([front, block, trailer]));
}

/** The bytes of a pack as a source. */
export function sourceOf(bytes: Uint8Array, file = 'made.pack'): Source {
  return {
    file,
    sizeBytes: bytes.length,
    read: (target, offset) => {
      if (offset < 0 || offset + target.length > bytes.length) throw new Error('read outside');
      target.set(bytes.subarray(offset, offset + target.length));
    },
  };
}

/** Opens a pack. */
export function openBytes(bytes: Uint8Array, file?: string): PackReader {
  return new PackReader(sourceOf(bytes, file), zstd);
}

/** Everything that a pack holds, in lines; throws what the reader throws. */
export function readOut(pack: PackReader): string[] {
  const lines: string[] = [];
  pack.footer.references.forEach((identity, segment) => {
    lines.push(`segment ${toHex(identity)}`);
    for (const table of pack.frameTables(segment)) {
      for (let index = 0; index < table.length; index++) {
        const read = table.isDelta(index) ? readDeltaLines : readFullLines;
        lines.push(...read(pack, table, index));
      }
    }
  });
  for (const entry of pack.footer.entries) {
    if (entry.type !== 'manifest' || entry.part > 0) continue;
    const bytes = pack.readManifest(entry.digest);
    lines.push(`manifest ${toHex(entry.snapshotId)}.${entry.revision}: ${toHex(sha256(bytes))}`);
  }
  return lines;
}

function readFullLines(pack: PackReader, table: FrameTable, index: number): string[] {
  const frame = new Uint8Array(FRAME_BYTES);
  pack.readFrame(table, index, frame);
  return table.slotsAt(index).map((slot, rank) => {
    const start = rank * PAGE_BYTES;
    const page = frame.subarray(start, start + table.pageBytes(slot));
    return `slot ${slot}: ${page.length} bytes, ${toHex(sha256(page))}`;
  });
}

/** A delta page is told by its base, and by what it makes of a page of zeros. */
function readDeltaLines(pack: PackReader, table: FrameTable, index: number): string[] {
  const frame = pack.readDeltaFrame(table, index);
  return table.slotsAt(index).map((slot, rank) => {
    const page = new Uint8Array(PAGE_BYTES);
    applyDelta(frame, rank, page, 0);
    const base = `${frame.baseSegment[rank]}:${frame.baseSlot[rank]}`;
    const place = `depth ${frame.depth[rank]} on ${base}`;
    return `slot ${slot}: ${table.pageBytes(slot)} bytes, ${place}, ${toHex(sha256(page))}`;
  });
}
