/** Both implementations of `#digest` against FIPS 180-4's vectors and against each other. */
import { sha256 as oracle } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as chosen from '#digest';
import * as native from '../../src/bytes/digest-node.ts';
import * as portable from '../../src/bytes/digest-portable.ts';
import { toHex } from '../../src/bytes/hex.ts';

const text = (value: string) => new TextEncoder().encode(value);

/** From NIST's examples and the byte-oriented vectors of the Secure Hash Standard. */
const VECTORS: [string, Uint8Array, string][] = [
  ['nothing', text(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  [
    'one byte',
    Uint8Array.of(0xbd),
    '68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b',
  ],
  ['abc', text('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'two blocks',
    text('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'),
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
  [
    'a million a',
    new Uint8Array(1_000_000).fill(0x61),
    'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0',
  ],
];

describe.each([
  ['digest-node', native],
  ['digest-portable', portable],
])('%s', (_, digest) => {
  it.each(VECTORS)('agrees with FIPS 180-4: %s', (_name, bytes, expected) => {
    expect(toHex(digest.sha256(bytes))).toBe(expected);
    expect(digest.sha256(bytes)).toHaveLength(digest.DIGEST_BYTES);
  });

  it('agrees with the other one, whole, into a place, of a text, and piece by piece', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), fc.nat(5), (pieces, offset) => {
        const whole = Uint8Array.from(pieces.flatMap((piece) => [...piece]));
        const expected = oracle(whole);
        expect(Uint8Array.from(digest.sha256(whole))).toEqual(expected);

        const target = Buffer.alloc(offset + 32 + 3, 0xaa);
        digest.sha256Into(whole, target, offset);
        expect(Uint8Array.from(target.subarray(offset, offset + 32))).toEqual(expected);
        const around = [...target.subarray(0, offset), ...target.subarray(offset + 32)];
        expect(around.every((byte) => byte === 0xaa)).toBe(true);

        const read = Buffer.from(whole).toString();
        expect(digest.sha256OfText(read)).toBe(toHex(oracle(text(read))));

        const hasher = digest.startSha256();
        for (const piece of pieces) hasher.update(piece);
        expect(Uint8Array.from(hasher.digest())).toEqual(expected);
      }),
    );
  });

  it('digests a view, not the buffer behind it', () => {
    const buffer = Uint8Array.of(1, 2, 3, 4);
    expect(toHex(digest.sha256(buffer.subarray(1, 3)))).toBe(toHex(oracle(Uint8Array.of(2, 3))));
  });

  it('ends once', () => {
    const hasher = digest.startSha256();
    hasher.digest();
    expect(() => hasher.digest()).toThrow();
  });
});

describe('#digest', () => {
  it('is the native one in Node', () => {
    expect(chosen.sha256).toBe(native.sha256);
  });
});
