/**
 * Reads frames of a pack and checks every page that can be checked alone: full pages against their
 * digests, frames of deltas against their own form. What is damaged is listed; nothing else stops
 * for it.
 */
import { DIGEST_BYTES, sha256Into } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import { isDamage, StoreError } from '../errors.ts';
import { FRAME_PAGES } from '../pack/format.ts';
import type { FrameTable } from '../pack/frame-table.ts';
import type { PackReader } from '../pack/reader.ts';
import type { Session } from './session.ts';
import type { CheckFramesRequest, FrameDamage } from './tasks.ts';

const pages = Buffer.allocUnsafeSlow(FRAME_PAGES * PAGE_BYTES);
const digest = Buffer.alloc(DIGEST_BYTES);

/** Reads and checks; answers with the frames that are damaged. */
export function checkFrames(
  session: Session,
  { pack, segment, table: number, first, end }: CheckFramesRequest,
): readonly FrameDamage[] {
  const reader = session.packs.reader(pack);
  const table = reader.frameTables(segment)[number];
  if (table === undefined || end > table.length) throw reader.corrupt('a frame table is missing');
  const damage: FrameDamage[] = [];
  for (let index = first; index < end; index++) {
    const { offset } = table.entryAt(index);
    try {
      checkFrame(reader, table, index);
    } catch (error) {
      if (!(error instanceof StoreError) || !isDamage(error)) throw error;
      const { code, summary } = error;
      damage.push({ frame: offset, code, summary, offset: error.offset ?? offset });
    }
  }
  return damage;
}

function checkFrame(pack: PackReader, table: FrameTable, index: number): void {
  // Delta pages have no digests of their own: their bytes are checked here, their pages by leaves.
  if (table.isDelta(index)) return void pack.readDeltaFrame(table, index);
  pack.readFrame(table, index, pages);
  const expected = pack.frameDigests(table, index);
  for (const [rank, slot] of table.slotsAt(index).entries()) {
    const start = rank * PAGE_BYTES;
    sha256Into(pages.subarray(start, start + table.pageBytes(slot)), digest, 0);
    if (digest.compare(expected, rank * DIGEST_BYTES, (rank + 1) * DIGEST_BYTES) === 0) continue;
    pack.reportLost(table, index);
    throw pack.corrupt(`page in slot ${slot} is not its digest's`, table.entryAt(index).offset);
  }
}
