/** Facts about many names of a directory at once, against those about each of them. */
import { closeSync, linkSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { NodeFacts } from '../../src/files/files.ts';
import { lookupMemory, NameLookups } from '../../src/files/name-lookups.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import { StatxAnswers } from '../../src/files/statx.ts';
import { temporaryPaths } from '../support/temporary.ts';

const nextPath = temporaryPaths();

function lookAt(names: readonly string[], fd: number): (NodeFacts | undefined)[] {
  const lookups = new NameLookups(lookupMemory(names.length, false));
  for (const [i, name] of names.entries()) lookups.setName(i, name);
  nodeFiles.inspectNames(lookups, 0, names.length, fd);
  return names.map((_, i) => lookups.answers.facts(i));
}

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
  expect(lookAt(names, fd)).toEqual(facts);
  const wrong = ['gone', 'n'.repeat(256), 'plain\0more', 'plain/more', ''];
  expect(lookAt([...wrong, 'plain'], fd)).toEqual([...wrong.map(() => undefined), facts[0]]);
  expect(lookAt(['plain'], 1_000_000)).toEqual([undefined]);
});

test('says the same in words, and which names are of something with one name', () => {
  const root = nextPath();
  mkdirSync(root);
  writeFileSync(join(root, 'one'), '');
  writeFileSync(join(root, 'two'), '');
  linkSync(join(root, 'two'), join(root, 'three'));
  symlinkSync('one', join(root, 'link'));
  mkdirSync(join(root, 'directory'));
  const names = ['one', 'two', 'link', 'directory', 'gone'];
  const fd = openSync(root, 'r');
  onTestFinished(() => {
    closeSync(fd);
  });
  const lookups = new NameLookups(lookupMemory(names.length, false));
  for (const [i, name] of names.entries()) lookups.setName(i, name);
  nodeFiles.inspectNames(lookups, 0, names.length, fd);
  const { answers } = lookups;
  expect(names.map((_, i) => answers.isOfOneName(i))).toEqual([true, false, true, false, false]);
  const copied = answers.copy(1, 4);
  for (const i of [0, 1, 2, 3]) {
    const facts = answers.facts(i);
    const inode = BigInt(answers.inodeHigh(i)) * 2n ** 32n + BigInt(answers.inodeLow(i));
    const nanoseconds = BigInt(answers.changedNanoseconds(i));
    const changedNs = BigInt(answers.changedSeconds(i)) * 1_000_000_000n + nanoseconds;
    expect({ inode, changedNs, device: answers.device(i) }).toEqual({
      inode: facts?.inode,
      changedNs: facts?.changedNs,
      device: facts?.device,
    });
    if (i > 0) expect(copied.facts(i - 1)).toEqual(facts);
  }
});

test('knows times before 1970', () => {
  const bytes = new Uint8Array(256);
  const answers = new StatxAnswers(bytes);
  new BigInt64Array(bytes.buffer)[12] = -5n;
  expect(answers.changedSeconds(0)).toBe(-5);
});

test('looks at the names that it is asked for only, in memory that threads share', () => {
  const fd = openSync('/', 'r');
  onTestFinished(() => {
    closeSync(fd);
  });
  const lookups = new NameLookups(lookupMemory(3, true));
  for (let i = 0; i < 3; i++) lookups.setName(i, 'proc');
  nodeFiles.inspectNames(lookups, 1, 2, fd);
  const found = [0, 1, 2].map((i) => lookups.answers.facts(i)?.type);
  expect(found).toEqual([undefined, 'directory', undefined]);
});
