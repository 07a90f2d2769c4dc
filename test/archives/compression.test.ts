/** Compressed streams: told apart by content, whole or refused, stopped by a signal. */
import { execFileSync } from 'node:child_process';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compress,
  type Compression,
  decompress,
  recognise,
} from '../../src/archives/compression.ts';
import { expectFailure } from '../support/failures.ts';
import { chunksOf, decompressed, END, rawTar } from '../support/made-archives.ts';

const tar = rawTar({ name: 'a', content: Buffer.alloc(300_000, 'text') });
const zstd = (bytes: Uint8Array): Buffer => execFileSync('zstd', ['-q', '-c'], { input: bytes });
const SKIPPABLE = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9]);

async function compressed(how: Compression, bytes: Uint8Array): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of compress(chunksOf(bytes, [10_000]), how))
    parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

describe('a stream is recognised', () => {
  it.each<[string, Uint8Array, Compression | undefined]>([
    ['a tar', tar, 'none'],
    ['an empty tar', END, 'none'],
    ['gzip', gzipSync(tar), 'gzip'],
    ['zstd', zstd(tar), 'zstd'],
    ['zstd behind a skippable frame', SKIPPABLE, 'zstd'],
    ['nothing', new Uint8Array(0), undefined],
    ['text', Buffer.alloc(600, 'x'), undefined],
    ['few zeros', new Uint8Array(511), undefined],
    ['half of a magic', Uint8Array.of(0x1f), undefined],
  ])('%s', (_name, bytes, expected) => expect(recognise(bytes)).toBe(expected));

  it('or refused', async () => {
    const failure = { code: 'INVALID_IMAGE' as const, file: 'a.tar', message: /neither a tar/ };
    await expectFailure(() => decompressed(Buffer.alloc(5000, 'x')), failure);
    await expectFailure(() => decompressed(new Uint8Array(0)), failure);
  });
});

describe('a compressed stream', () => {
  const forms: [string, Buffer][] = [
    ['none', tar],
    ['gzip', gzipSync(tar)],
    [
      'gzip in two members',
      Buffer.concat([gzipSync(tar.subarray(0, 999)), gzipSync(tar.subarray(999))]),
    ],
    ['zstd', zstd(tar)],
    ['zstd in two frames', Buffer.concat([zstd(tar.subarray(0, 999)), zstd(tar.subarray(999))])],
    ['zstd with skippable frames', Buffer.concat([SKIPPABLE, zstd(tar), SKIPPABLE])],
  ];

  it.each(forms)('comes back, at any boundaries of chunks: %s', async (_name, bytes) => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(sizes, async (chunkSizes) => {
        expect((await decompressed(bytes, chunkSizes)).equals(tar)).toBe(true);
      }),
      { numRuns: 10 },
    );
  });

  it.each(forms.slice(1))('is refused when it is cut off: %s', async (_name, bytes) => {
    const failure = {
      code: 'INVALID_IMAGE' as const,
      file: 'a.tar',
      message: /damaged or cut off/,
    };
    const cuts = [bytes.length - 1, bytes.length - 5, bytes.length >> 1];
    for (const cut of cuts)
      await expectFailure(() => decompressed(bytes.subarray(0, cut)), failure);
  });

  it.each(forms.slice(1))('is refused with garbage at its end: %s', async (_name, bytes) => {
    const failure = { code: 'INVALID_IMAGE' as const, message: /damaged or cut off/ };
    for (const garbage of ['x', 'garbage', '\0', '\0\0\0\0\0\0x', '\x1f']) {
      const whole = Buffer.concat([bytes, Buffer.from(garbage)]);
      await expectFailure(() => decompressed(whole), failure);
      await expectFailure(() => decompressed(whole, [bytes.length]), failure);
    }
  });

  it.each(['gzip', 'zstd'])('is refused when a byte of it has changed: %s', async (how) => {
    const bytes = Buffer.from(how === 'gzip' ? gzipSync(tar) : zstd(tar));
    bytes[bytes.length - 6] = bytes[bytes.length - 6]! ^ 1;
    await expectFailure(() => decompressed(bytes), { code: 'INVALID_IMAGE' });
  });

  it.each<Compression>(['none', 'gzip', 'zstd'])(
    'is written as others read it: %s',
    async (how) => {
      const bytes = await compressed(how, tar);
      const read = {
        none: () => bytes,
        gzip: () => gunzipSync(bytes),
        zstd: () => execFileSync('zstd', ['-dc'], { input: bytes }),
      };
      expect(read[how]().equals(tar)).toBe(true);
      expect((await compressed(how, tar)).equals(bytes)).toBe(true);
      if (how !== 'none') expect(bytes.length).toBeLessThan(tar.length / 10);
    },
  );
});

describe('a stream', () => {
  it('is stopped by the one who counts its output, and closes its input', async () => {
    let isClosed = false;
    const input = (function* () {
      try {
        for (;;) yield gzipSync(tar);
      } finally {
        isClosed = true;
      }
    })();
    let outputBytes = 0;
    const { chunks } = await decompress(input, {
      file: 'a',
      onOutput: (count) => {
        outputBytes += count;
        if (outputBytes > 1_000_000) throw new RangeError('enough');
      },
    });
    const drain = async (): Promise<void> => {
      for await (const chunk of chunks) expect(chunk.length).toBeGreaterThan(0);
    };
    await expect(drain()).rejects.toThrow('enough');
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(true);
    expect(outputBytes).toBeLessThan(1_200_000);
  });

  it.each(['gzip', 'zstd', 'none'])('passes errors of its input on: %s', async (how) => {
    const bytes = { gzip: gzipSync(tar), zstd: zstd(tar), none: tar }[how]!;
    const failure = new RangeError('the disk is on fire');
    const input = (async function* () {
      yield bytes.subarray(0, 600);
      throw failure;
    })();
    const run = async (): Promise<void> => {
      const { chunks } = await decompress(input, { file: 'a' });
      for await (const chunk of chunks) expect(chunk.length).toBeGreaterThan(0);
    };
    await expect(run()).rejects.toBe(failure);
  });

  it.each(['gzip', 'zstd', 'none'])('is stopped by a signal while it waits: %s', async (how) => {
    const bytes = { gzip: gzipSync(tar), zstd: zstd(tar), none: tar }[how]!;
    const controller = new AbortController();
    const input = (async function* () {
      yield bytes.subarray(0, 600);
      setTimeout(() => controller.abort(), 10);
      await new Promise(() => undefined);
    })();
    const run = async (): Promise<void> => {
      const { chunks } = await decompress(input, { file: 'a', signal: controller.signal });
      for await (const chunk of chunks) expect(chunk.length).toBeGreaterThan(0);
    };
    await expectFailure(run, { code: 'ABORTED' });
  });

  it('is not begun when the signal has fired', async () => {
    const signal = AbortSignal.abort();
    await expectFailure(() => decompress([tar], { file: 'a', signal }), { code: 'ABORTED' });
  });

  it('tells how much of the input was read', async () => {
    const bytes = zstd(tar);
    let inputBytes = 0;
    const onInput = (count: number): void => void (inputBytes += count);
    const { chunks } = await decompress(chunksOf(bytes, [10]), { file: 'a', onInput });
    for await (const chunk of chunks) expect(chunk.length).toBeGreaterThan(0);
    expect(inputBytes).toBe(bytes.length);
  });
});
