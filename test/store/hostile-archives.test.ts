/**
 * Archives made by an enemy, or damaged on the way: each is refused with an error that names what
 * is wrong. Nothing is published, nothing stays in the store, nothing is written elsewhere.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { ImportOptions, SnapshotStore } from '../../src/index.ts';
import { expectFailure, type ExpectedFailure } from '../support/failures.ts';
import {
  archiveWith,
  archiveWithFiles,
  END,
  paxMember,
  rawMember,
  type RawMember,
  rawTar,
} from '../support/made-archives.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectCaptures } from '../support/refusals.ts';
import { shop } from '../support/shop-archives.ts';
import { storeState } from '../support/store-state.ts';
import { openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { describeTree } from '../support/trees.ts';

const newPath = temporaryPaths();

type Archive = Uint8Array | AsyncIterable<Uint8Array>;

/** Imports into a store in a directory that has a victim in it, and looks at both afterwards. */
async function expectRefused(
  archive: Archive,
  expected: ExpectedFailure,
  options: ImportOptions = {},
): Promise<void> {
  const work = newPath();
  mkdirSync(join(work, 'victim'), { recursive: true });
  writeFileSync(join(work, 'victim/file'), 'mine');
  const store = await openStore(join(work, 'store'), { workers: 0 });
  const outside = (): string[] => describeTree(work, { without: ['store'] });
  const [stateBefore, outsideBefore] = [storeState(store.directory), outside()];
  const stream = archive instanceof Uint8Array ? streamOf(archive) : archive;
  await expectFailure(() => store.timeline('t').import(stream, options), expected);
  expect(storeState(store.directory)).toEqual(stateBefore);
  expect(outside()).toEqual(outsideBefore);
  expect(store.timelines()).toEqual([]);
  expect(readdirSync(join(store.directory, 'packs'))).toEqual([]);
  await expectCaptures(store, 1);
}

async function* streamOf(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    yield part;
    await Promise.resolve();
  }
}

const INVALID = 'INVALID_IMAGE' as const;
const UNSUPPORTED = 'UNSUPPORTED_IMAGE' as const;

const HOSTILE: readonly (readonly [string, readonly RawMember[], RegExp])[] = [
  ['../', [{ name: '../victim/file', content: 'x' }], /"\.\.\/victim\/file" has the part \.\./],
  ['../ inside', [{ name: 'a/../../victim', content: 'x' }], /"a\/\.\.\/\.\.\/victim" has the/],
  ['an absolute name', [{ name: '/etc/victim', content: 'x' }], /"\/etc\/victim" is absolute/],
  [
    'a hard link to the outside',
    [{ name: 'a', type: '1', link: '../victim/file' }],
    /"a" (has|is a hard link)/,
  ],
  ['a hard link to a file of the host', [{ name: 'a', type: '1', link: '/etc/passwd' }], /"a" is/],
  ['a member twice', [{ name: 'a' }, { name: 'b' }, { name: 'a' }], /"a" is there twice/],
  ['a file in place of a directory', [{ name: 'a/b' }, { name: 'a' }], /"a" is a directory as/],
  ['something below a file', [{ name: 'a' }, { name: 'a/b' }], /"a\/b" is below "a", a file/],
  ['a NUL in a name', [paxMember({ path: 'a\0b' }), { name: 'x' }], /"a\\u0000b" has a NUL/],
  [
    'a long name that leaves',
    [{ name: '@LongLink', type: 'L', content: '../v\0' }, { name: 'v' }],
    /"\.\.\/v" has/,
  ],
];

test('limits that are undefined are the usual ones, and what is none is misuse', async () => {
  const store = await openStore(newPath(), { workers: 0 });
  const import_ = (limits: unknown) =>
    store.timeline('t').import(shop(1), { limits } as ImportOptions);
  for (const members of [Number.NaN, -1, -Infinity]) {
    await expect(import_({ members })).rejects.toThrow(RangeError);
  }
  await expect(import_({ members: '5' })).rejects.toThrow(TypeError);
  expect(store.timelines()).toEqual([]);
  await expectFailure(() => import_({ members: 0 }), { code: UNSUPPORTED });
  await import_({ members: undefined, unpackedBytes: Infinity });
  expect(store.timeline('t').list()).toHaveLength(1);
});

const inEither = HOSTILE.flatMap(([name, members, message]) => [
  [`${name}, among the members`, archiveWith(...members), message] as const,
  [`${name}, among the files`, archiveWithFiles(...members), message] as const,
]);

describe('an archive is refused with', () => {
  test.each(inEither)('%s', async (_name, archive, message) => {
    await expectRefused(archive, { code: INVALID, message });
  });

  test.each<[string, Buffer, RegExp]>([
    [
      'a file through a link among the members',
      archiveWith({ name: 'a', type: '2', link: '..' }, { name: 'a/victim' }),
      /"a" is a link, which is not expected here/,
    ],
    [
      'a file through a link among the files',
      archiveWithFiles({ name: 'a', type: '2', link: '..' }, { name: 'a/victim' }),
      /"a\/victim" is below "a", a link/,
    ],
    [
      'a device among the members',
      archiveWith({ name: 'sda', type: '4', device: [8, 0] }),
      /"sda" is a block, which is not expected here/,
    ],
    [
      'a link among the images',
      archiveWith({ name: 'checkpoint/core-1.img', type: '2', link: '/etc/shadow' }),
      /"checkpoint\/core-1.img" is a link/,
    ],
    [
      'a device among the images',
      archiveWith({ name: 'checkpoint/pages-1.img', type: '3', device: [1, 5] }),
      /"checkpoint\/pages-1.img" is a character/,
    ],
    [
      'a directory in place of the inventory',
      rawTar({ name: 'checkpoint/inventory.img/', type: '5' }),
      /inventory/,
    ],
    [
      'a tar in the place of deleted.files',
      archiveWith({ name: 'deleted.files', content: rawTar({ name: 'a' }) }),
      /deleted\.files/,
    ],
    [
      'a deleted path that leaves',
      archiveWith({ name: 'deleted.files', content: '["/../victim"]' }),
      /the deleted path .* has the part \.\..*deleted\.files/,
    ],
    ['a size that is not there', archiveWith({ name: 'a', size: 1 << 30 }), /cut off/],
    ['a size that swallows the next', archiveWithFiles({ name: 'a', size: 2000 }), /bytes|cut off/],
    ['a wrong checksum', Buffer.concat([archiveWith(), Buffer.alloc(512, 7)]), /garbage/],
    ['garbage behind its end', Buffer.concat([archiveWith(), Buffer.from('x')]), /garbage/],
    ['garbage behind its gzip', Buffer.concat([gzipSync(archiveWith()), END]), /goes on|damaged/],
    ['nothing in it', Buffer.alloc(0), /neither a tar/],
    ['text in it', Buffer.from('hello'.repeat(200)), /neither a tar/],
    ['no images', rawTar({ name: 'config.dump', content: '{}' }), /no member checkpoint/],
    ['images that are none', archiveWith(), /:checkpoint\/inventory\.img/],
  ])('%s', async (_name, archive, message) => {
    await expectRefused(archive, { code: INVALID, message });
  });

  test('its end cut off, wherever that is', async () => {
    const tar = readFileSync(shop(1));
    const whole = { plain: tar, gzip: gzipSync(tar, { level: 1 }), zstd: zstd(tar) };
    for (const bytes of Object.values(whole)) {
      for (const share of [0.0001, 0.9]) {
        const cut = bytes.subarray(0, Math.floor(bytes.length * share));
        await expectRefused(cut, { code: INVALID });
      }
    }
  });

  test('sparse members, which nobody here reads', async () => {
    for (const make of [archiveWith, archiveWithFiles]) {
      const pax = make(paxMember({ 'GNU.sparse.major': '1' }), { name: 'a' });
      await expectRefused(pax, { code: UNSUPPORTED, message: /sparse/ });
      const old = make({ name: 'a', type: 'S' });
      await expectRefused(old, { code: UNSUPPORTED, message: /sparse/ });
    }
  });
});

function zstd(bytes: Buffer): Buffer {
  return execFileSync('zstd', ['-qc1'], { input: bytes, maxBuffer: 1 << 28 });
}

/** An archive with a dump that is one, and these members. */
function goodArchive(...members: readonly RawMember[]): Buffer {
  const dump = makeDump(newPath(), 1);
  const images = readdirSync(dump).map((name) => ({
    name: `checkpoint/${name}`,
    content: readFileSync(join(dump, name)),
  }));
  return rawTar(...images, ...members);
}

async function newStore(): Promise<SnapshotStore> {
  return await openStore(newPath(), { workers: 0 });
}

describe('a limit', () => {
  test('stops a bomb, and may be raised', async () => {
    const bomb = gzipSync(goodArchive({ name: 'a', content: Buffer.alloc(20_000_000) }));
    const limits = { unpackedBytes: 1_000_000 };
    const message = /limit `unpackedBytes` of 1000000/;
    await expectRefused(bomb, { code: UNSUPPORTED, message }, { limits });
    const inner = gzipSync(rawTar({ name: 'a', content: Buffer.alloc(20_000_000) }));
    const nested = goodArchive({ name: 'rootfs-diff.tar', content: inner });
    await expectRefused(nested, { code: UNSUPPORTED, message }, { limits });
    const store = await newStore();
    const raised = { limits: { unpackedBytes: 30_000_000 } };
    expect((await store.timeline('t').import(streamOf(bomb), raised)).sequence).toBe(1);
    expect((await store.timeline('t').import(streamOf(nested), raised)).sequence).toBe(2);
  });

  test('stops ten million members long before their end, and may be raised', async () => {
    let given = 0;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      yield rawMember({ name: 'checkpoint/inventory.img' });
      for (; given < 10_000_000; given++) {
        yield rawMember({ name: `m${given}` });
        await Promise.resolve();
      }
    };
    const message = /limit `members` of 5000/;
    const options = { limits: { members: 5000 } };
    await expectRefused(endless(), { code: UNSUPPORTED, message }, options);
    expect(given).toBeLessThan(5100);
    const many = Array.from({ length: 300 }, (_, i) => ({ name: `m${i}` }));
    const archive = goodArchive(...many);
    const tight = { limits: { members: 300 } };
    await expectRefused(archive, { code: UNSUPPORTED, message: /`members`/ }, tight);
    const store = await newStore();
    const raised = { limits: { members: 310 } };
    expect((await store.timeline('t').import(streamOf(archive), raised)).sequence).toBe(1);
  });

  test('stops a member that is too large, before it is read', async () => {
    const options = { limits: { memberBytes: 1000 } };
    const archive = archiveWith({ name: 'a', size: 2 ** 32 });
    await expectRefused(archive, { code: UNSUPPORTED, message: /`memberBytes`/ }, options);
  });
});

test('names that are only unusual go in and out', async () => {
  const long = `${'long/'.repeat(60)}name`;
  const files = rawTar(
    paxMember({ path: `${long}.pax` }),
    { name: 'p', content: 'pax' },
    { name: '././@LongLink', type: 'L', content: `${long}.gnu\0` },
    { name: 'g', content: 'gnu' },
    { name: 'new\nline', content: 'n' },
    { name: Buffer.from([0xff, 0xfe]), content: 'bytes' },
  );
  const archive = goodArchive({ name: 'rootfs-diff.tar', content: files });
  const store = await newStore();
  const snapshot = await store.timeline('t').import(streamOf(archive));
  const target = newPath();
  await snapshot.restore(newPath(), { files: target });
  expect(readFileSync(join(target, `${long}.pax`), 'utf8')).toBe('pax');
  expect(readFileSync(join(target, `${long}.gnu`), 'utf8')).toBe('gnu');
  expect(readFileSync(join(target, 'new\nline'), 'utf8')).toBe('n');
  const bytes = Buffer.concat([Buffer.from(`${target}/`), Buffer.from([0xff, 0xfe])]);
  expect(readFileSync(bytes, 'utf8')).toBe('bytes');
  const again = newPath();
  await snapshot.export(again, { compression: 'none' });
  expect(readFileSync(again).equals(archive)).toBe(true);
});
