/** The program of a child: gives its rights up, puts a tree in place, and says what is missing. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../../src/errors.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import type { TreeNode } from '../../src/tree/entry.ts';
import { TreeTarget } from '../../src/upper/tree-target.ts';

const directory = process.argv[2] ?? '';
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

function node(path: string, kind: TreeNode['kind'], other: Partial<TreeNode> = {}): TreeNode {
  const owner = { uid: 65534, gid: 65534 };
  const time = { modifiedSeconds: 5, modifiedNanoseconds: 5 };
  const device = { deviceMajor: 0, deviceMinor: 0 };
  const empty = { sizeBytes: 0, dataRuns: undefined, target: undefined, xattrs: [] };
  return { path: bytes(path), kind, mode: 0o755, ...owner, ...time, ...device, ...empty, ...other };
}

const capability = {
  name: bytes('security.capability'),
  value: bytes('\x01\0\0\x02'.padEnd(20, '\0')),
};
const nodes = [
  node('', 'directory'),
  node('a', 'file', { uid: 0, gid: 0 }),
  node('block', 'block', { deviceMajor: 7 }),
  node('capable', 'file', { xattrs: [capability] }),
  node('whiteout', 'character'),
];

function put(root: string, privileges: 'require' | 'skip'): string[] {
  mkdirSync(root);
  const rootFd = nodeFiles.open(root, 'directory');
  const target = new TreeTarget({ files: nodeFiles, rootFd, rootPath: root, privileges });
  for (const each of nodes) {
    if (each.kind === 'directory') target.makeDirectory(each);
    else if (each.kind === 'file') target.makeFile(each);
    else target.makeOther(each);
  }
  for (const each of nodes) target.finish(each);
  while (target.finishDirectory());
  const absent = `whiteout absent: ${String(!existsSync(join(root, 'whiteout')))}`;
  const text = target.skipped.named.map(
    ({ path, what }) => `${Buffer.from(path).toString()} ${what}`,
  );
  return [...text.toSorted(), absent];
}

// Now that all is loaded, which nobody else may be allowed to read.
nodeFiles.inspect('/');
process.setgroups?.([]);
process.setgid?.(65534);
process.setuid?.(65534);

const skipped = put(join(directory, 'skip'), 'skip');
try {
  nodes.splice(2, 1);
  put(join(directory, 'require'), 'require');
} catch (error) {
  if (!(error instanceof StoreError)) throw error;
  process.stdout.write(JSON.stringify({ skipped, required: error.code, message: error.message }));
}
