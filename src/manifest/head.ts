/**
 * The head of a snapshot: the digests of all its pages, entry by entry in the order of its
 * manifest, for the next capture to compare with (FORMAT.md, section 5). A cache: what it says is
 * used only after it has reproduced the leaves of the snapshot's manifest, leaf by leaf. Where the
 * pages are is not in it: the recipe knows, and is right.
 */
import { ID_BYTES } from '../bytes/id.ts';
import { ByteWriter } from '../bytes/writer.ts';

/** Bytes before the first digest. */
export const HEAD_HEADER_BYTES = 32;

const MAGIC = new TextEncoder().encode('criutlhd');

/** The header of a snapshot's head. */
export function encodeHeadHeader(snapshotId: Uint8Array): Uint8Array {
  const writer = new ByteWriter(HEAD_HEADER_BYTES);
  writer.raw(MAGIC);
  writer.raw(snapshotId);
  writer.raw(new Uint8Array(HEAD_HEADER_BYTES - MAGIC.length - ID_BYTES));
  return writer.bytes();
}
