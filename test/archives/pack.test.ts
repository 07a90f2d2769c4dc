/** Archives packed again: the same bytes where nothing changed, right ones where something did. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packArchive } from '../../src/archives/pack.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { makeContainerd, makeCrio, makePodman } from '../support/engine-archives.ts';
import { expectFailure } from '../support/failures.ts';
import {
  archiveWith,
  archiveWithFiles,
  contentOf,
  decompressed,
  describeNodes,
  pack,
  paxMember,
  rawTar,
  unpack,
} from '../support/made-archives.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

function newDirectory(): string {
  const path = newPath();
  mkdirSync(path);
  return path;
}

describe('an archive that did not change', () => {
  it.each<[string, Buffer]>([
    ['of podman', makePodman(newPath())],
    ['of podman in gzip', makePodman(newPath(), 'gzip')],
    ['of podman in zstd', makePodman(newPath(), 'zstd')],
    ['of CRI-O', makeCrio(newPath())],
    [
      'with ./ before all names',
      archiveWithFiles({ name: './a', content: 'a' }, { name: './b/', type: '5' }),
    ],
    ['of a pre-dump', rawTar({ name: 'pre-checkpoint/a', content: 'a' })],
    ['with a layer that it lists', archiveWithFiles({ name: '.wh.a', content: 'a' })],
    [
      'with PAX records of every kind',
      archiveWithFiles(
        paxMember({ comment: 'x' }, 'g'),
        paxMember({ path: 'ä', size: '3', 'SCHILY.xattr.user.a': 'b', unknown: 'c' }),
        { name: 'p', content: 'abc' },
      ),
    ],
  ])('comes back byte for byte: %s', async (_name, archive) => {
    const staging = newDirectory();
    const unpacked = await unpack(archive, newPath());
    expect((await pack(unpacked, staging)).equals(await decompressed(archive))).toBe(true);
    expect(readdirSync(staging)).toEqual([]);
  });

  it('comes back whatever is in it', async () => {
    const member = fc.record({
      name: fc.stringMatching(/^[a-z]{1,5}(\/[a-z]{1,5}){0,2}$/),
      content: fc.string({ maxLength: 1500 }),
    });
    const members = fc.uniqueArray(member, { selector: ({ name }) => name.split('/')[0] });
    await fc.assert(
      fc.asyncProperty(members, members, async (outer, inner) => {
        const others = outer.filter(({ name }) => !name.startsWith('checkpoint'));
        const diff = { name: 'rootfs-diff.tar', content: rawTar(...inner) };
        const archive = archiveWith(...others, diff);
        const unpacked = await unpack(archive, newPath());
        expect((await pack(unpacked, newPath())).equals(archive)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('has an equal layer, if not the same gzip', async () => {
    const archive = makeContainerd(newPath());
    const staging = newDirectory();
    const packed = await pack(await unpack(archive, newPath()), staging);
    expect(readdirSync(staging)).toEqual([]);
    const layerOf = (tar: Buffer): Buffer =>
      execFileSync('tar', ['-xOf', '-', 'rootfs-diff.tar'], { input: tar });
    expect(await decompressed(layerOf(packed))).toEqual(await decompressed(layerOf(archive)));
    const again = await unpack(packed, newPath());
    const ours = (line: string): boolean => !line.startsWith('layouts/archive');
    const before = describeNodes(await unpack(archive, newPath()));
    expect(describeNodes(again).filter(ours)).toEqual(before.filter(ours));
  });

  it('has a layer in zstd again where it was one', async () => {
    const layer = execFileSync('zstd', ['-qc'], { input: rawTar({ name: 'a', content: 'a' }) });
    const archive = archiveWith({ name: 'rootfs-diff.tar', content: layer });
    const packed = await pack(await unpack(archive, newPath()), newDirectory());
    const again = await unpack(packed, newPath());
    expect(describeNodes(again)).toContain('layouts/rootfs-diff.compression file 600 0 "zstd"');
    expect(describeNodes(again)).toContain('files/a file 644 0 "a"');
  });
});

describe('an archive that changed', () => {
  it('has other images, as a dump that was made whole has, and no parent', async () => {
    const link = { name: 'checkpoint/parent', type: '2', link: '../1' };
    const archive = archiveWith(
      link,
      { name: 'checkpoint/pages-1.img', content: 'p' },
      { name: 'x' },
    );
    const packed = await pack(await unpack(archive, newPath()), newPath(), (path, content) => {
      if (path === 'images/inventory.img') return undefined;
      return path === 'images/pages-1.img' ? Buffer.alloc(5000, 'q') : content;
    });
    const expected = rawTar(
      { name: 'checkpoint/', type: '5', mode: 0o700 },
      { name: 'checkpoint/pages-1.img', content: 'q'.repeat(5000) },
      { name: 'x' },
    );
    expect(packed.equals(expected)).toBe(true);
  });

  it('has other files of the container, in a tar of another size', async () => {
    const archive = archiveWithFiles({ name: 'a', content: 'a' }, { name: 'b', content: 'b' });
    const packed = await pack(await unpack(archive, newPath()), newPath(), (path, content) =>
      path === 'files/a' ? Buffer.alloc(3000, 'c') : content,
    );
    const expected = archiveWithFiles(
      { name: 'a', content: 'c'.repeat(3000) },
      { name: 'b', content: 'b' },
    );
    expect(packed.equals(expected)).toBe(true);
  });

  it.each(['members/x', 'files/a', 'layouts/archive'])('cannot lack %s', async (missing) => {
    const diff = { name: 'rootfs-diff.tar', content: rawTar({ name: 'a' }) };
    const unpacked = await unpack(archiveWith({ name: 'x' }, diff), newPath());
    const change = (path: string, content: Buffer): Buffer | undefined =>
      path === missing ? undefined : content;
    const failure = { code: 'CORRUPT' as const, file: 'out.tar', message: new RegExp(missing) };
    await expectFailure(() => pack(unpacked, newPath(), change), failure);
  });

  it.each([
    [
      'a compression that is none',
      'layouts/rootfs-diff.compression',
      'rar',
      /no known compression/,
    ],
    ['a name that is not safe', 'layouts/archive', rawTar({ name: '../a' }), /not safe/],
  ])('cannot have %s, and leaves nothing behind', async (_name, path, bytes, message) => {
    const layer = { name: 'rootfs-diff.tar', content: gzipSync(rawTar({ name: 'a' })) };
    const unpacked = await unpack(archiveWith(layer), newPath());
    const staging = newDirectory();
    const change = (at: string, content: Buffer): Buffer =>
      at === path ? Buffer.from(bytes) : content;
    await expectFailure(() => pack(unpacked, staging, change), { code: 'CORRUPT', message });
    expect(readdirSync(staging)).toEqual([]);
  });
});

it('a signal stops the packing, and leaves nothing behind', async () => {
  const layer = { name: 'rootfs-diff.tar', content: gzipSync(rawTar({ name: 'a' })) };
  const { nodes } = await unpack(archiveWith(layer), newPath());
  const directory = newDirectory();
  const controller = new AbortController();
  const packed = packArchive({
    ...{ file: 'out', signal: controller.signal },
    staging: { files: nodeFiles, directory },
    content: (path) => {
      const node = nodes.find((one) => Buffer.compare(one.path, path) === 0);
      if (node?.kind !== 'file') return undefined;
      return { sizeBytes: node.sizeBytes, chunks: () => [contentOf(node)] };
    },
    image: () => undefined,
  });
  const drain = async (): Promise<void> => {
    for await (const chunk of packed) {
      expect(chunk.length).toBeGreaterThan(0);
      controller.abort();
    }
  };
  await expectFailure(drain, { code: 'ABORTED' });
  expect(readdirSync(directory)).toEqual([]);
});
