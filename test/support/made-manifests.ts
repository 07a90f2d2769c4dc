/** Manifests for tests: any that the library could write, and a fixed one. */
import fc from 'fast-check';
import { leafCount } from '../../src/manifest/leaves.ts';
import {
  type AddressMap,
  type Content,
  type Manifest,
  type ManifestEntry,
  MAX_RECIPE_DEPTH,
  type RecipeBase,
} from '../../src/manifest/manifest.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const numbers = fc.oneof(fc.nat(300), fc.maxSafeNat());
const texts = fc.string({ unit: 'binary', maxLength: 20 });

/** Runs of pages, ascending, up to the last page of 64-bit addresses. */
const addressMaps: fc.Arbitrary<AddressMap> = fc
  .tuple(
    texts,
    fc.nat(2 ** 52 - 1000),
    fc.array(fc.tuple(fc.nat(90), fc.integer({ min: 1, max: 70 })), { maxLength: 5 }),
  )
  .map(([name, first, runs]) => {
    let end = first;
    const starts = runs.map(([gap, length]) => {
      const start = end + gap;
      end = start + length;
      return start;
    });
    const runLength = Float64Array.from(runs, ([, length]) => length);
    return { name, runStart: Float64Array.from(starts), runLength };
  });

function contentOf(sizeBytes: number, addresses?: AddressMap): fc.Arbitrary<Content> {
  const leaves = bytes(leafCount(Math.ceil(sizeBytes / 4096)) * 32);
  const content = fc.record({ leaves, recipe: fc.uint8Array({ maxLength: 20 }) });
  return content.map((fields) => {
    return addresses === undefined ? { sizeBytes, ...fields } : { sizeBytes, ...fields, addresses };
  });
}

const contents: fc.Arbitrary<Content | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.nat(5_000_000).chain((sizeBytes) => contentOf(sizeBytes)),
  addressMaps.chain((addresses) =>
    contentOf(addresses.runLength.reduce((sum, length) => sum + length, 0) * 4096, addresses),
  ),
);

const entries: fc.Arbitrary<ManifestEntry[]> = fc
  .uniqueArray(
    fc.record({
      // Any bytes: names need not be UTF-8.
      name: fc.uint8Array({ minLength: 1, maxLength: 12 }),
      mode: fc.nat(0o7777),
      content: contents,
    }),
    { selector: ({ name }) => Buffer.from(name).toString('hex'), maxLength: 5 },
  )
  .map((list) => list.sort((a, b) => Buffer.compare(a.name, b.name)));

/** All of a manifest but its entries. */
const fields: fc.Arbitrary<Omit<Manifest, 'base' | 'entries'>> = fc.record({
  snapshotId: bytes(16),
  revision: numbers,
  kind: fc.constantFrom('restorable', 'pre-dump'),
  timeline: texts,
  sequence: numbers,
  takenAtMs: fc
    .integer({ min: -8_640_000_000_000_000, max: 8_640_000_000_000_000 })
    .map((time) => time || 0),
  labels: fc.array(fc.tuple(texts, texts), { maxLength: 4 }),
  parent: fc.option(fc.record({ id: bytes(16), digest: bytes(32) }), { nil: undefined }),
  criuRunId: fc.option(
    texts.filter((text) => text !== ''),
    { nil: undefined },
  ),
  dumpUptimeUs: fc.option(fc.bigInt(0n, 2n ** 64n - 1n), { nil: undefined }),
  dumpPageBytes: fc.constantFrom(4096, 16384, 65536),
  directoryMode: fc.nat(0o7777),
  segments: fc.array(bytes(16), { maxLength: 3 }),
  newPages: numbers,
});

/** Which snapshot recipes may differ from. */
const bases: fc.Arbitrary<RecipeBase> = fc.record({
  id: bytes(16),
  depth: fc.integer({ min: 1, max: MAX_RECIPE_DEPTH }),
});

/** The same entries, some of them as differences. */
function differing(entries: readonly ManifestEntry[], choices: readonly number[]): ManifestEntry[] {
  return entries.map((entry, i) => {
    const choice = choices[i % choices.length] as number;
    if (entry.content === undefined || choice % 2 === 0) return entry;
    return { ...entry, content: { ...entry.content, baseEntry: choice } };
  });
}

/** Any manifest: with recipes that are whole, or with some that are differences to a base's. */
export const manifests: fc.Arbitrary<Manifest> = fc
  .tuple(
    fields,
    entries,
    fc.option(bases, { nil: undefined }),
    fc.array(fc.nat(300), { minLength: 1, maxLength: 5 }),
  )
  .map(([manifest, list, base, choices]) => ({
    ...manifest,
    base,
    entries: base === undefined ? list : differing(list, choices),
  }));

/** A manifest with something in every field. */
export const fixedManifest: Manifest = {
  snapshotId: new Uint8Array(16).fill(0x11),
  revision: 2,
  kind: 'restorable',
  timeline: 'web-1',
  sequence: 7,
  takenAtMs: 1_795_000_000_123,
  labels: [
    ['host', 'a'],
    ['reason', 'ticker'],
  ],
  parent: { id: new Uint8Array(16).fill(0x22), digest: new Uint8Array(32).fill(0x33) },
  criuRunId: 'run-1',
  dumpUptimeUs: 123_456_789n,
  dumpPageBytes: 4096,
  directoryMode: 0o700,
  base: { id: new Uint8Array(16).fill(0x22), depth: 3 },
  segments: [new Uint8Array(16).fill(0x44)],
  newPages: 3,
  entries: [
    { name: new TextEncoder().encode('dir'), mode: 0o755, content: undefined },
    {
      name: new TextEncoder().encode('pages-1.img'),
      mode: 0o600,
      content: {
        sizeBytes: 8192,
        leaves: new Uint8Array(32).fill(0x55),
        recipe: Uint8Array.of(1, 2, 3),
        baseEntry: 4,
        addresses: {
          name: 'pagemap-7',
          runStart: Float64Array.of(16, 0xfffffffffffff),
          runLength: Float64Array.of(1, 1),
        },
      },
    },
    {
      name: Uint8Array.of(0xff, 0xfe),
      mode: 0o644,
      content: { sizeBytes: 5, leaves: new Uint8Array(32).fill(0x66), recipe: Uint8Array.of(9) },
    },
  ],
};
