/**
 * What goes into a store comes out of it: real dumps byte for byte, chains flat, and directories
 * with everything in them that a file system allows and CRIU does not forbid.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodePagemap, openImageDirectory, PE_PARENT, PE_PRESENT } from '../../src/criu.ts';
import { fixture } from '../support/fixtures.ts';
import { makeImageDirectory, memoryOf } from '../support/image-directories.ts';
import { makeDump } from '../support/made-dumps.ts';
import { expectRestores, openStore } from '../support/stores.ts';
import { temporaryPaths } from '../support/temporary.ts';
import { describeTree, expectSameTree } from '../support/trees.ts';

const newPath = temporaryPaths();

/** Captures a directory into a new store, restores it, and returns where. */
async function throughStore(images: string): Promise<string> {
  const store = await openStore(newPath());
  const snapshot = await store.timeline('t').capture({ images });
  const target = newPath();
  await snapshot.restore(target);
  const report = await store.verify();
  expect(report.problems).toEqual([]);
  return target;
}

describe('the comparer of trees', () => {
  test('sees a byte, a mode, a name, a type and an empty directory', () => {
    const base = makeDump(newPath(), 1);
    const changes: ((path: string) => void)[] = [
      (path) => writeFileSync(join(path, 'pages-1.img'), 'x', { flag: 'r+' }),
      (path) => chmodSync(join(path, 'pages-1.img'), 0o601),
      (path) => chmodSync(path, 0o701),
      (path) => execFileSync('mv', [join(path, 'pages-1.img'), join(path, 'Pages-1.img')]),
      (path) => writeFileSync(Buffer.from(`${path}/\xff`, 'latin1'), ''),
      (path) => mkdirSync(join(path, 'empty')),
    ];
    for (const change of changes) {
      const copy = newPath();
      execFileSync('cp', ['-a', base, copy]);
      expectSameTree(copy, base);
      change(copy);
      expect(describeTree(copy)).not.toEqual(describeTree(base));
    }
  });
});

describe('real dumps', () => {
  const numbers = ['001', '002', '003'];

  test.each(['4.1', '4.2'])(
    'of CRIU %s come out byte-identical, all files, names and modes',
    async (version) => {
      const store = await openStore(newPath());
      for (const number of numbers) {
        await store.timeline('zoo').capture({ images: fixture(`zoo-${version}/${number}`) });
      }
      for (const [i, number] of numbers.entries()) {
        const target = newPath();
        await store.snapshot(`zoo@${i + 1}`).restore(target);
        expectSameTree(target, fixture(`zoo-${version}/${number}`));
      }
      expect((await store.verify()).problems).toEqual([]);
    },
  );

  test.each(['4.1', '4.2'])('the first of a chain of CRIU %s is a full dump', async (version) => {
    const images = fixture(`chain-${version}/1`);
    expectSameTree(await throughStore(images), images);
  });

  test.each(['4.1', '4.2'])(
    'the last of a chain of CRIU %s comes out flat, with the memory of the full dump',
    async (version) => {
      const chained = fixture(`chain-${version}/3`);
      const full = fixture(`zoo-${version}/003`);
      expect(existsSync(join(chained, 'parent'))).toBe(true);
      const target = await throughStore(chained);

      expect(readdirSync(target)).toEqual(readdirSync(full));
      for (const name of readdirSync(target)) {
        const path = join(target, name);
        expect(lstatSync(path).isFile(), name).toBe(true);
        expect(lstatSync(path).mode, name).toBe(lstatSync(join(full, name)).mode);
        if (!name.startsWith('pagemap-')) {
          expect(readFileSync(path).equals(readFileSync(join(full, name))), name).toBe(true);
          continue;
        }
        const { flags } = decodePagemap(readFileSync(path));
        for (const flag of flags) expect(flag & (PE_PARENT | PE_PRESENT), name).toBe(PE_PRESENT);
      }
      const flat = openImageDirectory(target);
      expect(flat.chainDepth).toBe(0);
      expect(memoryOf(flat)).toEqual(memoryOf(openImageDirectory(full)));
    },
  );

  test('of a chain share their pages with the full dumps of the same memory', async () => {
    const store = await openStore(newPath());
    const full = await store.timeline('full').capture({ images: fixture('zoo-4.2/003') });
    const chained = await store.timeline('chain').capture({ images: fixture('chain-4.2/3') });
    expect(full.sizes.new.pages).toBeGreaterThan(100);
    // The flat pagemaps may merge entries, so that their few pages are new.
    expect(chained.sizes.new.pages).toBeLessThan(10);
  });
});

describe('a directory', () => {
  test('may hold unknown files, subdirectories, empty files, names not in UTF-8', async () => {
    const images = makeDump(newPath(), 1);
    const inside = (name: string): Buffer => Buffer.from(`${images}/${name}`, 'latin1');
    writeFileSync(inside('unknown-\xff\xfe'), 'not UTF-8');
    writeFileSync(inside('unknown-\xef\xbf\xbd'), 'U+FFFD, which \\xff would be shown as');
    writeFileSync(inside('empty'), '');
    writeFileSync(inside('page'), new Uint8Array(4096).fill(1));
    writeFileSync(inside('page and a byte'), new Uint8Array(4097).fill(1));
    writeFileSync(inside('zero pages and a short one'), new Uint8Array(3 * 4096 + 5));
    writeFileSync(inside('line\nbreak'), 'x');
    writeFileSync(inside('.hidden'), 'y');
    mkdirSync(inside('directory \xff'));
    mkdirSync(inside('directory \xff/empty'));
    writeFileSync(inside('directory \xff/pages-1.img'), 'not pages at all');
    writeFileSync(inside('directory \xff/inventory.img'), 'not an inventory either');
    expectSameTree(await throughStore(images), images);
  });

  test('keeps the permission bits of all that is in it, and its own', async () => {
    const images = makeDump(newPath(), 2);
    mkdirSync(join(images, 'closed'));
    writeFileSync(join(images, 'closed', 'none'), 'x');
    chmodSync(join(images, 'closed', 'none'), 0o000);
    chmodSync(join(images, 'closed'), 0o500);
    chmodSync(join(images, 'inventory.img'), 0o400);
    chmodSync(join(images, 'pages-1.img'), 0o777);
    chmodSync(images, 0o750);
    const umask = process.umask(0o077);
    try {
      expectSameTree(await throughStore(images), images);
    } finally {
      process.umask(umask);
    }
  });

  test('loses setuid, setgid and sticky bits', async () => {
    const images = makeDump(newPath(), 3);
    chmodSync(join(images, 'pages-1.img'), 0o6755);
    const target = await throughStore(images);
    expect(lstatSync(join(target, 'pages-1.img')).mode & 0o7777).toBe(0o755);
  });

  test.each([16_384, 65_536] as const)('may have pages of %i bytes', async (pageBytes) => {
    const step = pageBytes / 4096;
    const images = makeImageDirectory(newPath(), {
      pageBytes,
      spaces: [
        { name: 'pagemap-1', pagesId: 1, runs: [{ start: 16 * step, count: 3 }] },
        { name: 'pagemap-2', pagesId: 2, runs: [{ start: 0, count: 1, seed: 5 }] },
      ],
    });
    const store = await openStore(newPath());
    const snapshot = await store.timeline('t').capture({ images });
    expect(snapshot.describe().dumpPageBytes).toBe(pageBytes);
    await expectRestores(snapshot, images);
  });

  test('may hold nothing but an inventory', async () => {
    const images = makeImageDirectory(newPath(), {});
    expectSameTree(await throughStore(images), images);
  });

  test('may be reached through a symbolic link, and by a path with dots', async () => {
    const images = makeDump(newPath(), 4);
    const link = newPath();
    execFileSync('ln', ['-s', images, link]);
    expectSameTree(await throughStore(link), images);
    expectSameTree(await throughStore(`${images}/../${images.split('/').at(-1) ?? ''}/.`), images);
  });

  test('may have a file of more pages than a leaf covers, with holes', async () => {
    const images = makeDump(newPath(), 5);
    const path = join(images, 'large');
    for (const page of [0, 511, 512, 1024, 1500]) {
      const bytes = new Uint8Array(4096).fill(page % 256);
      writeFileSync(path, '', { flag: 'a' });
      execFileSync('dd', ['of=' + path, 'bs=4096', `seek=${page}`, 'conv=notrunc', 'status=none'], {
        input: bytes,
      });
    }
    const target = await throughStore(images);
    expectSameTree(target, images);
    const restored = lstatSync(join(target, 'large'));
    expect(restored.blocks * 512).toBeLessThan(restored.size / 10);
  });
});
