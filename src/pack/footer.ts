/**
 * The footer of a pack: its table of segment identities and the directory of its blocks. Pure; the
 * layout is in FORMAT.md, section 3. Every offset is checked to lie in the pack, and to ascend.
 */
import { DIGEST_BYTES } from '#digest';
import { ByteReader } from '../bytes/reader.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { BLOCK, BLOCK_HEADER_BYTES, PACK_HEADER_BYTES, SEGMENT_ID_BYTES } from './format.ts';

/** Bytes of a snapshot's id in binary form. */
const SNAPSHOT_ID_BYTES = 16;
/** More parts than a manifest can have: parts are 1 MiB, manifests end at 1 GiB. */
const MAX_MANIFEST_PARTS = 1024;

/** A block's place in the pack. */
export interface BlockPlace {
  readonly offset: number;
  /** Block header included. */
  readonly blockBytes: number;
}

/** A frame table, and the frames of the segment that it lists. */
export interface FrameTablePlace extends BlockPlace {
  readonly type: 'frameTable';
  /** Local number of the segment: its place in the footer's references. */
  readonly segment: number;
  readonly firstFrame: number;
  readonly lastFrame: number;
}

/** One part of a manifest. */
export interface ManifestPartPlace extends BlockPlace {
  readonly type: 'manifest';
  readonly snapshotId: Uint8Array;
  readonly revision: number;
  readonly part: number;
  readonly parts: number;
  /** SHA-256 of the whole manifest. */
  readonly digest: Uint8Array;
}

/** A block whose type says it all. */
export interface PlainPlace extends BlockPlace {
  readonly type: 'digests' | 'states';
}

/** A line of the directory. */
export type FooterEntry = FrameTablePlace | ManifestPartPlace | PlainPlace;

/** What the footer says. */
export interface Footer {
  /** Identities of the segments that this pack holds or refers to, by local number. */
  readonly references: readonly Uint8Array[];
  readonly entries: readonly FooterEntry[];
}

/** The footer's bytes. */
export function encodeFooter(footer: Footer): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.varint(footer.references.length);
  for (const identity of footer.references) writer.raw(identity);
  writer.varint(footer.entries.length);
  for (const entry of footer.entries) encodeEntry(writer, entry);
  return writer.bytes();
}

function encodeEntry(writer: ByteWriter, entry: FooterEntry): void {
  writer.u8(BLOCK[entry.type]);
  writer.varint(entry.offset);
  writer.varint(entry.blockBytes);
  if (entry.type === 'frameTable') {
    writer.varint(entry.segment);
    writer.varint(entry.firstFrame);
    writer.varint(entry.lastFrame);
  } else if (entry.type === 'manifest') {
    writer.raw(entry.snapshotId);
    writer.varint(entry.revision);
    writer.varint(entry.part);
    writer.varint(entry.parts);
    writer.raw(entry.digest);
  }
}

/**
 * @param footerOffset where the footer's block starts: no block may reach beyond it.
 * @throws StoreError CORRUPT when anything disagrees.
 */
export function decodeFooter(bytes: Uint8Array, file: string, footerOffset: number): Footer {
  const reader = new ByteReader(bytes, { code: 'CORRUPT', file, offset: footerOffset });
  const referenceCount = reader.count(reader.remaining / SEGMENT_ID_BYTES, 'references');
  const references = Array.from({ length: referenceCount }, () => reader.bytes(SEGMENT_ID_BYTES));
  const entryCount = reader.count(reader.remaining, 'blocks');
  const entries: FooterEntry[] = [];
  let end = PACK_HEADER_BYTES;
  for (let i = 0; i < entryCount; i++) {
    const entry = decodeEntry(reader, references.length);
    if (entry.offset < end || entry.blockBytes < BLOCK_HEADER_BYTES) {
      throw reader.fail('blocks overlap');
    }
    end = entry.offset + entry.blockBytes;
    entries.push(entry);
  }
  if (end > footerOffset) throw reader.fail('a block reaches into the footer');
  reader.end();
  return { references, entries };
}

function decodeEntry(reader: ByteReader, referenceCount: number): FooterEntry {
  const type = reader.u8();
  const place = { offset: reader.varint(), blockBytes: reader.varint() };
  if (type === BLOCK.digests) return { type: 'digests', ...place };
  if (type === BLOCK.states) return { type: 'states', ...place };
  if (type === BLOCK.frameTable) {
    const segment = reader.count(referenceCount - 1, 'as segment number');
    const firstFrame = reader.varint();
    const lastFrame = reader.varint();
    return { type: 'frameTable', ...place, segment, firstFrame, lastFrame };
  }
  if (type !== BLOCK.manifest) throw reader.fail(`block of unknown type ${type}`);
  const snapshotId = reader.bytes(SNAPSHOT_ID_BYTES);
  const revision = reader.varint();
  const part = reader.varint();
  const parts = reader.count(MAX_MANIFEST_PARTS, 'manifest parts');
  if (part >= parts) throw reader.fail(`manifest part ${part} of ${parts}`);
  const digest = reader.bytes(DIGEST_BYTES);
  return { type: 'manifest', ...place, snapshotId, revision, part, parts, digest };
}
