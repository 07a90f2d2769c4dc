/**
 * Compressed streams: recognised by what they begin with, decompressed and compressed chunk by
 * chunk in bounded memory. What is cut off, or goes on behind its end, is refused.
 *
 * Nothing is read ahead of what is asked for, except by gzip's stream, which buffers some chunks.
 */
import { pipeline, Readable, type Transform } from 'node:stream';
import { constants, createGunzip, createGzip } from 'node:zlib';
import { zstdCompressor, zstdDecompressor } from '../bytes/zstd-stream.ts';
import { StoreError } from '../errors.ts';
import { BLOCK_BYTES, hasChecksum } from './tar-header.ts';

/** How a stream is compressed. */
export type Compression = 'none' | 'gzip' | 'zstd';

/** A stream of bytes. */
export type ByteStream = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** What to do while a stream is decompressed. */
export interface DecompressOptions {
  /** For errors. */
  readonly file: string;
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes came out, before they are passed on; throws to stop. */
  readonly onOutput?: ((count: number) => void) | undefined;
  /** Told how many bytes were read from the input. */
  readonly onInput?: ((count: number) => void) | undefined;
}

/** A stream, decompressed. */
export interface Decompressed {
  readonly compression: Compression;
  /** Each chunk is valid until the next is asked for. */
  readonly chunks: AsyncGenerator<Uint8Array, void>;
}

const GZIP_MAGIC = [0x1f, 0x8b];
const ZSTD_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const ZSTD_LEVEL = 3;
const GZIP_LEVEL = 6;

/** What a stream that begins like this is; undefined if it is no tar, compressed or not. */
export function recognise(start: Uint8Array): Compression | undefined {
  if (GZIP_MAGIC.every((byte, i) => start[i] === byte)) return 'gzip';
  if (start.length >= 4) {
    const word = new DataView(start.buffer, start.byteOffset, 4).getUint32(0, true);
    if (word === ZSTD_MAGIC || (word & 0xfffffff0) === SKIPPABLE_MAGIC) return 'zstd';
  }
  const isEmptyTar =
    start.length >= BLOCK_BYTES && start.subarray(0, BLOCK_BYTES).every((b) => b === 0);
  return isEmptyTar || hasChecksum(start.subarray(0, BLOCK_BYTES)) ? 'none' : undefined;
}

/** Finds out how a stream is compressed and decompresses it. */
export async function decompress(
  input: ByteStream,
  options: DecompressOptions,
): Promise<Decompressed> {
  const chunks = watched(input, options);
  try {
    const start = await readStart(chunks);
    const compression = recognise(start);
    if (compression === undefined) {
      const message = 'neither a tar nor one compressed by gzip or zstd';
      throw new StoreError('INVALID_IMAGE', message, { file: options.file, offset: 0 });
    }
    return { compression, chunks: decoded(compression, startingWith(start, chunks), options) };
  } catch (error) {
    await chunks.return();
    throw error;
  }
}

/** Compresses a stream. Each chunk is valid until the next is asked for. */
export async function* compress(
  input: ByteStream,
  compression: Compression,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const chunks = watched(input, { signal });
  if (compression === 'none') return yield* chunks;
  // No time and no name: equal input gives equal output.
  if (compression === 'gzip') return yield* through(chunks, createGzip({ level: GZIP_LEVEL }));
  const stream = await zstdCompressor(ZSTD_LEVEL);
  for await (const chunk of chunks) yield* stream.push(chunk);
  yield* stream.end();
}

/** The input, until the signal fires: even while a chunk is awaited. */
async function* watched(
  input: ByteStream,
  { signal, onInput }: Pick<DecompressOptions, 'signal' | 'onInput'>,
): AsyncGenerator<Uint8Array, void> {
  const iterator =
    Symbol.asyncIterator in input ? input[Symbol.asyncIterator]() : input[Symbol.iterator]();
  let onAbort = (): void => undefined;
  const listener = (): void => onAbort();
  // A promise per chunk: a race with one that stays would keep every chunk until the end.
  const nextOrAbort = (): Promise<IteratorResult<Uint8Array, unknown>> =>
    new Promise((resolve, reject) => {
      onAbort = () => reject(stopped(signal));
      if (signal?.aborted === true) onAbort();
      else Promise.resolve(iterator.next()).then(resolve, reject);
    });
  signal?.addEventListener('abort', listener, { once: true });
  let isLeft = true;
  try {
    for (;;) {
      const next = await nextOrAbort();
      if (next.done === true) {
        isLeft = false;
        return;
      }
      onInput?.(next.value.length);
      yield next.value;
    }
  } finally {
    signal?.removeEventListener('abort', listener);
    // Not awaited: it may be stuck in what the signal was to end.
    if (isLeft) Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

function stopped(signal: AbortSignal | undefined): StoreError {
  return new StoreError('ABORTED', 'the operation was stopped', { cause: signal?.reason });
}

async function readStart(chunks: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let length = 0; length < BLOCK_BYTES;) {
    const next = await chunks.next();
    if (next.done === true) break;
    parts.push(new Uint8Array(next.value));
    length += next.value.length;
  }
  return parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts));
}

async function* startingWith(
  start: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void>,
): AsyncGenerator<Uint8Array, void> {
  try {
    if (start.length > 0) yield start;
    yield* rest;
  } finally {
    await rest.return();
  }
}

async function* decoded(
  compression: Compression,
  chunks: AsyncGenerator<Uint8Array, void>,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array, void> {
  const outputs =
    compression === 'none' ? chunks : compression === 'gzip' ? gunzip(chunks) : unzstd(chunks);
  try {
    for await (const chunk of outputs) {
      options.onOutput?.(chunk.length);
      yield chunk;
    }
  } catch (error) {
    if (!(error instanceof DecoderError)) throw error;
    const message = `the ${compression} stream is damaged or cut off: ${error.message}`;
    throw new StoreError('INVALID_IMAGE', message, { file: options.file, cause: error });
  }
}

/** What a decoder says of its input; failures of the input itself keep their own class. */
class DecoderError extends Error {}

async function* unzstd(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const stream = await zstdDecompressor();
  for await (const chunk of chunks) yield* asDecoder(() => stream.push(chunk));
  yield* asDecoder(() => stream.end());
}

// Not a try around the loop: an error that a consumer throws in is none of the decoder.
function* asDecoder(start: () => Iterable<Uint8Array>): Generator<Uint8Array, void> {
  let outputs: Iterator<Uint8Array> | undefined;
  for (;;) {
    let next: IteratorResult<Uint8Array, unknown>;
    try {
      outputs ??= start()[Symbol.iterator]();
      next = outputs.next();
    } catch (error) {
      throw new DecoderError((error as Error).message, { cause: error });
    }
    if (next.done === true) return;
    yield next.value;
  }
}

async function* gunzip(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const stream = createGunzip();
  let readBytes = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) {
      readBytes += chunk.length;
      yield chunk;
    }
  };
  yield* through(counted(), stream);
  // Zeros behind the end, and all that follows them, are dropped by node:zlib without a word.
  if (stream.bytesWritten !== readBytes) throw new DecoderError('it goes on behind its end');
}

async function* through(
  chunks: AsyncIterable<Uint8Array>,
  stream: Transform,
): AsyncGenerator<Uint8Array, void> {
  // Chunks are copied: a stream keeps some of them, and theirs are valid only until the next.
  const copied = async function* (): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) yield new Uint8Array(chunk);
  };
  const source = Readable.from(copied(), { objectMode: false, highWaterMark: 1 });
  // Errors come out of the loop below as well.
  pipeline(source, stream, () => undefined);
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    const isZlib = error instanceof Error && 'errno' in error && isZlibCode(error.errno);
    throw isZlib ? new DecoderError((error as Error).message, { cause: error }) : error;
  }
}

function isZlibCode(code: unknown): boolean {
  return code === constants.Z_DATA_ERROR || code === constants.Z_BUF_ERROR;
}
