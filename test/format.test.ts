/**
 * The worked example of FORMAT.md is a real pack: it is decoded here, and what the page says about
 * it is compared with what comes out.
 */
import { readFileSync } from 'node:fs';
import { sha256 } from '#digest';
import { expect, test } from 'vitest';
import { toHex } from '../src/bytes/hex.ts';
import { idToText } from '../src/bytes/id.ts';
import { loadZstd } from '../src/bytes/zstd.ts';
import { decodeManifest } from '../src/manifest/manifest.ts';
import { RecipeCursor } from '../src/manifest/recipe.ts';
import { snapshotDigest } from '../src/manifest/snapshot-digest.ts';
import { PackReader } from '../src/pack/reader.ts';

const page = readFileSync(new URL('../src/FORMAT.md', import.meta.url), 'utf8');

function examplePack(): Buffer {
  const block = /```text\n(0000[^`]+)```/.exec(page)?.[1] ?? '';
  const lines = block.trim().split('\n');
  return Buffer.from(lines.map((line) => line.slice(4).replaceAll(' ', '')).join(''), 'hex');
}

async function openExample(): Promise<PackReader> {
  const bytes = examplePack();
  const read = (target: Uint8Array, offset: number) => {
    bytes.copy(target, 0, offset, offset + target.length);
  };
  return new PackReader({ file: 'FORMAT.md', sizeBytes: bytes.length, read }, await loadZstd());
}

test('the example in FORMAT.md has the name and the length that it claims', () => {
  const bytes = examplePack();
  expect(bytes.length).toBe(477);
  expect(page).toContain(`${bytes.length} bytes, called\n\`${toHex(sha256(bytes))}\``);
});

test('the example in FORMAT.md decodes to the blocks that the text points at', async () => {
  const pack = await openExample();
  const identity = Uint8Array.from({ length: 16 }, (_, i) => i);
  expect(pack.footer.references.map(toHex)).toEqual([toHex(identity)]);
  expect(pack.footer.entries).toMatchObject([
    { type: 'digests', offset: 66, blockBytes: 56 },
    { type: 'frameTable', offset: 122, blockBytes: 61, segment: 0, firstFrame: 0, lastFrame: 0 },
    { type: 'manifest', offset: 183, blockBytes: 155, part: 0, parts: 1 },
  ]);
  const [table] = pack.frameTables(0);
  expect(table?.entryAt(0)).toMatchObject({ frame: 0, offset: 16, blockBytes: 50 });
  expect(table?.entryAt(0).digestsOffset).toBe(0x5a);
  expect(table?.pageBytes(0)).toBe(8);
});

test('the example in FORMAT.md gives back its page', async () => {
  const pack = await openExample();
  const [table] = pack.frameTables(0);
  const frame = Buffer.alloc(64 * 4096);
  expect(table && pack.readFrame(table, 0, frame)).toBe(1);
  expect(frame.toString('latin1', 0, 8)).toBe('timeline');
  expect(pack.hasDigest(0, 0, sha256(Buffer.from('timeline')), 0)).toBe(true);
});

test('the example in FORMAT.md gives back its manifest and its snapshot digest', async () => {
  const pack = await openExample();
  const [part] = pack.footer.entries.filter((entry) => entry.type === 'manifest');
  const bytes = pack.readManifest(part?.digest ?? new Uint8Array());
  expect(bytes.length).toBe(131);
  const manifest = decodeManifest(bytes, 'FORMAT.md');
  expect(idToText(manifest.snapshotId)).toBe('01KAJ0000000000000EXAMP1E0');
  expect(manifest).toMatchObject({
    kind: 'restorable',
    timeline: 'web-1',
    sequence: 1,
    takenAtMs: Date.parse('2026-11-21T10:00:00Z'),
    labels: [['reason', 'ticker']],
    directoryMode: 0o755,
    newPages: 1,
  });
  expect(page).toContain(`digest is\n\`${toHex(snapshotDigest(manifest))}\``);
  const content = manifest.entries[0]?.content;
  expect(toHex(content?.recipe ?? new Uint8Array())).toBe('010101030000');
  const cursor = new RecipeCursor(content?.recipe ?? new Uint8Array(), 1, 1, 'FORMAT.md');
  expect(cursor.next()).toBe(true);
  expect(cursor).toMatchObject({ segment: 0, slot: 0, pages: 1 });
  expect(cursor.next()).toBe(false);
});
