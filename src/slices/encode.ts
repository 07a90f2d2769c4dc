/** Compresses a frame: the block is written behind the raw bytes in the same shared memory. */
import { FRAME_BYTES } from '../pack/format.ts';
import { blockBound } from '../pack/block.ts';
import type { Session } from './session.ts';
import type { EncodeRequest } from './tasks.ts';

/** Where the block begins in the memory of a frame. */
export const BLOCK_OFFSET: number = FRAME_BYTES;
/** The memory of a frame. */
export const FRAME_BUFFER_BYTES: number = FRAME_BYTES + blockBound(FRAME_BYTES);

/** Encodes the block of a frame and returns its length. */
export function encode(session: Session, request: EncodeRequest): number {
  const { buffer, type, rawBytes, level } = request;
  const raw = new Uint8Array(buffer, 0, rawBytes);
  const block = session.encoder.encode(type, raw, level);
  new Uint8Array(buffer, BLOCK_OFFSET).set(block);
  return block.length;
}
