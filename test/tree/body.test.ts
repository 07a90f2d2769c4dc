/** Bodies of records: everything comes back, and bytes that were changed are an error or a body. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { zigzag } from '../../src/bytes/zigzag.ts';
import { ByteWriter } from '../../src/bytes/writer.ts';
import { StoreError } from '../../src/errors.ts';
import { sumOf, type TreeBody } from '../../src/tree/body.ts';
import {
  bodies,
  bytesOf,
  MADE_FILE,
  plainBody,
  readBody,
  runsOf,
  written,
} from '../support/made-nodes.ts';

/** The decoded body, or undefined after a StoreError CORRUPT; anything else is thrown. */
function attempt(bytes: Uint8Array): TreeBody | undefined {
  try {
    return readBody(bytes);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    expect(error).toMatchObject({ code: 'CORRUPT', file: MADE_FILE });
    return undefined;
  }
}

const sparse = plainBody({
  sizeBytes: 40 * 4096,
  dataRuns: runsOf([0, 2], [300, 1]),
  extents: runsOf([1000, 1], [70_000, 2]),
  xattrs: [{ name: bytesOf('user.a'), value: Uint8Array.of(0, 255) }],
});
const examples: readonly TreeBody[] = [
  { ...sparse, sizeBytes: 300 * 4096 + 1 },
  plainBody({ sizeBytes: 4097, extents: runsOf([7, 2]) }),
  plainBody({ kind: 'link', target: bytesOf('../there') }),
  plainBody({ kind: 'block', deviceMajor: 259, deviceMinor: 0xfffff }),
  plainBody({ kind: 'directory', mode: 0o7777, uid: 0xfffffffe, modifiedSeconds: -1 }),
];

describe('a body', () => {
  it('is decoded to what was encoded', () => {
    fc.assert(
      fc.property(bodies, (body) => {
        expect(readBody(written(body))).toEqual(body);
      }),
      { numRuns: 300 },
    );
  });

  it('is refused at every cut and with a byte more', () => {
    for (const bytes of examples.map(written)) {
      for (let length = 0; length < bytes.length; length++) {
        const corrupt = expect.objectContaining({ code: 'CORRUPT', file: MADE_FILE });
        expect(() => readBody(bytes.subarray(0, length))).toThrow(corrupt);
      }
      expect(() => readBody(Uint8Array.from([...bytes, 0]))).toThrow(/1 bytes too many/);
    }
  });

  it('is an error or a body with any byte changed, and never anything else', () => {
    for (const bytes of examples.map(written)) {
      for (let offset = 0; offset < bytes.length; offset++) {
        for (const byte of [0, 1, 0x7f, 0x80, 0xff, (bytes[offset] as number) ^ 1]) {
          const changed = Uint8Array.from(bytes);
          changed[offset] = byte;
          const body = attempt(changed);
          // What was decoded can be written and read again: it is a body.
          if (body !== undefined) expect(readBody(written(body))).toEqual(body);
        }
      }
    }
  });

  it('is an error or a body when it is of random bytes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 12 }),
        fc.uint8Array({ maxLength: 60 }),
        (kind, tail) => {
          const body = attempt(Uint8Array.from([kind, ...tail]));
          if (body !== undefined) expect(readBody(written(body))).toEqual(body);
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each<[string, Partial<TreeBody>, RegExp]>([
    ['fewer pages than data', { sizeBytes: 4097, extents: runsOf([0, 1]) }, /more or fewer pages/],
    ['more pages than data', { sizeBytes: 4096, extents: runsOf([0, 2]) }, /more or fewer pages/],
    ['an empty run', { sizeBytes: 4096, extents: runsOf([0, 0], [0, 1]) }, /empty or out of range/],
    [
      'addresses beyond 64 bits',
      { sizeBytes: 8192, extents: runsOf([2 ** 52 - 1, 2]) },
      /empty or out of range/,
    ],
    [
      'data behind its end',
      { sizeBytes: 4096, dataRuns: runsOf([0, 2]), extents: runsOf([0, 2]) },
      /data behind the end/,
    ],
    [
      'data out of order',
      { sizeBytes: 9 * 4096, dataRuns: runsOf([4, 1], [2, 1]), extents: runsOf([0, 2]) },
      /runs of data out of order/,
    ],
    [
      'runs of data that touch',
      { sizeBytes: 9 * 4096, dataRuns: runsOf([2, 1], [3, 1]), extents: runsOf([0, 2]) },
      /runs of data out of order/,
    ],
    ['a mode of more than permissions', { mode: 0o10000 }, /of permission bits/],
    ['an owner of 33 bits', { uid: 2 ** 32 }, /as an owner/],
    ['a group of 33 bits', { gid: 2 ** 32 }, /as a group/],
    ['a second of nanoseconds', { modifiedNanoseconds: 1_000_000_000 }, /nanoseconds/],
    ['a link that is too long', { kind: 'link', target: new Uint8Array(4113) }, /bytes of a link/],
    [
      'a long name of an attribute',
      { xattrs: [{ name: new Uint8Array(256), value: new Uint8Array(0) }] },
      /bytes of an attribute's name/,
    ],
    [
      'a long attribute',
      { xattrs: [{ name: new Uint8Array(1), value: new Uint8Array(65_537) }] },
      /bytes of an attribute/,
    ],
  ])('is refused with %s', (_, different, message) => {
    const bytes = written(plainBody(different));
    expect(() => readBody(bytes)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
    expect(() => readBody(bytes)).toThrow(message);
  });

  it('is refused with a kind that does not exist', () => {
    for (const kind of [0, 10, 255]) {
      const bytes = written(plainBody());
      bytes[0] = kind;
      expect(() => readBody(bytes)).toThrow(/unknown kind/);
    }
  });

  it('is refused before room is made for more runs and attributes than it can have', () => {
    const start = (): ByteWriter => {
      const writer = new ByteWriter();
      writer.raw(Uint8Array.of(2, 0, 0, 0, 0, 0));
      return writer;
    };
    const attributes = start();
    attributes.varint(2 ** 40);
    expect(() => readBody(attributes.bytes())).toThrow(/attributes/);
    const data = start();
    for (const number of [0, 2 ** 50, 2 ** 45]) data.varint(number);
    expect(() => readBody(data.bytes())).toThrow(/runs of data/);
    const pages = start();
    for (const number of [0, 4096, 0, 2 ** 45, zigzag(0), 1]) pages.varint(number);
    expect(() => readBody(pages.bytes())).toThrow(/runs of pages/);
  });

  it('owns its bytes: what it was read from may change afterwards', () => {
    const body = plainBody({
      kind: 'link',
      target: bytesOf('there'),
      xattrs: [{ name: bytesOf('user.a'), value: bytesOf('b') }],
    });
    const bytes = written(body);
    const decoded = readBody(bytes);
    bytes.fill(0);
    expect(decoded).toEqual(body);
  });
});

describe('the sum of runs', () => {
  it('is that of their lengths', () => {
    expect(sumOf(runsOf())).toBe(0);
    expect(sumOf(runsOf([5, 2], [0, 40]))).toBe(42);
  });
});
