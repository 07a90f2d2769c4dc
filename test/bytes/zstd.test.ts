/** Zstandard: each implementation writes what the other reads, and never past its target. */
import zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compressBound, loadZstd, nativeZstd, type Zstd, zlibZstd } from '../../src/bytes/zstd.ts';

const hasZlib = typeof zlib.zstdCompressSync === 'function';
if (!hasZlib) process.stderr.write(`SKIPPED: node:zlib of ${process.version} has no zstd\n`);

const implementations: [string, Zstd][] = [['zstd-napi', await nativeZstd()]];
if (hasZlib) implementations.push(['node:zlib', zlibZstd()]);

const sources = fc.oneof(
  fc.uint8Array({ maxLength: 5000 }),
  fc.nat(300_000).map((length) => new Uint8Array(length).fill(7)),
);
const MARK = 0xa5;

function compress(zstd: Zstd, source: Uint8Array, level = 1): Uint8Array {
  const target = new Uint8Array(compressBound(source.length));
  return target.slice(0, zstd.compressInto(target, source, level));
}

/** Runs `action` on the middle of a marked buffer and checks that all around it stays. */
function inside(length: number, action: (target: Uint8Array) => void): void {
  const buffer = new Uint8Array(length + 64).fill(MARK);
  action(buffer.subarray(32, 32 + length));
  const around = [...buffer.subarray(0, 32), ...buffer.subarray(32 + length)];
  expect(around.every((byte) => byte === MARK)).toBe(true);
}

describe.each(implementations)('%s', (_, zstd) => {
  it.each(implementations)('writes what %s reads', (_name, other) => {
    fc.assert(
      fc.property(sources, fc.constantFrom(1, 3, 6), (source, level) => {
        const frame = compress(zstd, source, level);
        expect(frame.length).toBeLessThanOrEqual(compressBound(source.length));
        const target = new Uint8Array(source.length + 10);
        expect(other.decompressInto(target, frame)).toBe(source.length);
        expect(Buffer.compare(target.subarray(0, source.length), source)).toBe(0);
        expect(target.subarray(source.length)).toEqual(new Uint8Array(10));
      }),
    );
  });

  it('writes a frame of RFC 8878, the smaller the more alike', () => {
    const frame = compress(zstd, new Uint8Array(4096 * 64));
    expect([...frame.subarray(0, 4)]).toEqual([0x28, 0xb5, 0x2f, 0xfd]);
    expect(frame.length).toBeLessThan(100);
  });

  it('reads and writes memory that threads share', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(4096)).fill(3);
    const target = new Uint8Array(new SharedArrayBuffer(compressBound(4096)));
    const frame = target.subarray(0, zstd.compressInto(target, shared, 1));
    const back = new Uint8Array(new SharedArrayBuffer(4096));
    expect(zstd.decompressInto(back, frame)).toBe(4096);
    expect(Buffer.from(back).equals(Buffer.from(shared))).toBe(true);
  });

  it('throws when the target is too small, and writes nothing past it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 5000 }), fc.nat(), (source, seed) => {
        const frame = compress(zstd, source);
        inside(seed % source.length, (target) => {
          expect(() => zstd.decompressInto(target, frame)).toThrow();
        });
        inside(seed % frame.length, (target) => {
          expect(() => zstd.compressInto(target, source, 1)).toThrow();
        });
      }),
    );
  });

  it('throws at every cut of a frame and at bytes that are no frame', () => {
    const source = Uint8Array.from({ length: 500 }, (_value, i) => (i * i) % 251);
    const frame = compress(zstd, source);
    for (let length = 1; length < frame.length; length++) {
      const cut = frame.subarray(0, length);
      expect(() => zstd.decompressInto(new Uint8Array(500), cut), `${length}`).toThrow();
    }
    expect(() => zstd.decompressInto(new Uint8Array(500), source)).toThrow();
  });

  it('throws at random bytes or stays inside its target', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(100), (tail, length) => {
        const frame = Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, ...tail]);
        inside(length, (target) => {
          try {
            expect(zstd.decompressInto(target, frame)).toBeLessThanOrEqual(length);
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
          }
        });
      }),
      { numRuns: 500 },
    );
  });
});

describe('loadZstd', () => {
  it('gives an implementation that works here', async () => {
    const zstd = await loadZstd();
    const target = new Uint8Array(9);
    expect(zstd.decompressInto(target, compress(zstd, Uint8Array.of(1, 2, 3)))).toBe(3);
    expect([...target.subarray(0, 3)]).toEqual([1, 2, 3]);
  });
});
