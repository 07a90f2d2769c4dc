/**
 * The worked example of FORMAT.md is a real pack: it is decoded here, and what the page says about
 * it is compared with what comes out.
 */
import { readFileSync } from 'node:fs';
import { sha256 } from '#digest';
import { expect, test } from 'vitest';
import { toHex } from '../src/bytes/hex.ts';
import { idToText } from '../src/bytes/id.ts';
import { PAGE_BYTES } from '../src/bytes/page.ts';
import { loadZstd } from '../src/bytes/zstd.ts';
import { Alignment } from '../src/manifest/alignment.ts';
import { rootOf, ZERO_PAGE_DIGEST } from '../src/manifest/leaves.ts';
import { decodeManifest, type Manifest } from '../src/manifest/manifest.ts';
import { RecipeCursor, RUN } from '../src/manifest/recipe.ts';
import { snapshotDigest } from '../src/manifest/snapshot-digest.ts';
import { applyDelta } from '../src/pack/delta-frame.ts';
import { PackReader } from '../src/pack/reader.ts';
import { StoredTree } from '../src/tree/tree.ts';

const page = readFileSync(new URL('../src/FORMAT.md', import.meta.url), 'utf8');
const bytes = examplePack();
const pack = await openExample();

const inventory = Buffer.from('inventory');
const textPage = (text: string): Buffer => Buffer.concat([Buffer.from(text), Buffer.alloc(4086)]);

function examplePack(): Buffer {
  const block = /```text\n(0000[^`]+)```/.exec(page)?.[1] ?? '';
  const lines = block.trim().split('\n');
  return Buffer.from(lines.map((line) => line.slice(4).replaceAll(' ', '')).join(''), 'hex');
}

async function openExample(): Promise<PackReader> {
  const read = (target: Uint8Array, offset: number) => {
    bytes.copy(target, 0, offset, offset + target.length);
  };
  return new PackReader({ file: 'FORMAT.md', sizeBytes: bytes.length, read }, await loadZstd());
}

/** The bytes at an offset, in hex. */
const at = (offset: number, length: number): string =>
  bytes.toString('hex', offset, offset + length);

/** The two manifests, in their order. */
function manifests(): { length: number; manifest: Manifest }[] {
  const parts = pack.footer.entries.filter((entry) => entry.type === 'manifest');
  return parts.map(({ digest }) => {
    const raw = pack.readManifest(digest);
    return { length: raw.length, manifest: decodeManifest(raw, 'FORMAT.md') };
  });
}

/** The runs of a recipe, as kind, segment, slot and pages. */
function runsOf(manifest: Manifest, entry: number, pageCount: number): number[][] {
  const recipe = manifest.entries[entry]?.content?.recipe ?? new Uint8Array(0);
  const cursor = new RecipeCursor(recipe, pageCount, manifest.segments.length, 'FORMAT.md');
  const runs: number[][] = [];
  while (cursor.next()) {
    const place = cursor.kind === RUN.slots ? [cursor.segment, cursor.slot] : [];
    runs.push([cursor.kind, ...place, cursor.pages]);
  }
  return runs;
}

test('the block of a tree in FORMAT.md says what the text says', () => {
  const lines = /```text\n(0103[^`]+)```/.exec(page)?.[1] ?? '';
  const written = Buffer.from(lines.replaceAll('\n', ''), 'hex');
  expect(written.length).toBe(67);
  const block = Buffer.alloc(PAGE_BYTES);
  written.copy(block);
  const runs = { runStart: Float64Array.of(64), runLength: Float64Array.of(1) };
  const cursor = new StoredTree(block, runs, 'FORMAT.md').cursor();
  const found: object[] = [];
  while (cursor.next()) {
    const { kind, mode, sizeBytes, extents } = cursor.body;
    const path = Buffer.from(cursor.path).toString();
    found.push({ path, kind, mode, sizeBytes, at: [...extents.start], pages: [...extents.length] });
  }
  const nothing = { sizeBytes: 0, at: [], pages: [] };
  expect(found).toEqual([
    { path: 'files', kind: 'directory', mode: 0o755, ...nothing },
    { path: 'files/log', kind: 'file', mode: 0o644, sizeBytes: 5000, at: [7], pages: [2] },
    { path: 'files/old', kind: 'character', mode: 0, ...nothing },
  ]);
});

test('the example in FORMAT.md has the name and the length that it claims', () => {
  expect(bytes.length).toBe(1029);
  expect(page).toContain(`${bytes.length} bytes, called\n\`${toHex(sha256(bytes))}\``);
});

test('the example in FORMAT.md decodes to the blocks that the text points at', () => {
  const identities = [0, 16].map((first) => Uint8Array.from({ length: 16 }, (_, i) => first + i));
  expect(pack.footer.references.map(toHex)).toEqual(identities.map(toHex));
  const range = { firstFrame: 0, lastFrame: 0 };
  const deltaRange = { firstFrame: 2 ** 25, lastFrame: 2 ** 25 };
  expect(pack.footer.entries).toMatchObject([
    { type: 'digests', offset: 81, blockBytes: 88 },
    { type: 'frameTable', offset: 169, blockBytes: 64, segment: 0, ...range },
    { type: 'frameTable', offset: 272, blockBytes: 55, segment: 1, ...deltaRange },
    { type: 'manifest', offset: 327, blockBytes: 228, part: 0, parts: 1 },
    { type: 'manifest', offset: 555, blockBytes: 255, part: 0, parts: 1 },
  ]);
  const [[table], [deltas]] = [pack.frameTables(0), pack.frameTables(1)];
  const line = { frame: 0, slotsLow: 3, offset: 16, blockBytes: 65, digestsOffset: 0x69 };
  expect(table?.entryAt(0)).toMatchObject(line);
  expect([table?.pageBytes(0), table?.pageBytes(1)]).toEqual([9, 4096]);
  const deltaLine = { frame: 2 ** 25, slotsLow: 1, offset: 233, blockBytes: 39, digestsOffset: 0 };
  expect(deltas?.entryAt(0)).toMatchObject(deltaLine);
  expect(at(0x3e5, 12)).toBe('2a03000000000000bb000000');
  for (const offset of [0x51, 0xa9, 0xe9, 0x110, 0x147, 0x22b, 0x32a]) {
    expect(page).toContain(`\`${offset.toString(16).padStart(4, '0')}\``);
  }
});

test('the example in FORMAT.md gives back its full pages, and their digests', () => {
  const [table] = pack.frameTables(0);
  const frame = Buffer.alloc(64 * 4096);
  expect(table && pack.readFrame(table, 0, frame)).toBe(2);
  const filled = Buffer.alloc(4096);
  inventory.copy(filled);
  expect(frame.subarray(0, 8192).equals(Buffer.concat([filled, textPage('timeline 1')]))).toBe(
    true,
  );
  expect(at(0x69, 32)).toBe(toHex(sha256(inventory)));
  expect(at(0x89, 32)).toBe(toHex(sha256(textPage('timeline 1'))));
  expect(pack.hasDigest(0, 0, sha256(inventory), 0)).toBe(true);
});

test('the example in FORMAT.md gives back its delta, byte by byte as the text says', () => {
  expect(at(0x101, 15)).toBe(
    '01' + '0101030101' + '01' + '00' + '02' + '010101' + '09' + '00' + '32',
  );
  const [table] = pack.frameTables(1);
  const frame = table && pack.readDeltaFrame(table, 0);
  expect(frame && [frame.depth[0], frame.baseSegment[0], frame.baseSlot[0]]).toEqual([1, 0, 1]);
  const target = textPage('timeline 1');
  if (frame !== undefined) applyDelta(frame, 0, target, 0);
  expect(target.equals(textPage('timeline 2'))).toBe(true);
});

test('the example in FORMAT.md gives back its manifests and their snapshot digests', () => {
  const [first, second] = manifests();
  expect([first?.length, second?.length]).toEqual([204, 252]);
  const ids = [first, second].map((one) => idToText(one?.manifest.snapshotId ?? new Uint8Array()));
  expect(ids).toEqual(['01KAJ0000000000000EXAMP1E0', '01KAJ0000000000000EXAMP1E1']);
  expect(first?.manifest).toMatchObject({
    kind: 'restorable',
    timeline: 'web-1',
    sequence: 1,
    takenAtMs: Date.parse('2026-11-21T10:00:00Z'),
    labels: [['reason', 'ticker']],
    base: undefined,
    directoryMode: 0o755,
    newPages: 2,
  });
  const base = { id: first?.manifest.snapshotId, depth: 1 };
  const parent = { id: base.id, digest: Uint8Array.from(snapshotDigest(first!.manifest)) };
  expect(second?.manifest).toMatchObject({ sequence: 2, labels: [], base, parent, newPages: 1 });
  expect(at(0x196, 3)).toBe('000100');
  const digests = [first, second].map((one) => toHex(snapshotDigest(one!.manifest)));
  expect(page).toContain(`digests are\n\`${digests[0]}\` and\n\`${digests[1]}\``);
});

test('the example in FORMAT.md has a whole recipe and a difference for each of its files', () => {
  const [first, second] = manifests().map(({ manifest }) => manifest) as [Manifest, Manifest];
  const contents = [first, second].map(({ entries }) => entries.map(({ content }) => content!));
  expect(contents.map((list) => list.map(({ recipe }) => toHex(recipe)))).toEqual([
    ['010101050000', '02020105040002'],
    ['01010006', '02020105060100'],
  ]);
  expect(contents.map((list) => list.map(({ baseEntry }) => baseEntry))).toEqual([
    [undefined, undefined],
    [0, 1],
  ]);
  expect([runsOf(first, 0, 1), runsOf(first, 1, 2)]).toEqual([
    [[RUN.slots, 0, 0, 1]],
    [
      [RUN.slots, 0, 1, 1],
      [RUN.zero, 1],
    ],
  ]);
  expect([runsOf(second, 0, 1), runsOf(second, 1, 2)]).toEqual([
    [[RUN.same, 1]],
    [
      [RUN.slots, 0, 2 ** 31, 1],
      [RUN.same, 1],
    ],
  ]);
  const aligned = contents.map(([, space]) => ({ pageCount: 2, addresses: space!.addresses }));
  expect(new Alignment(aligned[1]!, aligned[0]!).find(1)).toBe(1);
  expect([...aligned[0]!.addresses!.runStart]).toEqual([16]);
});

test('the example in FORMAT.md has the leaves of the pages that the text names', () => {
  const [first, second] = manifests().map(({ manifest }) => manifest) as [Manifest, Manifest];
  for (const [manifest, text] of [
    [first, 'timeline 1'],
    [second, 'timeline 2'],
  ] as const) {
    const [small, space] = manifest.entries.map(({ content }) => content!);
    const digests = Buffer.concat([sha256(textPage(text)), ZERO_PAGE_DIGEST]);
    expect(toHex(small!.leaves)).toBe(toHex(sha256(sha256(inventory))));
    expect(toHex(rootOf(8192, space!.leaves))).toBe(toHex(rootOf(8192, sha256(digests))));
  }
});
