/**
 * Checks a frame as far as it can be checked alone: full pages against their digests, deltas
 * against their own form. They have no digests: what they come to, the leaves of snapshots tell.
 *
 * Where the digests are damaged, and not the frame, no page is lost: the frame's checksum is right.
 */
import { DIGEST_BYTES, sha256Into } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import type { FrameTable } from './frame-table.ts';
import type { PackReader } from './reader.ts';

const digest = Buffer.alloc(DIGEST_BYTES);

/**
 * Reads the frame at `index`, by way of `buffer` (256 KiB).
 *
 * @throws StoreError CORRUPT when it does not hold what was written; it counts as lost then.
 */
export function checkFrame(
  reader: PackReader,
  table: FrameTable,
  index: number,
  buffer: Uint8Array,
): void {
  if (table.isDelta(index)) return void reader.readDeltaFrame(table, index);
  reader.readFrame(table, index, buffer);
  const expected = reader.frameDigests(table, index);
  for (const [rank, slot] of table.slotsAt(index).entries()) {
    const start = rank * PAGE_BYTES;
    sha256Into(buffer.subarray(start, start + table.pageBytes(slot)), digest, 0);
    if (digest.compare(expected, rank * DIGEST_BYTES, (rank + 1) * DIGEST_BYTES) === 0) continue;
    if (!reader.digestBlocks.areRight(table, index)) return;
    reader.reportLost(table, index);
    throw reader.corrupt(`page in slot ${slot} is not its digest's`, table.entryAt(index).offset);
  }
}

/** The digests of the pages of the frame at `index`, which were decoded into `pages`. */
export function pageDigests(table: FrameTable, index: number, pages: Uint8Array): Buffer {
  const slots = table.slotsAt(index);
  const digests = Buffer.alloc(slots.length * DIGEST_BYTES);
  for (const [rank, slot] of slots.entries()) {
    const start = rank * PAGE_BYTES;
    sha256Into(pages.subarray(start, start + table.pageBytes(slot)), digests, rank * DIGEST_BYTES);
  }
  return digests;
}
