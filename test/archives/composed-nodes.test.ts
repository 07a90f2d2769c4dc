/** Stored trees that no capture makes: no archive may be composed of them. */
import { describe, expect, it } from 'vitest';
import { composeArchive } from '../../src/archives/compose.ts';
import { NodeChecker } from '../../src/archives/composed-nodes.ts';
import type { TreeNode } from '../../src/tree/entry.ts';
import { expectFailure } from '../support/failures.ts';
import { bytesOf, plainNode } from '../support/made-nodes.ts';

const ROOT = plainNode('', { kind: 'directory' });
const directory = (path: string): TreeNode => plainNode(path, { kind: 'directory' });
const link = (path: string, target: string): TreeNode =>
  plainNode(path, { kind: 'link', target: bytesOf(target) });
const hard = (path: string, target: string): TreeNode =>
  plainNode(path, { kind: 'hard', target: bytesOf(target) });

/** Goes through the nodes twice, as one who measures and then writes. */
function checkAll(nodes: readonly TreeNode[]): void {
  const targets = new Map<string, boolean>();
  for (const _turn of [1, 2]) {
    const checker = new NodeChecker('a.pack', targets);
    for (const node of nodes) checker.check(node);
  }
}

async function compose(nodes: readonly TreeNode[], image = 'a.img'): Promise<Buffer> {
  const none = { sizeBytes: 0, chunks: () => [] };
  const archive = composeArchive({
    ...{ file: 'a.pack', member: 'checkpoint', mode: 0o700, modifiedSeconds: 0 },
    images: [{ name: bytesOf(image), mode: 0o600, content: none }],
    nodes: () => nodes,
    content: () => none,
  });
  const parts: Buffer[] = [];
  for await (const chunk of archive) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

describe('a stored tree', () => {
  it.each<[string, TreeNode[]]>([
    ['of directories, files and links', [ROOT, directory('a'), plainNode('a/b'), link('c', '/d')]],
    ['without its root', [plainNode('a')]],
    ['of several names', [plainNode('a'), hard('b', 'a'), hard('c', 'a'), plainNode('d')]],
    ['of several names of a link', [link('a', '..'), hard('b', 'a')]],
    [
      'with a name that continues one of a file',
      [plainNode('a'), plainNode('a-'), plainNode('aa')],
    ],
  ])('is fine: %s', (_name, nodes) => {
    expect(() => checkAll(nodes)).not.toThrow();
  });

  const evil = ['..', '../a', 'a/../b', '/etc/passwd', 'a//b', './a', 'a/.', 'a/', 'a\0b'];

  it.each<[string, TreeNode[], RegExp]>([
    ...evil.map((path): [string, TreeNode[], RegExp] => [
      `the path ${JSON.stringify(path)}`,
      [ROOT, plainNode(path)],
      /is no path inside a tree/,
    ]),
    ...[...evil, ''].map((target): [string, TreeNode[], RegExp] => [
      `another name of ${JSON.stringify(target)}`,
      [ROOT, plainNode('a'), hard('z', target)],
      /"z" is another name of no file before it/,
    ]),
    ['a name of nothing', [plainNode('b'), hard('c', 'a')], /is another name of no file/],
    ['a name of what comes later', [hard('a', 'b'), plainNode('b')], /is another name of no file/],
    ['a name of itself', [hard('a', 'a')], /is another name of no file/],
    ['a name of a directory', [directory('a'), hard('b', 'a')], /is another name of no file/],
    [
      'a name of another name',
      [plainNode('a'), hard('b', 'a'), hard('c', 'b')],
      /is another name of no file/,
    ],
    [
      'a file below a link',
      [link('a', '/etc'), plainNode('a/passwd')],
      /below what is no directory/,
    ],
    ['a file below a file', [plainNode('a'), plainNode('a/b')], /below what is no directory/],
    ['a path twice', [plainNode('a'), plainNode('a')], /"a" is out of order/],
    ['paths out of order', [plainNode('b'), plainNode('a')], /"a" is out of order/],
    ['a root that is a file', [plainNode('')], /is no directory/],
    ['a link to nothing', [link('a', '')], /is a link to what is no path/],
    ['a link with a NUL', [link('a', 'b\0')], /is a link to what is no path/],
  ])('becomes no archive with %s', async (_name, nodes, message) => {
    const failure = { code: 'CORRUPT' as const, file: 'a.pack', message };
    await expectFailure(() => {
      checkAll(nodes);
    }, failure);
    await expectFailure(() => compose(nodes), failure);
  });

  it.each(['', '..', '../x', '/x', 'a/../../x'])(
    'becomes no archive with an image called %j',
    async (image) => {
      const message = /is none inside a directory/;
      const failure = { code: 'CORRUPT' as const, file: 'a.pack', message };
      await expectFailure(() => compose([], image), failure);
      expect((await compose([], 'a/b.img')).length).toBeGreaterThan(0);
    },
  );
});
