/**
 * Compresses frames, whose pages are in their own shared memory or still in a slice. The block is
 * written to that memory, behind the place for the raw bytes.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import { FRAME_BYTES } from '../pack/format.ts';
import { blockBound } from '../pack/block.ts';
import type { Session } from './session.ts';
import type { EncodeRequest, FrameToEncode } from './tasks.ts';
import type { SliceHandle } from './slice.ts';

/** Where the block begins in the memory of a frame. */
export const BLOCK_OFFSET: number = FRAME_BYTES;
/** The memory of a frame. */
export const FRAME_BUFFER_BYTES: number = FRAME_BYTES + blockBound(FRAME_BYTES);

const gathered = new Uint8Array(FRAME_BYTES);

/** Encodes the blocks of frames and returns their lengths. */
export function encode(session: Session, request: EncodeRequest): number[] {
  const { frames, slice, type, level } = request;
  return frames.map((frame) => {
    const block = session.encoder.encode(type, rawOf(session, frame, slice), level);
    new Uint8Array(frame.buffer, BLOCK_OFFSET).set(block);
    return block.length;
  });
}

/** The raw bytes of a frame: pages of a slice are used where they lie, if that is in a row. */
function rawOf(
  session: Session,
  { buffer, rawBytes, pages }: FrameToEncode,
  handle: SliceHandle | undefined,
): Uint8Array {
  if (pages === undefined) return new Uint8Array(buffer, 0, rawBytes);
  if (handle === undefined) throw new RangeError('pages of no slice');
  const slice = session.slice(handle);
  const start = (pages[0] as number) * PAGE_BYTES;
  const end = (pages.at(-1) as number) * PAGE_BYTES + PAGE_BYTES;
  if (end - start === rawBytes) return slice.pages.subarray(start, end);
  pages.forEach((page, i) => gathered.set(slice.view(page), i * PAGE_BYTES));
  return gathered.subarray(0, rawBytes);
}
