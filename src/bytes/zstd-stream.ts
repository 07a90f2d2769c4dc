/**
 * Zstandard from stream to stream, in bounded memory: the contexts of zstd-napi, driven by hand.
 *
 * Not node:zlib, on any Node.js: its ZstdDecompress (24.21) ends at the end of a frame that falls
 * inside a chunk and drops what follows without an error, so a stream of several frames, or one
 * that begins with a skippable frame, comes back short.
 */
import type { CCtx, DCtx } from 'zstd-napi/binding.js';

/** Turns chunks into chunks. `end` must follow the last one. */
export interface ZstdStream {
  /** What comes out for these bytes. Each chunk is valid until the next one is asked for. */
  push(chunk: Uint8Array): Generator<Uint8Array, void>;
  /** What is left at the end. The decompressor throws where the input stops inside a frame. */
  end(): Iterable<Uint8Array>;
}

const OUTPUT_BYTES = 128 * 1024;
const NOTHING = new Uint8Array(0);

/** Reads any number of frames, skippable ones too; throws on anything else behind them. */
export async function zstdDecompressor(): Promise<ZstdStream> {
  const { default: binding } = await import('zstd-napi/binding.js');
  return new Decompression(new binding.DCtx());
}

/** Writes one frame with a checksum. */
export async function zstdCompressor(level: number): Promise<ZstdStream> {
  const { default: binding } = await import('zstd-napi/binding.js');
  const context = new binding.CCtx();
  context.setParameter(binding.CParameter.compressionLevel, level);
  context.setParameter(binding.CParameter.checksumFlag, 1);
  const { continue: more, end } = binding.EndDirective;
  return new Compression(context, more, end);
}

class Decompression implements ZstdStream {
  readonly #context: DCtx;
  readonly #output = new Uint8Array(OUTPUT_BYTES);
  // An input without any frame is no Zstandard.
  #insideFrame = true;

  constructor(context: DCtx) {
    this.#context = context;
  }

  *push(chunk: Uint8Array): Generator<Uint8Array, void> {
    let left = chunk;
    let isFull = false;
    while (left.length > 0 || isFull) {
      const [hint, produced, consumed] = this.#context.decompressStream(this.#output, left);
      left = left.subarray(consumed);
      // A full output may hide more; at the end of a frame (0) there is none.
      isFull = produced === this.#output.length && hint !== 0;
      this.#insideFrame = hint !== 0;
      if (produced > 0) yield this.#output.subarray(0, produced);
    }
  }

  end(): Iterable<Uint8Array> {
    if (this.#insideFrame) throw new Error('the input ends inside a frame');
    return [];
  }
}

class Compression implements ZstdStream {
  readonly #context: CCtx;
  readonly #more: number;
  readonly #end: number;
  readonly #output = new Uint8Array(OUTPUT_BYTES);

  constructor(context: CCtx, more: number, end: number) {
    this.#context = context;
    this.#more = more;
    this.#end = end;
  }

  *push(chunk: Uint8Array): Generator<Uint8Array, void> {
    let left = chunk;
    while (left.length > 0) {
      const result = this.#context.compressStream2(this.#output, left, this.#more);
      left = left.subarray(result[2]);
      if (result[1] > 0) yield this.#output.subarray(0, result[1]);
    }
  }

  *end(): Generator<Uint8Array, void> {
    for (;;) {
      const result = this.#context.compressStream2(this.#output, NOTHING, this.#end);
      if (result[1] > 0) yield this.#output.subarray(0, result[1]);
      if (result[0] === 0) return;
    }
  }
}
