/**
 * What a power cut may leave of SQLite's files between two moments at which they were seen. Each
 * commit that has returned is in the -wal, synced; of what comes after it, frames may be missing
 * from any boundary on, or torn.
 */
import type { DatabaseBytes, Databases } from './crashing-files.ts';

const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const PAGE_SIZE_OFFSET = 8;

/** States that SQLite's files may be in. */
export interface DatabaseCut {
  readonly name: string;
  readonly databases: Databases;
}

/** The states between two moments, both included; those in between are few and in order. */
export function databaseCuts(before: Databases, after: Databases): DatabaseCut[] {
  const cuts: DatabaseCut[] = [{ name: 'as before', databases: before }];
  for (const [inode, now] of after) {
    const old = before.get(inode);
    if (old === undefined || old === now) continue;
    for (const { name, bytes } of statesBetween(old, now)) {
      cuts.push({ name, databases: new Map([...before, [inode, bytes]]) });
    }
  }
  if (after !== before) cuts.push({ name: 'as after', databases: after });
  return cuts;
}

function statesBetween(
  old: DatabaseBytes,
  now: DatabaseBytes,
): { readonly name: string; readonly bytes: DatabaseBytes }[] {
  // A checkpoint: the database is written, all or in part, before the -wal goes.
  if (!old.main.equals(now.main)) {
    if (old.wal === undefined) return [];
    const half = Buffer.from(now.main);
    old.main.subarray(0, Math.min(half.length, old.main.length) >>> 1).copy(half);
    return [
      { name: 'checkpointed in part', bytes: { main: half, wal: old.wal } },
      { name: 'checkpointed', bytes: { main: now.main, wal: old.wal } },
    ];
  }
  const [oldBytes, nowBytes] = [old.wal ?? Buffer.alloc(0), now.wal ?? Buffer.alloc(0)];
  // Begun anew, from its start: only the two ends are known.
  if (!nowBytes.subarray(0, oldBytes.length).equals(oldBytes)) return [];
  return cutWals(oldBytes, nowBytes).map(({ name, wal }) => {
    return { name, bytes: { main: now.main, wal } };
  });
}

function cutWals(old: Buffer, now: Buffer): { readonly name: string; readonly wal: Buffer }[] {
  if (now.length <= WAL_HEADER_BYTES) return [];
  const frameBytes = FRAME_HEADER_BYTES + now.readUInt32BE(PAGE_SIZE_OFFSET);
  const first = Math.max(0, Math.floor((old.length - WAL_HEADER_BYTES) / frameBytes));
  const last = Math.floor((now.length - WAL_HEADER_BYTES) / frameBytes);
  const cuts: { readonly name: string; readonly wal: Buffer }[] = [];
  for (let frame = first; frame < last; frame++) {
    const end = WAL_HEADER_BYTES + frame * frameBytes;
    const wal = now.subarray(0, end);
    if (end > old.length) cuts.push({ name: `${frame} of ${last} frames`, wal });
    const torn = Buffer.alloc(end + frameBytes);
    now.copy(torn, 0, 0, end + (frameBytes >>> 1));
    cuts.push({ name: `${frame} of ${last} frames and one torn`, wal: torn });
  }
  // The last frame, which has the mark of the commit, without one before it.
  if (last - first > 1) {
    const holed = Buffer.from(now);
    const start = WAL_HEADER_BYTES + first * frameBytes;
    holed.fill(0, start, start + frameBytes);
    cuts.push({ name: `without frame ${first} of ${last}`, wal: holed });
  }
  return cuts;
}
