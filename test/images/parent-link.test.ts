/** The link to the parent directory is followed once: what it says later does not matter. */
import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { confirmUnchanged, openImageDirectory } from '../../src/images/index.ts';
import { makeImageDirectory, makeIncrementalDump, memoryOf } from '../support/image-directories.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

test('an absolute parent is resolved once, at opening', () => {
  const space = { name: 'pagemap-1', pagesId: 1 };
  const runs = [{ start: 5000, count: 9, seed: 5 }];
  const previous = makeImageDirectory(newPath(), { spaces: [{ ...space, runs }] });
  const full = makeImageDirectory(newPath(), { spaces: [{ ...space, runs }] });
  const child = newPath();
  makeIncrementalDump(previous, full, child);
  const link = join(child, 'parent');
  rmSync(link);
  symlinkSync(previous, link);
  let followed = 0;
  const files: Files = {
    ...nodeFiles,
    readlink: (path) => {
      followed += 1;
      return nodeFiles.readlink(path);
    },
  };
  const images = openImageDirectory(child, { files });
  expect(followed).toBe(1);
  rmSync(link);
  symlinkSync('/nowhere', link);
  const memory = memoryOf(images);
  expect(followed).toBe(1);
  expect(memory).toEqual(memoryOf(openImageDirectory(full)));
  expect(() => confirmUnchanged(images)).toThrow(expect.objectContaining({ code: 'INCOMPLETE' }));
});
