/** Facts about many names of a directory at once, against those about each of them. */
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { nodeFiles } from '../../src/files/node-files.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

test('says of each name in a directory what inspect says, and nothing of what has none', () => {
  const root = nextPath();
  mkdirSync(root);
  const names = ['plain', 'n'.repeat(255), 'latin-\u00fc\u0001', 'link', 'directory'];
  for (const name of names.slice(0, 3))
    writeFileSync(Buffer.from(`${root}/${name}`, 'latin1'), name);
  symlinkSync('plain', join(root, 'link'));
  mkdirSync(join(root, 'directory'));
  const fd = openSync(root, 'r');
  onTestFinished(() => {
    closeSync(fd);
  });
  const facts = names.map((name) => nodeFiles.inspect(Buffer.from(name, 'latin1'), fd));
  expect(nodeFiles.inspectNames(names, fd)).toEqual(facts);
  const wrong = ['gone', 'n'.repeat(256), 'plain\0more', 'plain/more', ''];
  expect(nodeFiles.inspectNames([...wrong, 'plain'], fd)).toEqual([
    ...wrong.map(() => undefined),
    facts[0],
  ]);
  expect(nodeFiles.inspectNames(['plain'], 1_000_000)).toEqual([undefined]);
});
