/** Reading the contents of a tree: what a file that cannot be synced means. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { ContentsBuilder } from '../../src/tree/contents-of.ts';
import { TreeReader } from '../../src/upper/tree-reader.ts';
import { openDescriptors } from '../support/doors.ts';
import { expectFailure } from '../support/failures.ts';
import { systemError } from '../support/faulty-files.ts';
import { plainNode, runsOf } from '../support/made-nodes.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

/** Reads the one file of a directory, which is synced first, or fails to be with a code. */
function readSynced(root: string, code: string | undefined): string {
  const builder = new ContentsBuilder();
  builder.add({ ...plainNode('file', { sizeBytes: 7 }), extents: runsOf([5, 1]) });
  const runs = { runStart: Float64Array.of(5), runLength: Float64Array.of(1) };
  const contents = { ...builder.finish(runs, root), syncFiles: true };
  let synced = 0;
  const files: Files = {
    ...nodeFiles,
    dataSync: (fd) => {
      synced += 1;
      if (code !== undefined) throw systemError(code, 'fdatasync');
      nodeFiles.dataSync(fd);
    },
  };
  const reader = new TreeReader(files, contents);
  try {
    const page = new Uint8Array(4096).fill(0xff);
    reader.read(page, 0);
    expect(synced).toBe(1);
    return Buffer.from(page).toString('latin1').replace(/\0+$/, '');
  } finally {
    reader.close();
  }
}

function madeRoot(): string {
  const root = nextPath();
  mkdirSync(root);
  writeFileSync(join(root, 'file'), 'content');
  return root;
}

describe('a file that is synced before it is read', () => {
  it.each([undefined, 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EROFS'])(
    'is read where that works, or cannot work: %s',
    (code) => expect(readSynced(madeRoot(), code)).toBe('content'),
  );

  it.each(['EIO', 'ENOSPC', 'EDQUOT'])('is not taken as read after %s', async (code) => {
    const root = madeRoot();
    const before = openDescriptors();
    const expected = { code: 'STORAGE', file: join(root, 'file'), message: /cannot sync/ } as const;
    const error = await expectFailure(() => readSynced(root, code), expected);
    expect(error.cause).toMatchObject({ code });
    expect(openDescriptors()).toBe(before);
  });
});
