/**
 * Finds out which bytes of a stored file are lost, where reading it has failed: those that a
 * partial restore would put zeros in place of.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import { read } from './read.ts';
import type { Session } from './session.ts';
import type { LostBytes, ReadRequest } from './tasks.ts';

/** Answers with the lost bytes of the file, ascending; neighbours are joined. */
export function findLost(session: Session, request: ReadRequest): readonly LostBytes[] {
  // Otherwise each of its pages would have a damaged frame read once more.
  session.refuseLost();
  const lost: LostBytes[] = [];
  for (const page of read(session, { ...request, partial: true })) {
    const at = page * PAGE_BYTES;
    add(lost, request.offset + at, Math.min(PAGE_BYTES, request.bytes - at));
  }
  return lost;
}

function add(lost: LostBytes[], offset: number, bytes: number): void {
  const last = lost.at(-1);
  if (last !== undefined && last.offset + last.bytes === offset) {
    lost[lost.length - 1] = { offset: last.offset, bytes: last.bytes + bytes };
  } else {
    lost.push({ offset, bytes });
  }
}
