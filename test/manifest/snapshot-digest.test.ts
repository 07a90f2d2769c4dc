/** The digest of a snapshot: of all that is logical in it, and of nothing else. */
import { sha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import type { Manifest, ManifestEntry } from '../../src/manifest/manifest.ts';
import { snapshotDigest } from '../../src/manifest/snapshot-digest.ts';
import { fixedManifest, manifests } from '../support/made-manifests.ts';

const digestOf = (change: Partial<Manifest>): string =>
  toHex(snapshotDigest({ ...fixedManifest, ...change }));
const original = digestOf({});

/** The fixed manifest with its n-th entry changed. */
function withEntry(n: number, change: (entry: ManifestEntry) => ManifestEntry): Partial<Manifest> {
  return { entries: fixedManifest.entries.map((entry, i) => (i === n ? change(entry) : entry)) };
}

function withContent(
  n: number,
  change: Partial<NonNullable<ManifestEntry['content']>>,
): Partial<Manifest> {
  return withEntry(n, (entry) => ({ ...entry, content: { ...entry.content!, ...change } }));
}

describe('the digest of a snapshot', () => {
  it('is over the canonical form, byte by byte', () => {
    const root = (size: number, leaf: number) =>
      Buffer.from(
        sha256(Uint8Array.from([size & 0xff, size >> 8, 0, 0, 0, 0, 0, 0, ...leaves(leaf)])),
      );
    const leaves = (leaf: number) => new Uint8Array(32).fill(leaf);
    const form = Buffer.concat([
      Buffer.from('criu-timeline snapshot 1\n'),
      Buffer.of(1, 0),
      // 1,795,000,000,123 as LEB128, by hand.
      Buffer.from(leb128(1_795_000_000_123n)),
      Buffer.of(2),
      Buffer.from('\x04host\x01a\x06reason\x06ticker'),
      Buffer.alloc(32, 0x33),
      Buffer.from('\x05run-1'),
      Buffer.of(0x80, 0x20, 0xc0, 0x03, 3),
      Buffer.of(1, 0xed, 0x03, 3),
      Buffer.from('dir'),
      Buffer.of(2, 0x80, 0x03, 11),
      Buffer.from('pages-1.img'),
      Buffer.of(0x80, 0x40),
      root(8192, 0x55),
      Buffer.of(2, 0xa4, 0x03, 2, 0xff, 0xfe, 5),
      root(5, 0x66),
    ]);
    expect(original).toBe(toHex(sha256(form)));
  });

  it.each<[string, Partial<Manifest>]>([
    ['kind', { kind: 'pre-dump' }],
    ['time', { takenAtMs: fixedManifest.takenAtMs + 1 }],
    ['sign of the time', { takenAtMs: -fixedManifest.takenAtMs }],
    ['labels', { labels: [['host', 'a']] }],
    ['value of a label', { labels: [fixedManifest.labels[0]!, ['reason', 'other']] }],
    ['border between key and value', { labels: [['hosta', ''], fixedManifest.labels[1]!] }],
    [
      "parent's digest",
      { parent: { ...fixedManifest.parent!, digest: new Uint8Array(32).fill(1) } },
    ],
    ['lack of a parent', { parent: undefined }],
    ['CRIU run id', { criuRunId: 'run-2' }],
    ['lack of a CRIU run id', { criuRunId: undefined }],
    ['page size', { dumpPageBytes: 16384 }],
    ['mode of the directory', { directoryMode: 0o755 }],
    ['entries', { entries: fixedManifest.entries.slice(1) }],
    ['name of an entry', withEntry(0, (entry) => ({ ...entry, name: Uint8Array.of(1) }))],
    ['mode of an entry', withEntry(2, (entry) => ({ ...entry, mode: 0o600 }))],
    ['kind of an entry', withEntry(2, (entry) => ({ ...entry, content: undefined }))],
    ['size of a file', withContent(2, { sizeBytes: 6 })],
    ['leaves of a file', withContent(1, { leaves: new Uint8Array(32).fill(1) })],
  ])('changes with the %s', (_, change) => {
    expect(digestOf(change)).not.toBe(original);
  });

  it('does not change with how and where the pages are kept', () => {
    fc.assert(
      fc.property(manifests, manifests, (one, other) => {
        const { snapshotId, revision, base, segments, newPages } = other;
        const entries = one.entries.map((entry) => ({
          ...entry,
          content: entry.content && { ...entry.content, recipe: Uint8Array.of(7), baseEntry: 3 },
        }));
        const rewritten = { ...one, snapshotId, revision, base, segments, newPages, entries };
        expect(snapshotDigest(rewritten)).toEqual(snapshotDigest(one));
      }),
    );
    expect(digestOf({ revision: 9, base: undefined, segments: [], newPages: 0 })).toBe(original);
    expect(digestOf(withContent(1, { recipe: Uint8Array.of(7), baseEntry: 0 }))).toBe(original);
  });
});

function leb128(value: bigint): number[] {
  const low = Number(value & 0x7fn);
  return value < 0x80n ? [low] : [low | 0x80, ...leb128(value >> 7n)];
}
