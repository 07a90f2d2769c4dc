/**
 * Encodes blocks of a pack: header, checksum and stored bytes together, compressed where that pays.
 * One encoder serves one thread; what it returns is valid until the next call.
 */
import { compressBound, type Zstd } from '../bytes/zstd.ts';
import {
  BLOCK_HEADER_BYTES,
  CODEC,
  encodeBlockHeader,
  FRAME_BYTES,
  MAX_BLOCK_RAW_BYTES,
} from './format.ts';

/** The room that a block of `rawBytes` may need. */
export function blockBound(rawBytes: number): number {
  return BLOCK_HEADER_BYTES + compressBound(rawBytes);
}

/** Encodes blocks into a buffer of its own. */
export class BlockEncoder {
  readonly #zstd: Zstd;
  readonly #scratch = new Uint8Array(blockBound(FRAME_BYTES));

  constructor(zstd: Zstd) {
    this.#zstd = zstd;
  }

  /**
   * The block that holds `raw`.
   *
   * @param level of zstd; undefined stores the bytes as they are.
   */
  encode(type: number, raw: Uint8Array, level: number | undefined): Uint8Array {
    if (raw.length > MAX_BLOCK_RAW_BYTES) throw new RangeError(`block of ${raw.length} bytes`);
    const room = blockBound(raw.length);
    const block = room <= this.#scratch.length ? this.#scratch : new Uint8Array(room);
    const body = block.subarray(BLOCK_HEADER_BYTES);
    let storedBytes = level === undefined ? raw.length : this.#zstd.compressInto(body, raw, level);
    const codec = storedBytes < raw.length ? CODEC.zstd : CODEC.none;
    if (codec === CODEC.none) {
      body.set(raw);
      storedBytes = raw.length;
    }
    const header = { type, codec, storedBytes, rawBytes: raw.length };
    block.set(encodeBlockHeader(header, body.subarray(0, storedBytes)));
    return block.subarray(0, BLOCK_HEADER_BYTES + storedBytes);
  }
}
