/** What can be told of the parent of a dump before it is opened. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PE_PARENT } from '../../src/criu/index.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { openImageDirectory, peekParent } from '../../src/images/index.ts';
import { expectFailure } from '../support/failures.ts';
import { watchedFiles } from '../support/faulty-files.ts';
import { fixture } from '../support/fixtures.ts';
import { type MadeDirectory, makeImageDirectory } from '../support/image-directories.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const nothing = {
  needsParent: false,
  linkTarget: undefined,
  parentRunId: undefined,
  parentUptimeUs: undefined,
};

/** A dump with a page in its parent. */
function child(path: string, made: MadeDirectory = {}): string {
  const runs = [{ start: 5, count: 1, flags: PE_PARENT }];
  return makeImageDirectory(path, { spaces: [{ name: 'pagemap-1', pagesId: 1, runs }], ...made });
}

describe('a first look', () => {
  it.each(['4.1', '4.2'])('at a real chain of CRIU %s finds the parents', (version) => {
    expect(peekParent(nodeFiles, fixture(`chain-${version}/1`))).toEqual(nothing);
    for (const number of [2, 3]) {
      const { criuRunId } = openImageDirectory(fixture(`chain-${version}/${number - 1}`));
      expect(criuRunId).toMatch(/^[0-9a-f-]{36}$/);
      expect(peekParent(nodeFiles, fixture(`chain-${version}/${number}`))).toEqual({
        needsParent: true,
        linkTarget: `../${number - 1}`,
        parentRunId: criuRunId,
        parentUptimeUs: undefined,
      });
    }
  });

  it('finds the uptime of a pre-dump', () => {
    const root = newPath();
    makeImageDirectory(join(root, '1'), { imageVersion: 0, uptimeUs: 2n ** 60n });
    const path = child(join(root, '2'), { imageVersion: 0, parent: '../1' });
    expect(peekParent(nodeFiles, path)).toEqual({
      needsParent: true,
      linkTarget: '../1',
      parentRunId: undefined,
      parentUptimeUs: 2n ** 60n,
    });
  });

  it('does not read pages, nor the parent but for its inventory', () => {
    const root = newPath();
    makeImageDirectory(join(root, '1'), { runId: 'a', parent: '../gone' });
    writeFileSync(join(root, '1', 'pagemap-1.img'), 'damaged');
    const path = child(join(root, '2'), { parent: '../1' });
    const opened: string[] = [];
    const files = watchedFiles((call, [name, how]) => {
      if (call === 'open' && how === 'read') opened.push((name as Buffer).toString());
    });
    expect(peekParent(files, path)).toMatchObject({ needsParent: true, parentRunId: 'a' });
    const names = opened.map((name) => name.replace(/^.*\//, ''));
    expect(new Set(names)).toEqual(new Set(['inventory.img', 'pagemap-1.img']));
  });

  const links: [string, string | Buffer, string][] = [
    ['nowhere', '../gone', '../gone'],
    ['to itself', 'parent', 'parent'],
    ['to a file', 'inventory.img', 'inventory.img'],
    ['to a directory that is no dump', '/proc/self', '/proc/self'],
    ['to a dump with a damaged inventory', '../damaged', '../damaged'],
    ['to a dump whose inventory is a directory', '../odd', '../odd'],
    ['to what is not UTF-8', Buffer.from([0x61, 0xff]), 'a\ufffd'],
  ];

  it.each(links)('is not stopped by a link that leads %s', (_, target, linkTarget) => {
    const root = newPath();
    makeImageDirectory(join(root, 'damaged'), {});
    writeFileSync(join(root, 'damaged', 'inventory.img'), 'damaged');
    mkdirSync(join(root, 'odd', 'inventory.img'), { recursive: true });
    const path = child(join(root, '2'));
    symlinkSync(target, join(path, 'parent'));
    expect(peekParent(nodeFiles, path)).toEqual({ ...nothing, needsParent: true, linkTarget });
  });

  it('refuses a directory as opening it does', async () => {
    const root = newPath();
    await expectFailure(() => peekParent(nodeFiles, root), { code: 'NOT_FOUND', file: root });
    const path = child(root);
    rmSync(join(path, 'inventory.img'));
    await expectFailure(() => peekParent(nodeFiles, path), { code: 'INVALID_IMAGE', file: path });
    const other = child(newPath());
    writeFileSync(join(other, 'pagemap-1.img'), 'damaged');
    const file = join(other, 'pagemap-1.img');
    await expectFailure(() => peekParent(nodeFiles, other), { code: 'INVALID_IMAGE', file });
  });
});
