/**
 * Image directories that a capture refuses, each with its code and the file at fault. Nothing of
 * them is published, the store stays as it was, and the next capture works.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { encodePagemap, PE_LAZY, PE_PARENT } from '../../src/criu.ts';
import type { StoreErrorCode } from '../../src/index.ts';
import { fixture } from '../support/fixtures.ts';
import {
  makeImageDirectory,
  madePagemap,
  type MadeDirectory,
  type MadeRun,
} from '../support/image-directories.ts';
import { expectRefused, storeWithSnapshot } from '../support/refusals.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** A directory of one space of these runs. */
function made(runs: readonly MadeRun[], more: MadeDirectory = {}): string {
  const spaces = [{ name: 'pagemap-1', pagesId: 1, runs }];
  return makeImageDirectory(newPath(), { spaces, ...more });
}

/** A good directory that `change` makes a bad one. */
function spoilt(change: (path: string) => void): string {
  const path = makeDump(newPath(), 3);
  change(path);
  return path;
}

const two: readonly MadeRun[] = [{ start: 1, count: 2 }];

interface Case {
  readonly title: string;
  /** Whether it is the first of its timeline: otherwise a lost parent is taken for the newest. */
  readonly isFirst?: boolean;
  readonly make: () => string;
  readonly code: StoreErrorCode;
  /** Relative to the directory; the directory itself when empty. */
  readonly file: string;
  readonly message: RegExp;
}

const CASES: readonly Case[] = [
  {
    title: 'a missing inventory',
    make: () => spoilt((path) => rmSync(join(path, 'inventory.img'))),
    code: 'INVALID_IMAGE',
    file: '',
    message: /no inventory\.img/,
  },
  {
    title: 'a truncated inventory',
    make: () =>
      spoilt((path) => {
        const file = join(path, 'inventory.img');
        writeFileSync(file, readFileSync(file).subarray(0, -1));
      }),
    code: 'INVALID_IMAGE',
    file: 'inventory.img',
    message: /./,
  },
  ...[1, 5, 12].map((bytes): Case => ({
    title: `a pagemap that lacks its last ${bytes} bytes`,
    make: () =>
      spoilt((path) => {
        const file = join(path, 'pagemap-7.img');
        writeFileSync(file, readFileSync(file).subarray(0, -bytes));
      }),
    code: 'INVALID_IMAGE',
    file: 'pagemap-7.img',
    message: /./,
  })),
  {
    title: 'a pagemap cut between two entries',
    make: () =>
      spoilt((path) => {
        const runs = [{ start: 16, count: 24 }];
        writeFileSync(join(path, 'pagemap-7.img'), encodePagemap(madePagemap(1, runs)));
      }),
    code: 'INVALID_IMAGE',
    file: 'pages-1.img',
    message: /122880 bytes long, but pagemap-7\.img says 24 pages/,
  },
  {
    title: 'a pages file that is a page too long',
    make: () =>
      spoilt((path) => writeFileSync(join(path, 'pages-1.img'), Buffer.alloc(4096), { flag: 'a' })),
    code: 'INVALID_IMAGE',
    file: 'pages-1.img',
    message: /126976 bytes long.*30 pages/,
  },
  {
    title: 'a pages file that is a byte too short',
    make: () =>
      spoilt((path) => {
        const file = join(path, 'pages-1.img');
        writeFileSync(file, readFileSync(file).subarray(0, -1));
      }),
    code: 'INVALID_IMAGE',
    file: 'pages-1.img',
    message: /122879 bytes long/,
  },
  {
    title: 'a missing pages file',
    make: () => spoilt((path) => rmSync(join(path, 'pages-2.img'))),
    code: 'INVALID_IMAGE',
    file: 'pagemap-shmem-9.img',
    message: /pages-2\.img.*is missing/,
  },
  {
    title: 'a pages file used twice',
    make: () => {
      const space = { name: 'pagemap-1', pagesId: 1, runs: two };
      return makeImageDirectory(newPath(), { spaces: [space, { ...space, name: 'pagemap-2' }] });
    },
    code: 'INVALID_IMAGE',
    file: 'pagemap-2.img',
    message: /pages-1\.img belongs to pagemap-1\.img as well/,
  },
  {
    title: 'entries out of order',
    make: () =>
      made([
        { start: 10, count: 1 },
        { start: 5, count: 1 },
      ]),
    code: 'INVALID_IMAGE',
    file: 'pagemap-1.img',
    message: /0x5000 is out of order/,
  },
  {
    title: 'entries that overlap',
    make: () =>
      made([
        { start: 10, count: 3 },
        { start: 12, count: 1 },
      ]),
    code: 'INVALID_IMAGE',
    file: 'pagemap-1.img',
    message: /0xc000 .*overlaps/,
  },
  {
    title: 'an entry that wraps past 2^64',
    make: () => made([{ start: 2 ** 52 - 1, count: 2 }]),
    code: 'INVALID_IMAGE',
    file: 'pagemap-1.img',
    message: /0xfffffffffffff000/,
  },
  {
    title: 'an entry of 2^40 pages in a tiny file',
    make: () => {
      const path = made(two);
      const pagemap = madePagemap(1, [{ start: 1, count: 2 ** 40 }]);
      writeFileSync(join(path, 'pagemap-1.img'), encodePagemap(pagemap));
      return path;
    },
    code: 'INVALID_IMAGE',
    file: 'pages-1.img',
    message: /1099511627776 pages/,
  },
  {
    title: 'lazy pages, which are not in the dump',
    make: () => made([{ start: 1, count: 1, flags: PE_LAZY }]),
    code: 'UNSUPPORTED_IMAGE',
    file: 'pagemap-1.img',
    message: /lazy/,
  },
  ...[1, 3].map((imageVersion): Case => ({
    title: `img_version ${imageVersion}`,
    make: () => made(two, { imageVersion }),
    code: 'UNSUPPORTED_IMAGE',
    file: 'inventory.img',
    message: imageVersion === 3 ? /version 3: compressed/ : /before CRIU 1\.6/,
  })),
  {
    title: 'pages of a parent, without a parent link',
    make: () => made([{ start: 1, count: 1, flags: PE_PARENT }]),
    code: 'INVALID_IMAGE',
    file: 'pagemap-1.img',
    message: /page 0x1000 is in the parent, but there is no parent/,
  },
  {
    title: 'a parent link to a directory that is not there',
    isFirst: true,
    make: () => made([{ start: 1, count: 1, flags: PE_PARENT }], { parent: '../gone' }),
    code: 'INCOMPLETE',
    file: 'parent',
    message: /the parent directory \.\.\/gone is missing/,
  },
  {
    title: 'a parent link to the directory itself',
    make: () => made([{ start: 1, count: 1, flags: PE_PARENT }], { parent: '.' }),
    code: 'INVALID_IMAGE',
    file: 'parent',
    message: /loop/,
  },
  {
    title: 'a parent link to itself',
    isFirst: true,
    make: () => made([{ start: 1, count: 1, flags: PE_PARENT }], { parent: 'parent' }),
    code: 'INVALID_IMAGE',
    file: 'parent',
    message: /leads to itself/,
  },
  {
    title: 'a parent link to a directory that is no dump',
    isFirst: true,
    make: () => {
      const path = made([{ start: 1, count: 1, flags: PE_PARENT }], { parent: 'below' });
      mkdirSync(join(path, 'below'));
      return path;
    },
    code: 'INVALID_IMAGE',
    file: 'below',
    message: /no inventory/,
  },
  {
    title: 'a parent that is a directory, not a link',
    make: () => spoilt((path) => mkdirSync(join(path, 'parent'))),
    code: 'INVALID_IMAGE',
    file: 'parent',
    message: /not a symbolic link but directory/,
  },
  {
    title: 'a symbolic link in place of an image',
    make: () =>
      spoilt((path) => {
        rmSync(join(path, 'pages-1.img'));
        symlinkSync('/etc/shadow', join(path, 'pages-1.img'));
      }),
    code: 'INVALID_IMAGE',
    file: 'pages-1.img',
    message: /a link/,
  },
  {
    title: 'a fifo in place of an image',
    make: () =>
      spoilt((path) => {
        rmSync(join(path, 'pages-1.img'));
        execFileSync('mkfifo', [join(path, 'pages-1.img')]);
      }),
    code: 'INVALID_IMAGE',
    file: 'pages-1.img',
    message: /fifo/,
  },
  {
    title: 'a device in place of an image',
    make: () =>
      spoilt((path) => {
        rmSync(join(path, 'inventory.img'));
        execFileSync('mknod', [join(path, 'inventory.img'), 'c', '1', '5']);
      }),
    code: 'INVALID_IMAGE',
    file: 'inventory.img',
    message: /device/,
  },
  {
    title: 'a file in place of the directory',
    make: () => {
      const path = newPath();
      writeFileSync(path, 'x');
      return path;
    },
    code: 'INVALID_IMAGE',
    file: '',
    message: /not a directory/,
  },
  {
    title: 'no directory',
    make: () => newPath(),
    code: 'NOT_FOUND',
    file: '',
    message: /no such image directory/,
  },
];

describe('a capture is refused with', () => {
  test.each(CASES)('$title', async ({ isFirst, make, code, file, message }) => {
    const images = make();
    const store = isFirst === true ? await openStore(newPath()) : await storeWithSnapshot(newPath);
    const expected = { code, file: file === '' ? images : join(images, file), message };
    await expectRefused(store, { images }, expected);
  });

  test.each(['../gone', 'parent', 'below', 'inventory.img'])(
    'a parent link to %s, when the newest snapshot is not the parent',
    async (parent) => {
      const images = made([{ start: 1, count: 1, flags: PE_PARENT }], { parent });
      mkdirSync(join(images, 'below'));
      const store = await storeWithSnapshot(newPath);
      await expectRefused(
        store,
        { images },
        { code: 'INVALID_IMAGE', message: /page 0x1000 is in the parent, but .* no pagemap-1/ },
      );
    },
  );

  test('parent links that lead round in a circle', async () => {
    const root = newPath();
    const parent = (flags: number): MadeDirectory => ({
      spaces: [{ name: 'pagemap-1', pagesId: 1, runs: [{ start: 1, count: 1, flags }] }],
    });
    for (const [name, next] of [
      ['1', '../3'],
      ['2', '../1'],
      ['3', '../2'],
    ] as const) {
      makeImageDirectory(join(root, name), { ...parent(PE_PARENT), parent: next });
    }
    const store = await storeWithSnapshot(newPath);
    const images = join(root, '3');
    const file = join(root, '1', 'parent');
    await expectRefused(store, { images }, { code: 'INVALID_IMAGE', file, message: /loop/ });
  });

  test('a socket in place of an image', async () => {
    const images = spoilt((path) => rmSync(join(path, 'pages-2.img')));
    const server = createServer();
    const file = join(images, 'pages-2.img');
    await new Promise<void>((done) => server.listen(file, done));
    onTestFinished(() => void server.close());
    const store = await storeWithSnapshot(newPath);
    await expectRefused(store, { images }, { code: 'INVALID_IMAGE', file, message: /socket/ });
  });

  test('arguments that make no sense', async () => {
    const store = await storeWithSnapshot(newPath);
    const images = makeDump(newPath(), 1);
    const capture = (source: unknown) => () => store.timeline('t').capture(source as never);
    await expect(capture({ images: undefined })()).rejects.toThrow(TypeError);
    await expect(capture({ images: Buffer.from(images) })()).rejects.toThrow(TypeError);
    await expect(capture({ images, takenAt: new Date(Number.NaN) })()).rejects.toThrow(TypeError);
    await expect(capture({ images, takenAt: 'today' })()).rejects.toThrow(TypeError);
    await expect(capture(undefined)()).rejects.toThrow(TypeError);
    expect(store.timeline('t').list()).toHaveLength(1);
  });
});

describe('a capture takes', () => {
  test('a parent link with an absolute path, resolved once', async () => {
    const root = newPath();
    execFileSync('cp', ['-a', fixture('chain-4.2'), root]);
    rmSync(join(root, '2', 'parent'));
    symlinkSync(join(root, '1'), join(root, '2', 'parent'));
    const store = await openStore(newPath());
    const snapshot = await store.timeline('t').capture({ images: join(root, '2') });
    const relative = await store.timeline('t').capture({ images: fixture('chain-4.2/2') });
    expect(relative.sizes.new.pages).toBe(0);
    const target = newPath();
    await snapshot.restore(target);
    expect(existsSync(join(target, 'parent'))).toBe(false);
    await expectRestores(relative, target);
  });

  test('a parent link that nothing needs, and leaves it out', async () => {
    const first = makeDump(newPath(), 1);
    const images = makeDump(newPath(), 2);
    symlinkSync(first, join(images, 'parent'));
    const store = await openStore(newPath());
    const snapshot = await store.timeline('t').capture({ images });
    rmSync(join(images, 'parent'));
    await expectRestores(snapshot, images);
  });
});
