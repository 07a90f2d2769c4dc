/** Archives of what did not come from one: read back, every node and every byte is there. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { composeArchive, type ComposedSource } from '../../src/archives/compose.ts';
import type { TarContent } from '../../src/archives/tar-joiner.ts';
import { comparePaths, type TreeKind, type TreeNode } from '../../src/tree/entry.ts';
import { expectFailure } from '../support/failures.ts';
import {
  archiveWithFiles,
  describeNodes,
  chunksOf,
  contentOf,
  filesBelow,
  unpack,
} from '../support/made-archives.ts';
import { bytesOf, paths, plainNode, textOf } from '../support/made-nodes.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** What is in the file of a node: its path, so often that it has its size. */
function madeContent({ path, sizeBytes }: TreeNode): Buffer {
  return Buffer.alloc(sizeBytes, path.length === 0 ? 'root' : Buffer.from(path));
}

function contentFrom(bytes: Uint8Array): TarContent {
  return { sizeBytes: bytes.length, chunks: () => chunksOf(bytes, [1000]) };
}

function sourceOf(nodes: readonly TreeNode[] | undefined): ComposedSource<TreeNode> {
  return {
    ...{ file: 'a.pack', member: 'checkpoint', mode: 0o700, modifiedSeconds: 1_700_000_000 },
    images: [
      { name: bytesOf('criu.work'), mode: 0o755, content: undefined },
      { name: bytesOf('criu.work/dump.log'), mode: 0o600, content: contentFrom(bytesOf('log')) },
      { name: bytesOf('inventory.img'), mode: 0o644, content: contentFrom(bytesOf('i')) },
    ],
    nodes: nodes && (() => nodes),
    content: (node) => contentFrom(madeContent(node)),
  };
}

async function compose(source: ComposedSource<TreeNode>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of composeArchive(source)) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

/** The nodes below `files/`, as text that tells everything about them. */
async function unpackedNodes(archive: Buffer): Promise<string[]> {
  const { nodes } = await unpack(archive, newPath());
  const found = nodes.filter(({ path }) => /^files(\/|$)/.test(textOf(path)));
  return found.map(({ content, ...node }) => {
    const bytes = content === undefined ? undefined : contentOf({ ...node, content });
    const path = node.path.subarray('files/'.length);
    const target = node.kind === 'hard' ? node.target!.subarray('files/'.length) : node.target;
    return describeNode({ ...node, path, target }, bytes);
  });
}

function describeNode(node: TreeNode, content: Buffer | undefined): string {
  return JSON.stringify({ ...node, dataRuns: undefined, content }, (_key, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
  );
}

/** As {@link unpackedNodes} shows them. */
function describeAll(nodes: readonly TreeNode[]): string[] {
  return nodes.map((node) =>
    describeNode(node, node.kind === 'file' ? madeContent(node) : undefined),
  );
}

const facts = fc.record({
  kind: fc.constantFrom<TreeKind>('file', 'directory', 'link', 'fifo', 'character', 'block'),
  names: fc.nat(2),
  mode: fc.nat(0o7777),
  uid: fc.oneof(fc.nat(1000), fc.nat(0x7fffffff)),
  modifiedSeconds: fc.integer({ min: -(2 ** 33), max: 2 ** 34 }),
  modifiedNanoseconds: fc.nat(999_999_999),
  sizeBytes: fc.nat(3000),
  device: fc.nat(300),
  xattr: fc.uint8Array({ maxLength: 20 }),
  isLong: fc.boolean(),
});

/** Whole trees: everything has a directory, and some of it several names. */
const trees = fc.array(fc.tuple(paths, facts), { maxLength: 12 }).map((rows) => {
  const nodes = new Map<string, TreeNode>([['', plainNode('', { kind: 'directory' })]]);
  for (const [path, fact] of rows) addNode(nodes, Buffer.from(path).toString('latin1'), fact);
  return [...nodes.values()].sort((a, b) => comparePaths(a.path, b.path));
});

function addNode(nodes: Map<string, TreeNode>, path: string, fact: FactsOfNode): void {
  const { kind, names, device, xattr, isLong, sizeBytes, ...rest } = fact;
  const key = isLong && path !== '' ? `${path}/${'long'.repeat(50)}` : path;
  for (let at = key.indexOf('/'); at >= 0; at = key.indexOf('/', at + 1)) {
    const above = key.slice(0, at);
    const known = nodes.get(above);
    if (known !== undefined && known.kind !== 'directory') return;
    if (known === undefined) nodes.set(above, made(above, { kind: 'directory', mode: 0o755 }));
  }
  if (nodes.has(key)) return;
  const isDevice = kind === 'character' || kind === 'block';
  const node = made(key, {
    ...{ ...rest, kind, gid: rest.uid + 1, sizeBytes: kind === 'file' ? sizeBytes : 0 },
    target: kind === 'link' ? bytesOf('../somewhere/else') : undefined,
    deviceMajor: isDevice ? device : 0,
    xattrs: xattr.length === 0 ? [] : [{ name: bytesOf('user.x=%'), value: xattr }],
  });
  nodes.set(key, node);
  if (kind === 'directory') return;
  const nothing = { sizeBytes: 0, deviceMajor: 0, xattrs: [] };
  for (let i = 0; i < names; i++) {
    // Behind the first name in the order of a tree.
    const other = `${key}${String(i)}`;
    if (nodes.has(other)) continue;
    nodes.set(other, made(other, { ...node, ...nothing, kind: 'hard', target: node.path }));
  }
}

type FactsOfNode = typeof facts extends fc.Arbitrary<infer T> ? T : never;

function made(path: string, different: Partial<TreeNode>): TreeNode {
  return { ...plainNode('', different), path: new Uint8Array(Buffer.from(path, 'latin1')) };
}

describe('a composed archive', () => {
  it('is read back with every node and every byte', async () => {
    await fc.assert(
      fc.asyncProperty(trees, async (nodes) => {
        const archive = await compose(sourceOf(nodes));
        expect(await unpackedNodes(archive)).toEqual(describeAll(nodes));
      }),
      { numRuns: 100 },
    );
  });

  it('has the image directory, and no files where there are none', async () => {
    const archive = await compose(sourceOf(undefined));
    const { images, nodes } = await unpack(archive, newPath());
    expect(images.member).toBe('checkpoint');
    expect(filesBelow(images.directory)).toEqual({
      'criu.work/dump.log': 'log',
      'inventory.img': 'i',
    });
    expect(nodes.map(({ path }) => textOf(path))).toEqual(['layouts', 'layouts/archive']);
  });

  it('has the images of a pre-dump in a member of their own', async () => {
    const archive = await compose({ ...sourceOf(undefined), member: 'pre-checkpoint' });
    expect((await unpack(archive, newPath())).images.member).toBe('pre-checkpoint');
  });

  it('is the same each time', async () => {
    const source = sourceOf([plainNode('', { kind: 'directory' }), plainNode('a')]);
    expect((await compose(source)).equals(await compose(source))).toBe(true);
  });

  it('has no sockets, no files of the host, and no other names of them', async () => {
    const root = plainNode('', { kind: 'directory' });
    const hard = { kind: 'hard' as const };
    const archive = await compose(
      sourceOf([
        root,
        plainNode('a', { kind: 'host' }),
        plainNode('b', { kind: 'socket' }),
        plainNode('c', { ...hard, target: bytesOf('b') }),
        plainNode('d'),
      ]),
    );
    expect(await unpackedNodes(archive)).toEqual(describeAll([root, plainNode('d')]));
  });

  it('may have other names of a link before the one that is a member', async () => {
    const archive = archiveWithFiles(
      { name: 'z', type: '2', link: 'somewhere' },
      { name: 'a', type: '1', link: 'z' },
    );
    const lines = describeNodes(await unpack(archive, newPath()));
    expect(lines).toContain('files/a link 644 0 -> somewhere');
    expect(lines).toContain('files/z hard 644 0 -> files/a');
  });

  it('is no archive when a content has another length than it says', async () => {
    const root = plainNode('', { kind: 'directory' });
    for (const length of [9, 11]) {
      const chunks = (): Uint8Array[] => [new Uint8Array(length)];
      const source = sourceOf([root, plainNode('a', { sizeBytes: 10 })]);
      const lying = { ...source, content: () => ({ sizeBytes: 10, chunks }) };
      await expectFailure(() => compose(lying), { code: 'CORRUPT', file: 'a.pack' });
    }
  });

  it('stops when its signal fires', async () => {
    const signal = AbortSignal.abort();
    await expectFailure(() => compose({ ...sourceOf([]), signal }), { code: 'ABORTED' });
  });

  it('lets others have their turn while it is measured, and hears the signal then', async () => {
    const nodes = Array.from({ length: 5000 }, (_, i) =>
      plainNode(`f${String(i).padStart(4, '0')}`),
    );
    const controller = new AbortController();
    let asked = 0;
    const counted = function* (): Generator<TreeNode> {
      for (const node of nodes) {
        asked += 1;
        yield node;
      }
    };
    setImmediate(() => controller.abort());
    const source = { ...sourceOf([]), nodes: counted, signal: controller.signal };
    await expectFailure(() => compose(source), { code: 'ABORTED' });
    expect(asked).toBeLessThan(500);
  });
});
