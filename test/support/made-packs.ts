/** Packs in memory for tests: made of numbered pages, read out whole, put together by hand. */
import { sha256 } from '@noble/hashes/sha2.js';
import { toHex } from '../../src/bytes/hex.ts';
import { PAGE_BYTES } from '../../src/bytes/page.ts';
import { nativeZstd, type Zstd } from '../../src/bytes/zstd.ts';
import { encodeFooter, type Footer } from '../../src/pack/footer.ts';
import {
  BLOCK,
  encodeBlockHeader,
  encodePackHeader,
  encodeTrailer,
  FRAME_PAGES,
} from '../../src/pack/format.ts';
import { PackReader, type Source } from '../../src/pack/reader.ts';
import { type FinishedPack, PackWriter } from '../../src/pack/writer.ts';

/** Zstandard for tests. */
export const zstd: Zstd = await nativeZstd();

/** What to put into a pack. */
export interface MadePack {
  readonly segments?: readonly { readonly identity: Uint8Array; readonly pages: Uint8Array[] }[];
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

/** Runs `action` on a writer and gives what it wrote. */
export function writePack(action: (writer: PackWriter) => void, level = 1): PackBytes {
  const parts: Uint8Array[] = [];
  const sink = { write: (bytes: Uint8Array) => void parts.push(Uint8Array.from(bytes)) };
  const writer = new PackWriter(sink, zstd, level);
  action(writer);
  return { ...writer.finish(), bytes: Uint8Array.from(Buffer.concat(parts)) };
}

/** Makes a pack. */
export function makePack({ segments = [], manifests = [] }: MadePack): PackBytes {
  return writePack((writer) => {
    for (const { identity, pages } of segments) {
      writer.beginSegment(identity);
      for (const page of pages) writer.addPage(page, sha256(page), 0);
      writer.endSegment();
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
  const frame = new Uint8Array(FRAME_PAGES * PAGE_BYTES);
  pack.footer.references.forEach((identity, segment) => {
    lines.push(`segment ${toHex(identity)}`);
    for (const table of pack.frameTables(segment)) {
      for (let index = 0; index < table.length; index++) {
        pack.readFrame(table, index, frame);
        for (const [rank, slot] of table.slotsAt(index).entries()) {
          const start = rank * PAGE_BYTES;
          const page = frame.subarray(start, start + table.pageBytes(slot));
          lines.push(`slot ${slot}: ${page.length} bytes, ${toHex(sha256(page))}`);
        }
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
