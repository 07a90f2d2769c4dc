/**
 * Reads frames of a pack and checks every page that can be checked alone. What is damaged is
 * listed; nothing else stops for it.
 */
import { isDamage, StoreError } from '../errors.ts';
import { checkFrame } from '../pack/check-frame.ts';
import { FRAME_BYTES } from '../pack/format.ts';
import type { Session } from './session.ts';
import type { CheckFramesRequest, FrameDamage } from './tasks.ts';

const pages = Buffer.allocUnsafeSlow(FRAME_BYTES);

/** Reads and checks; answers with the frames that are damaged. */
export function checkFrames(
  session: Session,
  { pack, segment, table: number, first, end }: CheckFramesRequest,
): readonly FrameDamage[] {
  const reader = session.packs.reader(pack);
  const table = reader.tables.at(segment, number);
  if (table === undefined || end > table.length) throw reader.corrupt('a frame table is missing');
  const damage: FrameDamage[] = [];
  for (let index = first; index < end; index++) {
    const { offset } = table.entryAt(index);
    try {
      checkFrame(reader, table, index, pages);
    } catch (error) {
      if (!(error instanceof StoreError) || !isDamage(error)) throw error;
      const { code, summary } = error;
      damage.push({ frame: offset, code, summary, offset: error.offset ?? offset });
    }
  }
  return damage;
}
