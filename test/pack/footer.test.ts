/** The directory of a pack: what is encoded is decoded, and nothing absurd is believed. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../src/bytes/writer.ts';
import { StoreError } from '../../src/errors.ts';
import {
  decodeFooter,
  encodeFooter,
  type Footer,
  type FooterEntry,
} from '../../src/pack/footer.ts';
import { identityOf } from '../support/made-packs.ts';

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const numbers = fc.oneof(fc.nat(300), fc.maxSafeNat());

/** What differs between entries, without their places. */
function bodies(references: number): fc.Arbitrary<Record<string, unknown>> {
  const plain = fc.record({ type: fc.constantFrom('digests', 'states') });
  const manifest = fc
    .record({ snapshotId: bytes16, revision: numbers, part: fc.nat(1023), digest: bytes32 })
    .chain((fields) =>
      fc.integer({ min: fields.part + 1, max: 1024 }).map((parts) => {
        return { type: 'manifest', ...fields, parts };
      }),
    );
  if (references === 0) return fc.oneof(plain, manifest);
  const segment = fc.nat(references - 1);
  const frames = { firstFrame: numbers, lastFrame: numbers };
  const table = fc.record({ type: fc.constant('frameTable'), segment, ...frames });
  return fc.oneof(plain, manifest, table);
}

/** A footer, and where it may start. */
const footers: fc.Arbitrary<{ footer: Footer; footerOffset: number }> = fc
  .array(bytes16, { maxLength: 4 })
  .chain((references) => {
    const gaps = fc.tuple(fc.nat(1000), fc.integer({ min: 24, max: 2 ** 40 }));
    return fc.array(fc.tuple(bodies(references.length), gaps), { maxLength: 8 }).map((list) => {
      let end = 16;
      const entries = list.map(([body, [gap, blockBytes]]) => {
        const offset = end + gap;
        end = offset + blockBytes;
        return { ...body, offset, blockBytes } as unknown as FooterEntry;
      });
      return { footer: { references, entries }, footerOffset: end };
    });
  });

const decode = (bytes: Uint8Array, offset = 1000) => decodeFooter(bytes, 'a.pack', offset);

/** The bytes of a footer that is written by hand. */
function raw(action: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter();
  action(writer);
  return writer.bytes();
}

describe('a footer', () => {
  it('is decoded to what was encoded', () => {
    fc.assert(
      fc.property(footers, ({ footer, footerOffset }) => {
        expect(decode(encodeFooter(footer), footerOffset)).toEqual(footer);
      }),
    );
  });

  it('is refused at every cut and with a byte more', () => {
    fc.assert(
      fc.property(footers, fc.nat(), ({ footer, footerOffset }, seed) => {
        const bytes = encodeFooter(footer);
        const cut = bytes.subarray(0, seed % bytes.length);
        expect(() => decode(cut, footerOffset)).toThrow(StoreError);
        const longer = Uint8Array.from([...bytes, 0]);
        expect(() => decode(longer, footerOffset)).toThrow(/too many/);
      }),
    );
  });

  it('is refused when a block would reach into it', () => {
    fc.assert(
      fc.property(footers, ({ footer, footerOffset }) => {
        fc.pre(footer.entries.length > 0);
        expect(() => decode(encodeFooter(footer), footerOffset - 1)).toThrow(/into the footer/);
      }),
    );
  });

  it('ends in a StoreError with any bytes changed, or in another footer of the same form', () => {
    fc.assert(
      fc.property(footers, fc.nat(), fc.nat(255), ({ footer, footerOffset }, at, byte) => {
        const bytes = Uint8Array.from(encodeFooter(footer));
        bytes[at % bytes.length] = byte;
        let decoded: Footer;
        try {
          decoded = decode(bytes, footerOffset);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CORRUPT', file: 'a.pack' });
          return;
        }
        expect(encodeFooter(decoded)).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });
});

describe('decodeFooter', () => {
  const place = { offset: 16, blockBytes: 24 };
  const digest = new Uint8Array(32);
  const part = {
    type: 'manifest',
    ...place,
    snapshotId: identityOf(1),
    revision: 0,
    digest,
  } as const;

  it.each<[string, Uint8Array, RegExp]>([
    ['more references than fit', raw((w) => w.varint(2 ** 50)), /references, at most/],
    [
      'more blocks than fit',
      raw((w) => [0, 2 ** 50].forEach((n) => w.varint(n))),
      /blocks, at most/,
    ],
    ['a block of an unknown type', Uint8Array.of(0, 1, 9, 16, 24), /unknown type 9/],
    ['a block inside the header', Uint8Array.of(0, 1, 2, 15, 24), /overlap/],
    ['a block without a header', Uint8Array.of(0, 1, 2, 16, 23), /overlap/],
    ['blocks that overlap', Uint8Array.of(0, 2, 2, 16, 30, 2, 45, 30), /overlap/],
    ['a table of no segment', Uint8Array.of(0, 1, 4, 16, 24, 0, 0, 0), /as segment number/],
    [
      'a part beyond the parts',
      encodeFooter({ references: [], entries: [{ ...part, part: 2, parts: 2 }] }),
      /manifest part 2 of 2/,
    ],
    [
      'too many parts',
      encodeFooter({ references: [], entries: [{ ...part, part: 0, parts: 1025 }] }),
      /1025 manifest parts, at most 1024/,
    ],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => decode(bytes)).toThrow(message);
  });
});
