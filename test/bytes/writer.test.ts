/** The writer's bytes, spelled out; that they can be read again is tested with the reader. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import { ByteWriter } from '../../src/bytes/writer.ts';

function written(action: (writer: ByteWriter) => void, capacity?: number): string {
  const writer = new ByteWriter(capacity);
  action(writer);
  expect(writer.length).toBe(writer.bytes().length);
  return toHex(writer.bytes());
}

describe('ByteWriter', () => {
  it('writes integers little-endian', () => {
    expect(written((writer) => writer.u8(0xfe))).toBe('fe');
    expect(written((writer) => writer.u16(0xfe01))).toBe('01fe');
    expect(written((writer) => writer.u32(0xfe010203))).toBe('030201fe');
    expect(written((writer) => writer.u64(0x1f_0102_0304_0506))).toBe('0605040302011f00');
    expect(written((writer) => writer.u64(0xff01020304050607n))).toBe('07060504030201ff');
  });

  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [2 ** 31, '8080808008'],
    [2 ** 32 + 1, '8180808010'],
    [Number.MAX_SAFE_INTEGER, 'ffffffffffffff0f'],
  ])('writes the varint %d as LEB128', (value, hex) => {
    expect(written((writer) => writer.varint(value))).toBe(hex);
  });

  it('writes byte strings and text after their length in bytes', () => {
    expect(written((writer) => writer.raw(Uint8Array.of(1, 2)))).toBe('0102');
    expect(written((writer) => writer.byteString(Uint8Array.of(1, 2)))).toBe('020102');
    expect(written((writer) => writer.text('a€'))).toBe('0461e282ac');
  });

  it('grows from any capacity without losing a byte', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 99 })), fc.nat(64), (pieces, capacity) => {
        const hex = written((writer) => pieces.forEach((piece) => writer.raw(piece)), capacity);
        expect(hex).toBe(Buffer.concat(pieces).toString('hex'));
      }),
    );
  });

  it('writes parts of other bytes, growing as it must', () => {
    const parts = fc.array(fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(299), fc.nat(300)));
    fc.assert(
      fc.property(parts, fc.nat(64), (list, capacity) => {
        const cut = list.map(([bytes, first, length]) => {
          const start = Math.min(first, bytes.length);
          return { bytes, start, length: Math.min(length, bytes.length - start) };
        });
        const hex = written((writer) => {
          for (const { bytes, start, length } of cut) writer.part(bytes, start, length);
        }, capacity);
        const expected = cut.map(({ bytes, start, length }) =>
          bytes.subarray(start, start + length),
        );
        expect(hex).toBe(Buffer.concat(expected).toString('hex'));
      }),
    );
  });

  it('starts again, empty, after clear', () => {
    const writer = new ByteWriter(4);
    writer.u32(0xffffffff);
    writer.clear();
    expect(writer.length).toBe(0);
    writer.u8(1);
    expect(toHex(writer.bytes())).toBe('01');
  });
});
