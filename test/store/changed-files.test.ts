/**
 * The second capture of a container's files: what has not changed is not opened and costs nothing,
 * what has changed is found, and whatever is remembered, or damaged, the result is right.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  countingDoor,
  expectFiles,
  type FilesStore,
  isRoot,
  letSettle,
  listingOf,
  nextStamp,
  openFilesStore,
  python,
} from '../support/captured-files.ts';
import { flipped } from '../support/damaged-store.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

const MADE = `
for d in ('a', 'a/deep', 'b', 'empty'): os.mkdir(d)
for i in range(20): write(f'a/{i}', noise(i, 3000 + 700 * i))
write('a/deep/large', noise(99, 200000)); write('b/one', noise(50, 10000))
os.link('b/one', 'b/two')
os.symlink('one', 'b/link'); os.mkfifo('fifo'); write('none', b'')
sparse('sparse', 1 << 20, [(1 << 18, noise(60, 20000))])
os.setxattr('a/0', 'user.x', b'1')`;

/** A tree, captured once, in a store whose door counts. */
async function capturedTree(): Promise<FilesStore & { upper: string; opened: () => number }> {
  letSettle();
  const { files, opened } = countingDoor();
  const made = await openFilesStore(newPath, { files });
  const upper = python(newPath(), MADE);
  nextStamp();
  await made.capture(upper);
  expect(opened()).toBeGreaterThan(20);
  nextStamp();
  return { ...made, upper, opened };
}

/**
 * What a change may cost: regular files opened, each once or twice, and new pages, of which two are
 * the tree's own.
 */
interface Cost {
  readonly opened: readonly [least: number, most: number];
  readonly pages: number;
}

const CHANGES: readonly (readonly [string, string, Cost])[] = [
  ['nothing', '', { opened: [0, 0], pages: 0 }],
  ['a time of access', `open('a/1', 'rb').read()`, { opened: [0, 0], pages: 0 }],
  ['bytes of a file', `write('a/3', b'changed', 'r+b')`, { opened: [1, 1], pages: 3 }],
  [
    'bytes of a file, and its time set back',
    `facts = os.stat('a/3'); write('a/3', b'changed', 'r+b')
os.utime('a/3', ns=(facts.st_atime_ns, facts.st_mtime_ns))`,
    { opened: [1, 1], pages: 3 },
  ],
  ['a new file', `write('a/3.5', noise(77, 5000))`, { opened: [1, 1], pages: 4 }],
  ['a new file that was known', `write('c', noise(99, 200000))`, { opened: [1, 1], pages: 2 }],
  ['a file removed', `os.remove('a/deep/large')`, { opened: [0, 0], pages: 2 }],
  ['a file renamed', `os.rename('a/deep/large', 'z')`, { opened: [1, 1], pages: 2 }],
  ['a file grown', `write('a/deep/large', b'more', 'ab')`, { opened: [1, 1], pages: 3 }],
  ['a file cut off', `os.truncate('a/deep/large', 100001)`, { opened: [1, 1], pages: 3 }],
  ['a file emptied', `os.truncate('a/deep/large', 0)`, { opened: [0, 1], pages: 2 }],
  ['a mode', `os.chmod('a/deep/large', 0o600)`, { opened: [1, 1], pages: 2 }],
  ['an owner', `os.chown('a/deep/large', 5, 6)`, { opened: [1, 1], pages: 2 }],
  ['an attribute', `os.setxattr('a/0', 'user.x', b'2')`, { opened: [1, 1], pages: 2 }],
  ['an attribute less', `os.removexattr('a/0', 'user.x')`, { opened: [1, 1], pages: 2 }],
  ['a time', `os.utime('a/deep/large', ns=(5, 5))`, { opened: [1, 1], pages: 2 }],
  ['a mode of a directory', `os.chmod('a', 0o700)`, { opened: [0, 0], pages: 2 }],
  [
    'what a link says',
    `os.remove('b/link')
os.symlink('x', 'b/link')`,
    { opened: [0, 0], pages: 2 },
  ],
  ['a hard link made', `os.link('a/deep/large', '0')`, { opened: [1, 1], pages: 2 }],
  ['a hard link removed', `os.remove('b/two')`, { opened: [1, 1], pages: 2 }],
  ['the first hard link removed', `os.remove('b/one')`, { opened: [1, 1], pages: 2 }],
  [
    'hard links that became copies',
    `shutil.copy2('b/one', 'b/copy'); os.replace('b/copy', 'b/two')`,
    { opened: [2, 2], pages: 2 },
  ],
  ['a directory renamed', `os.rename('a', 'z')`, { opened: [21, 21], pages: 2 }],
  [
    'two directories exchanged',
    `os.rename('a', 'z'); os.rename('b', 'a'); os.rename('z', 'b')`,
    { opened: [22, 22], pages: 2 },
  ],
  [
    'a file that became a directory',
    `os.remove('none')
os.makedirs('none/of')`,
    { opened: [0, 0], pages: 2 },
  ],
  [
    'a directory that became a file',
    `os.rmdir('empty')
write('empty', b'1')`,
    { opened: [1, 1], pages: 3 },
  ],
  [
    'a fifo that became a file',
    `os.remove('fifo')
write('fifo', b'1')`,
    { opened: [1, 1], pages: 3 },
  ],
  ['a hole filled', `write('sparse', noise(1, 4096), 'r+b')`, { opened: [2, 2], pages: 3 }],
  [
    'all removed',
    `for name in os.listdir('.'): os.system(f'rm -r {name}')`,
    { opened: [0, 0], pages: 2 },
  ],
];

describe('a capture after a change of', () => {
  test.each(CHANGES)('%s is exact, and costs what has changed', async (_, lines, cost) => {
    const { capture, upper, opened } = await capturedTree();
    python(upper, lines);
    const after = listingOf(upper);
    nextStamp();
    const second = await capture(upper);
    const count = opened();
    expect(second.sizes.new.pages).toBeLessThanOrEqual(cost.pages);
    await expectFiles(second, after, newPath);
    expect(count).toBeGreaterThanOrEqual(cost.opened[0]);
    expect(count).toBeLessThanOrEqual(cost.opened[1]);
    // And a third one of the same: nothing.
    opened();
    const third = await capture(upper);
    expect([opened(), third.sizes.new.pages]).toEqual([0, 0]);
  });
});

describe('a file that turns into a directory', () => {
  test('and back comes back each time', async () => {
    const { capture, upper } = await capturedTree();
    for (const lines of [
      `os.remove('a/5'); os.mkdir('a/5'); write('a/5/x', b'1'); os.symlink('a', 'd')`,
      `shutil.rmtree('a/5'); write('a/5', noise(5, 6500)); os.remove('d'); os.mkdir('d')`,
      `os.remove('a/5'); os.symlink('4', 'a/5'); os.rmdir('d'); os.mkfifo('d')`,
    ]) {
      python(upper, lines);
      nextStamp();
      await expectFiles(await capture(upper), listingOf(upper), newPath);
    }
  });
});

describe('time stamps that are too young', () => {
  test('are not trusted: a change within the same stamp is found', async () => {
    const { capture } = await openFilesStore(newPath);
    const upper = python(newPath(), `write('x', b'before')`);
    await capture(upper);
    // As coarse as if no clock had moved: the file has the time stamps that were remembered.
    const found = new Set<string>();
    for (const text of ['after1', 'after2', 'after3', 'after4']) {
      writeFileSync(join(upper, 'x'), text);
      await expectFiles(await capture(upper), listingOf(upper), newPath);
      found.add(String(statSync(join(upper, 'x')).ctimeMs));
    }
    expect(found.size).toBeGreaterThan(0);
  });

  test('make a file be opened again until they are two seconds old', async () => {
    const { files, opened } = countingDoor();
    const { capture } = await openFilesStore(newPath, { files });
    const upper = python(newPath(), `write('x', b'before')`);
    await capture(upper);
    expect(opened()).toBe(1);
    await capture(upper);
    expect(opened()).toBe(1);
    letSettle();
    // What the last one remembered was too young, so this one reads; it remembers.
    await capture(upper);
    expect(opened()).toBe(1);
    await capture(upper);
    expect(opened()).toBe(0);
  });
});

function factsFile(directory: string): string {
  const names = readdirSync(join(directory, 'cache')).filter((name) => name.endsWith('.facts'));
  expect(names).toHaveLength(1);
  return join(directory, 'cache', names[0] ?? '');
}

describe('what is remembered of the files', () => {
  const DAMAGES: readonly (readonly [string, (bytes: Buffer) => Buffer | undefined])[] = [
    ['gone', () => undefined],
    ['empty', () => Buffer.alloc(0)],
    ['cut off', (bytes) => bytes.subarray(0, -24)],
    ['longer', (bytes) => Buffer.concat([bytes, Buffer.alloc(24)])],
    ['of zeros', (bytes) => Buffer.alloc(bytes.length)],
    ...[0, 70, 200, 600, 1500].map(
      (bit) => [`wrong in bit ${bit}`, (bytes: Buffer) => flipped(bytes, bit)] as const,
    ),
  ];

  test.each(DAMAGES)('and %s makes all be read, and nothing be stored', async (_, damage) => {
    const { capture, upper, opened, store } = await capturedTree();
    python(upper, `write('a/3', b'changed', 'r+b')`);
    nextStamp();
    const file = factsFile(store.directory);
    const damaged = damage(readFileSync(file));
    if (damaged === undefined) rmSync(file);
    else writeFileSync(file, damaged);
    const snapshot = await capture(upper);
    expect(opened()).toBeGreaterThan(20);
    expect(snapshot.sizes.new.pages).toBeLessThanOrEqual(2);
    await expectFiles(snapshot, listingOf(upper), newPath);
  });

  test.each([1000, 17 * 2 ** 20])(
    'counts for nothing where images of %i bytes do not say what is mapped',
    async (sizeBytes) => {
      const { capture, upper, opened, images } = await capturedTree();
      writeFileSync(join(images, 'pstree.img'), Buffer.alloc(sizeBytes, 7));
      await expectFiles(await capture(upper), listingOf(upper), newPath);
      expect(opened()).toBeGreaterThan(20);
    },
  );

  test('of an older snapshot is of no use for this one', async () => {
    const { capture, upper, opened, store } = await capturedTree();
    const old = readFileSync(factsFile(store.directory));
    python(upper, `write('a/3', b'changed', 'r+b'); os.remove('a/1')`);
    nextStamp();
    await capture(upper);
    writeFileSync(factsFile(store.directory), old);
    opened();
    await expectFiles(await capture(upper), listingOf(upper), newPath);
    expect(opened()).toBeGreaterThan(20);
  });

  test('is there for another process too, and not for another branch', async () => {
    const { capture, upper, opened, store, images } = await capturedTree();
    python(upper, `write('a/3', b'changed', 'r+b')`);
    nextStamp();
    await capture(upper);
    opened();
    const branch = await capture(upper, { parent: 't@1' });
    expect(opened()).toBeGreaterThan(20);
    await expectFiles(branch, listingOf(upper), newPath);
    await store.close();
    const { files, opened: openedNow } = countingDoor();
    const { SnapshotStore } = await import('../../src/index.ts');
    await using again = await SnapshotStore.open(store.directory, { files, workers: 0 });
    const snapshot = await again.timeline('t').capture({ images, files: upper });
    expect([openedNow(), snapshot.sizes.new.pages]).toEqual([0, 0]);
    await expectFiles(snapshot, listingOf(upper), newPath);
  });

  test('outlives captures without files only in what they store', async () => {
    const { capture, upper, opened } = await capturedTree();
    const without = await capture();
    await expect(without.restore(newPath(), { files: newPath() })).rejects.toThrow(/no files/);
    opened();
    const snapshot = await capture(upper);
    expect(opened()).toBeGreaterThan(20);
    expect(snapshot.sizes.new.pages).toBeLessThanOrEqual(1);
    await expectFiles(snapshot, listingOf(upper), newPath);
  });

  test.skipIf(!isRoot)('is not of a copy of the tree', async () => {
    const { capture, upper, opened } = await capturedTree();
    const copy = newPath();
    python(newPath(), `os.system('cp -a ${upper} ${copy}')`);
    nextStamp();
    const snapshot = await capture(copy);
    expect(opened()).toBeGreaterThan(20);
    expect(snapshot.sizes.new.pages).toBe(0);
    await expectFiles(snapshot, listingOf(copy), newPath);
  });
});
