/** The reader takes what the writer wrote, exactly, and refuses everything else with the place. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../src/bytes/reader.ts';
import { ByteWriter } from '../../src/bytes/writer.ts';
import { StoreError } from '../../src/errors.ts';

const place = { code: 'CORRUPT', file: 'a.pack', offset: 100 } as const;
const MAX = Number.MAX_SAFE_INTEGER;

function over(...bytes: number[]): ByteReader {
  return new ByteReader(Uint8Array.from(bytes), place);
}

function failure(offset: number, message: RegExp): unknown {
  const text = expect.stringMatching(message);
  return expect.objectContaining({ code: 'CORRUPT', file: 'a.pack', offset, message: text });
}

/** A value, how it is written and how it is read. */
interface Step {
  readonly value: unknown;
  readonly write: (writer: ByteWriter) => void;
  readonly read: (reader: ByteReader) => unknown;
}

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.nat(0xff).map((value) => ({
    value,
    write: (writer: ByteWriter) => writer.u8(value),
    read: (reader: ByteReader) => reader.u8(),
  })),
  fc.nat(0xffff).map((value) => ({
    value,
    write: (writer: ByteWriter) => writer.u16(value),
    read: (reader: ByteReader) => reader.u16(),
  })),
  fc.nat(0xffffffff).map((value) => ({
    value,
    write: (writer: ByteWriter) => writer.u32(value),
    read: (reader: ByteReader) => reader.u32(),
  })),
  fc.maxSafeNat().map((value) => ({
    value,
    write: (writer: ByteWriter) => writer.u64(value),
    read: (reader: ByteReader) => reader.u64(),
  })),
  fc.bigInt(0n, (1n << 64n) - 1n).map((value) => ({
    value,
    write: (writer: ByteWriter) => writer.u64(value),
    read: (reader: ByteReader) => reader.bigU64(),
  })),
  fc.oneof(fc.maxSafeNat(), fc.nat(300)).map((value) => ({
    value,
    write: (writer: ByteWriter) => writer.varint(value),
    read: (reader: ByteReader) => reader.varint(),
  })),
  fc.uint8Array({ maxLength: 300 }).map((value) => ({
    value,
    write: (writer: ByteWriter) => writer.byteString(value),
    read: (reader: ByteReader) => reader.byteString(300, 'bytes'),
  })),
  fc.string({ unit: 'binary' }).map((value) => ({
    value,
    write: (writer: ByteWriter) => writer.text(value),
    read: (reader: ByteReader) => reader.text(1000, 'text'),
  })),
);

describe('ByteReader', () => {
  it('reads any sequence that ByteWriter wrote, and then is at the end', () => {
    fc.assert(
      fc.property(fc.array(steps), fc.nat(40), (list, capacity) => {
        const writer = new ByteWriter(capacity);
        for (const step of list) step.write(writer);
        const reader = new ByteReader(writer.bytes(), place);
        expect(list.map((step) => step.read(reader))).toEqual(list.map((step) => step.value));
        expect(reader.remaining).toBe(0);
        expect(reader.position).toBe(writer.length);
        reader.end();
      }),
    );
  });

  it('throws at every cut of such a sequence, and reads nothing past it', () => {
    fc.assert(
      fc.property(fc.array(steps, { minLength: 1 }), fc.nat(), (list, seed) => {
        const writer = new ByteWriter();
        for (const step of list) step.write(writer);
        // The bytes go on behind the view: a reader that ignored its bounds would find them.
        const cut = new ByteReader(writer.bytes().subarray(0, seed % writer.length), place);
        expect(() => list.forEach((step) => step.read(cut))).toThrow(StoreError);
      }),
    );
  });

  it('reads a view in the middle of a buffer', () => {
    const buffer = Uint8Array.from([9, 9, 1, 2, 3, 4, 9]);
    const reader = new ByteReader(buffer.subarray(2, 6), place);
    expect([reader.u16(), reader.bytes(2)]).toEqual([0x201, Uint8Array.of(3, 4)]);
    expect(() => reader.u8()).toThrow(failure(104, /1 bytes expected, 0 left/));
  });

  it('names the code, the file and the offset in it', () => {
    const reader = over(1, 2, 3);
    reader.u8();
    expect(() => reader.u32()).toThrow(failure(101, /4 bytes expected, 2 left/));
    // A failed read moves nothing.
    expect(reader.u16()).toBe(0x302);
    const nameless = new ByteReader(new Uint8Array(0), { code: 'INVALID_IMAGE' });
    expect(() => nameless.u8()).toThrow(
      expect.objectContaining({ code: 'INVALID_IMAGE', file: undefined, offset: 0 }),
    );
  });

  it('refuses what is left over at the end', () => {
    expect(() => over(1).end()).toThrow(failure(100, /1 bytes too many/));
  });

  it.each([
    ['2^53 - 1', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], MAX],
    ['0', [0], 0],
    ['127', [0x7f], 127],
    ['128', [0x80, 1], 128],
    ['2^32', [0x80, 0x80, 0x80, 0x80, 0x10], 2 ** 32],
  ])('reads the varint %s', (_, bytes, value) => {
    const reader = over(...bytes);
    expect(reader.varint()).toBe(value);
    reader.end();
  });

  it.each([
    ['2^53', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], /exceeds 2\^53/],
    ['2^56', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], /exceeds 2\^53/],
    ['endless ones', Array<number>(20).fill(0xff), /exceeds 2\^53/],
    ['endless zeros', Array<number>(20).fill(0x80), /exceeds 2\^53/],
    ['a zero in two bytes', [0x80, 0], /longer than it needs/],
    ['a one in three bytes', [0x81, 0x80, 0], /longer than it needs/],
    ['a cut number', [0x80], /1 bytes expected, 0 left/],
  ])('refuses a varint: %s', (_, bytes, message) => {
    expect(() => over(...bytes).varint()).toThrow(message);
  });

  it('has one varint for each number, so that one meaning has one form', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 10 }), (bytes) => {
        const reader = new ByteReader(bytes, place);
        let value: number;
        try {
          value = reader.varint();
        } catch (error) {
          expect(error).toBeInstanceOf(StoreError);
          return;
        }
        const writer = new ByteWriter();
        writer.varint(value);
        expect(writer.bytes()).toEqual(bytes.subarray(0, reader.position));
      }),
    );
  });

  it('refuses 64-bit numbers beyond 2^53 as numbers, and reads them as bigints', () => {
    const largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0];
    expect(over(...largest).u64()).toBe(MAX);
    const bytes = [0, 0, 0, 0, 0, 0, 0x20, 0];
    expect(() => over(...bytes).u64()).toThrow(/number 9007199254740992 is too large/);
    expect(over(...bytes).bigU64()).toBe(1n << 53n);
  });

  it('refuses counts and lengths above their maximum before anything else', () => {
    expect(over(5).count(5, 'labels')).toBe(5);
    expect(() => over(6).count(5, 'labels')).toThrow(/6 labels, at most 5 are allowed/);
    expect(() => over(0).count(-1, 'as number')).toThrow(/at most -1/);
    expect(() => over(3, 1, 2, 3).byteString(2, 'name')).toThrow(/3 bytes of name, at most 2/);
    expect(() => over(4, 1, 2, 3).byteString(9, 'name')).toThrow(/4 bytes expected, 3 left/);
  });

  it('gives byte strings as views', () => {
    const bytes = Uint8Array.of(2, 7, 8);
    const view = new ByteReader(bytes, place).byteString(2, 'name');
    bytes[1] = 9;
    expect(view).toEqual(Uint8Array.of(9, 8));
  });

  it.each([
    ['a lone continuation', [0x80]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['a cut character', [0xe2, 0x82]],
  ])('refuses text that is not UTF-8: %s', (_, bytes) => {
    expect(() => over(bytes.length, ...bytes).text(10, 'label')).toThrow(/label is not UTF-8/);
  });

  it('keeps a byte order mark', () => {
    expect(over(3, 0xef, 0xbb, 0xbf).text(10, 'label')).toBe('\ufeff');
  });
});
