/** Zstandard streams: what one writes the other reads, and the end of the input is checked. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadZstd } from '../../src/bytes/zstd.ts';
import { zstdCompressor, zstdDecompressor, type ZstdStream } from '../../src/bytes/zstd-stream.ts';

function run(stream: ZstdStream, chunks: Iterable<Uint8Array>): Buffer {
  const parts: Buffer[] = [];
  for (const chunk of chunks) for (const out of stream.push(chunk)) parts.push(Buffer.from(out));
  for (const out of stream.end()) parts.push(Buffer.from(out));
  return Buffer.concat(parts);
}

const sources = fc.oneof(
  fc.uint8Array({ maxLength: 5000 }),
  fc.nat(1_000_000).map((length) => new Uint8Array(length).fill(7)),
);

describe('a Zstandard stream', () => {
  it('comes back in chunks of any size', async () => {
    await fc.assert(
      fc.asyncProperty(sources, fc.integer({ min: 1, max: 400_000 }), async (source, size) => {
        const chunks = function* (bytes: Uint8Array): Generator<Uint8Array> {
          for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
        };
        const frame = run(await zstdCompressor(3), chunks(source));
        expect(run(await zstdDecompressor(), chunks(frame)).equals(source)).toBe(true);
        // node:zlib takes no empty target.
        const target = new Uint8Array(source.length + 1);
        expect((await loadZstd()).decompressInto(target, frame)).toBe(source.length);
        expect(Buffer.from(target.subarray(0, source.length)).equals(source)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('must end with a frame, and must have one', async () => {
    const frame = run(await zstdCompressor(3), [new Uint8Array(1000)]);
    for (let length = 0; length < frame.length; length++) {
      const decompressor = await zstdDecompressor();
      expect(() => run(decompressor, [frame.subarray(0, length)]), `${length}`).toThrow();
    }
    const decompressor = await zstdDecompressor();
    expect(() => run(decompressor, [frame, Buffer.from('garbage')])).toThrow();
  });

  it('gives the output of a bomb piece by piece', async () => {
    const megabyte = new Uint8Array(1_048_576);
    const bomb = run(await zstdCompressor(3), Array<Uint8Array>(64).fill(megabyte));
    expect(bomb.length).toBeLessThan(20_000);
    let sizeBytes = 0;
    for (const chunk of (await zstdDecompressor()).push(bomb)) {
      expect(chunk.length).toBeLessThanOrEqual(131_072);
      sizeBytes += chunk.length;
    }
    expect(sizeBytes).toBe(64 * 1_048_576);
  });
});
