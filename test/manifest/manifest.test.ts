/** Manifests: everything comes back, and bytes that were changed are an error or a manifest. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StoreError } from '../../src/errors.ts';
import { decodeManifest, encodeManifest, type Manifest } from '../../src/manifest/manifest.ts';
import { fixedManifest, manifests } from '../support/made-manifests.ts';

const decode = (bytes: Uint8Array) => decodeManifest(bytes, 'a.pack');

/** The decoded manifest, or undefined after a StoreError; anything else is thrown. */
function attempt(bytes: Uint8Array): Manifest | undefined {
  try {
    return decode(bytes);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    expect(['CORRUPT', 'UNSUPPORTED_VERSION']).toContain(error.code);
    expect(error.file).toBe('a.pack');
    return undefined;
  }
}

describe('a manifest', () => {
  it('is decoded to what was encoded', () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        expect(decode(encodeManifest(manifest))).toEqual(manifest);
      }),
    );
  });

  it('is refused at every cut and with a byte more', () => {
    const bytes = encodeManifest(fixedManifest);
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      expect(() => decode(cut)).toThrow(expect.objectContaining({ code: 'CORRUPT' }));
    }
    expect(() => decode(Uint8Array.from([...bytes, 0]))).toThrow(/1 bytes too many/);
  });

  it('is an error or a manifest with any byte changed, and never anything else', () => {
    const bytes = encodeManifest(fixedManifest);
    for (let offset = 0; offset < bytes.length; offset++) {
      for (const byte of [0, 1, 0x7f, 0x80, 0xff, (bytes[offset] as number) ^ 1]) {
        const changed = Uint8Array.from(bytes);
        changed[offset] = byte;
        const manifest = attempt(changed);
        // What was decoded can be written and read again: it is a manifest.
        if (manifest !== undefined) expect(decode(encodeManifest(manifest))).toEqual(manifest);
      }
    }
  });

  it('is an error or a manifest whatever is done to its bytes', () => {
    const changes = fc.array(
      fc.tuple(fc.nat(), fc.nat(), fc.uint8Array({ maxLength: 9 }), fc.nat(5)),
      { minLength: 1, maxLength: 3 },
    );
    fc.assert(
      fc.property(manifests, changes, (manifest, list) => {
        let bytes = [...encodeManifest(manifest)];
        for (const [at, , insert, remove] of list) {
          bytes = bytes.toSpliced(at % bytes.length, remove, ...insert);
        }
        attempt(Uint8Array.from(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it('has one form: what is decoded is encoded to the same bytes', () => {
    const bytes = encodeManifest(fixedManifest);
    for (let offset = 0; offset < bytes.length; offset++) {
      const changed = Uint8Array.from(bytes);
      changed[offset] = 2;
      const manifest = attempt(changed);
      if (manifest !== undefined) expect(encodeManifest(manifest)).toEqual(changed);
    }
  });

  it('of a newer version is said to be one', () => {
    const bytes = Uint8Array.from(encodeManifest(fixedManifest));
    bytes[0] = 2;
    expect(() => decode(bytes)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_VERSION', file: 'a.pack' }),
    );
  });

  it('has runs of as many pages as its space, or is refused', () => {
    const [directory, memory] = fixedManifest.entries;
    const content = { ...memory!.content!, sizeBytes: 4096 };
    const bytes = encodeManifest({
      ...fixedManifest,
      entries: [directory!, { ...memory!, content }],
    });
    expect(() => decode(bytes)).toThrow(/address runs hold other pages/);
  });

  it('has leaves for exactly its size', () => {
    const [, , file] = fixedManifest.entries;
    const content = { ...file!.content!, leaves: new Uint8Array(0) };
    const bytes = encodeManifest({ ...fixedManifest, entries: [{ ...file!, content }] });
    expect(() => decode(bytes)).toThrow(/32 bytes expected, 3 left/);
  });

  it('tells the entry of its base from none, the first one too', () => {
    const [directory, memory] = fixedManifest.entries;
    for (const baseEntry of [0, 1, 127, 128, 2 ** 40]) {
      const entries = [directory!, { ...memory!, content: { ...memory!.content!, baseEntry } }];
      const manifest = decode(encodeManifest({ ...fixedManifest, entries }));
      expect(manifest.entries[1]?.content?.baseEntry).toBe(baseEntry);
    }
    const { baseEntry: _, ...whole } = memory!.content!;
    const manifest = { ...fixedManifest, entries: [directory!, { ...memory!, content: whole }] };
    expect(decode(encodeManifest(manifest)).entries[1]?.content).not.toHaveProperty('baseEntry');
  });

  it('has a base when a recipe is a difference, or is refused', () => {
    const bytes = encodeManifest({ ...fixedManifest, base: undefined });
    expect(() => decode(bytes)).toThrow(/a difference without a base/);
  });

  it('differs from at most 15 manifests, one through the other', () => {
    const id = new Uint8Array(16).fill(9);
    for (const depth of [1, 15]) {
      const manifest = { ...fixedManifest, base: { id, depth } };
      expect(decode(encodeManifest(manifest)).base).toEqual({ id, depth });
    }
    const deeper = encodeManifest({ ...fixedManifest, base: { id, depth: 16 } });
    expect(() => decode(deeper)).toThrow(/16 manifests before this one, at most 15/);
  });

  it('may claim an absurd size without costing anything', () => {
    const [, , file] = fixedManifest.entries;
    const content = { ...file!.content!, sizeBytes: Number.MAX_SAFE_INTEGER };
    const bytes = encodeManifest({ ...fixedManifest, entries: [{ ...file!, content }] });
    const start = performance.now();
    expect(() => decode(bytes)).toThrow(/137438953472 bytes expected/);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it('keeps times before 1970 and labels up to the last', () => {
    const labels = Array.from({ length: 1000 }, (_, i) => [`key ${i}`, ''] as const);
    const manifest = { ...fixedManifest, takenAtMs: -1, labels };
    expect(decode(encodeManifest(manifest))).toEqual(manifest);
    const more = { ...manifest, labels: [...labels, ['z', ''] as const] };
    expect(() => decode(encodeManifest(more))).toThrow(/1001 labels, at most 1000/);
  });
});
