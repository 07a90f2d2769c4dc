/**
 * Zstandard (RFC 8878) for one thread: node:zlib where the running Node has it (>= 22.15), else
 * zstd-napi. Both write and read the same format; there is no third, weaker choice.
 *
 * Works from buffer to buffer. zstd-napi does so natively; node:zlib allocates its results, which
 * are then copied.
 */
import zlib from 'node:zlib';

/** Compresses and decompresses whole frames. */
export interface Zstd {
  /** Writes one frame to the start of `target` and returns its length. */
  compressInto(target: Uint8Array, source: Uint8Array, level: number): number;
  /** Fills the start of `target`; returns the bytes written. Throws on anything malformed. */
  decompressInto(target: Uint8Array, source: Uint8Array): number;
}

/** The room that `compressInto` may need for `length` bytes (ZSTD_compressBound, rounded up). */
export function compressBound(length: number): number {
  return length + Math.ceil(length / 256) + 1024;
}

/** The implementation for this runtime. */
export async function loadZstd(): Promise<Zstd> {
  return typeof zlib.zstdCompressSync === 'function' ? zlibZstd() : await nativeZstd();
}

/** @internal The one over node:zlib. */
export function zlibZstd(): Zstd {
  return {
    compressInto: (target, source, level) => {
      const params = { [zlib.constants.ZSTD_c_compressionLevel]: level };
      const frame = zlib.zstdCompressSync(source, { params });
      target.set(frame);
      return frame.length;
    },
    decompressInto: (target, source) => {
      const bytes = zlib.zstdDecompressSync(source, { maxOutputLength: target.length });
      target.set(bytes);
      return bytes.length;
    },
  };
}

/** @internal The one over zstd-napi. */
export async function nativeZstd(): Promise<Zstd> {
  const { default: binding } = await import('zstd-napi/binding.js');
  const compression = new binding.CCtx();
  const decompression = new binding.DCtx();
  return {
    compressInto: (target, source, level) => compression.compress(target, source, level),
    decompressInto: (target, source) => decompression.decompress(target, source),
  };
}
