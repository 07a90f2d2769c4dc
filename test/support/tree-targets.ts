/** Trees for tests of putting them in place: nodes made by hand, walked back, and compared. */
import { mkdirSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { writeAll } from '../../src/files/transfer.ts';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import type { TreeNode } from '../../src/tree/entry.ts';
import { nodeOf } from '../../src/upper/node.ts';
import { TreeTarget } from '../../src/upper/tree-target.ts';
import { walkTree } from '../../src/upper/walk.ts';

/** The bytes of a text of characters below 256. */
export function latin1(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** A node of this process's own, but for what is told. */
export function madeNode(
  path: string,
  kind: TreeNode['kind'],
  other: Partial<TreeNode> = {},
): TreeNode {
  return {
    path: latin1(path),
    kind,
    mode: kind === 'link' ? 0o777 : kind === 'directory' ? 0o755 : 0o644,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    modifiedSeconds: 1_500_000_000,
    modifiedNanoseconds: 5,
    sizeBytes: 0,
    dataRuns: undefined,
    target: undefined,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: [],
    ...other,
  };
}

/** Puts nodes in place, in their order; files get `content`, cut off or filled up to their size. */
export function putTree(target: TreeTarget, nodes: readonly TreeNode[], content = ''): void {
  for (const node of nodes) {
    if (node.kind === 'directory') target.makeDirectory(node);
    else if (node.kind !== 'file') target.makeOther(node);
    else {
      target.makeFile(node);
      const fd = target.openFile(node.path);
      writeAll(nodeFiles, fd, latin1(content), 0);
      nodeFiles.close(fd);
    }
  }
  for (const node of nodes) target.finish(node);
  while (target.finishDirectory());
}

/** A target in a new directory, closed when the test is done. */
export function newTarget(
  root: string,
  privileges: 'require' | 'skip' = 'require',
  files: Files = nodeFiles,
): TreeTarget {
  mkdirSync(root, { mode: 0o700 });
  const rootFd = nodeFiles.open(root, 'directory');
  const target = new TreeTarget({ files, rootFd, rootPath: root, privileges });
  onTestFinished(() => {
    target.close();
    nodeFiles.close(rootFd);
  });
  return target;
}

/** What stands in a directory. */
export function nodesIn(root: string): TreeNode[] {
  const nodes: TreeNode[] = [];
  for (const walked of walkTree(nodeFiles, root)) {
    nodes.push(nodeOf(nodeFiles, walked, { readXattrs: true }));
  }
  return nodes;
}
