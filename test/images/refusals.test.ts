import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePagemap, PE_LAZY } from '../../src/criu/index.ts';
import { StoreError } from '../../src/errors.ts';
import type { FilePath, Files } from '../../src/files/files.ts';
import { nodeFiles } from '../../src/files/node-files.ts';
import {
  type ContentSource,
  openContent,
  openImageDirectory,
  type OpenImageOptions,
} from '../../src/images/index.ts';
import { fixture } from '../support/fixtures.ts';
import {
  entryNamed,
  madeImage,
  madeInventory,
  madePagemap,
  type MadeSpace,
  makeImageDirectory,
  readEntry,
} from '../support/image-directories.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

function refusal(
  path: string,
  expected: { code: string; file?: string; message?: RegExp },
  options?: OpenImageOptions,
): void {
  const { code, file, message = /./ } = expected;
  const error = failure(() => openImageDirectory(path, options));
  expect(error.message).toMatch(message);
  expect(error.code).toBe(code);
  if (file !== undefined) expect(error.file).toBe(join(path, file));
}

function failure(action: () => unknown): StoreError {
  try {
    action();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const one: MadeSpace = { name: 'pagemap-1', pagesId: 1, runs: [{ start: 1, count: 2 }] };

function made(space: MadeSpace = one): string {
  return makeImageDirectory(newPath(), { spaces: [space] });
}

describe('openImageDirectory refuses', () => {
  it('what is not there, and what is no directory', () => {
    const path = newPath();
    refusal(path, { code: 'NOT_FOUND' });
    writeFileSync(path, '');
    refusal(path, { code: 'INVALID_IMAGE', message: /not a directory/ });
    refusal(join(path, 'below'), { code: 'NOT_FOUND' });
  });

  it('a directory without inventory, or with a damaged one', () => {
    const path = newPath();
    mkdirSync(path);
    refusal(path, { code: 'INVALID_IMAGE', message: /no inventory\.img/ });
    mkdirSync(join(path, 'inventory.img'));
    refusal(path, { code: 'INVALID_IMAGE', message: /no inventory\.img/ });
    rmSync(join(path, 'inventory.img'), { recursive: true });
    for (const bytes of ['', 'abc', 'abcdefgh', madeInventory({ img_version: 2 }).subarray(0, 9)]) {
      writeFileSync(join(path, 'inventory.img'), bytes);
      refusal(path, { code: 'INVALID_IMAGE', file: 'inventory.img' });
    }
  });

  it('images of other versions', () => {
    for (const [imageVersion, message] of [
      [1, /before CRIU 1\.6/],
      [3, /compressed/],
      [9, /newer/],
    ] as const) {
      const path = makeImageDirectory(newPath(), { imageVersion });
      refusal(path, { code: 'UNSUPPORTED_IMAGE', file: 'inventory.img', message });
    }
  });

  it('an image with the single magic of the old format', () => {
    const path = made();
    writeFileSync(join(path, 'pstree.img'), madeImage('PSTREE', []).subarray(4));
    refusal(path, { code: 'UNSUPPORTED_IMAGE', file: 'pstree.img', message: /PSTREE/ });
  });

  it('a pagemap that is cut off or is something else', () => {
    const path = made();
    const file = join(path, 'pagemap-1.img');
    const bytes = readFileSync(file);
    for (const length of [0, 5, 12, bytes.length - 1]) {
      writeFileSync(file, bytes.subarray(0, length));
      refusal(path, { code: 'INVALID_IMAGE', file: 'pagemap-1.img' });
    }
  });

  it('sizes that disagree, telling both', () => {
    const path = made();
    writeFileSync(join(path, 'pages-1.img'), new Uint8Array(4096 * 3));
    const message = /12288 bytes long, but pagemap-1\.img says 2 pages of 4096 bytes, 8192/;
    refusal(path, { code: 'INVALID_IMAGE', file: 'pages-1.img', message });
    writeFileSync(join(path, 'pages-1.img'), '');
    refusal(path, { code: 'INVALID_IMAGE', file: 'pages-1.img', message: /^0 bytes long/ });
  });

  it('2^40 pages in a tiny file, without taking memory for them', () => {
    const path = made();
    const pagemap = madePagemap(1, [{ start: 1, count: 2 ** 40 }]);
    writeFileSync(join(path, 'pagemap-1.img'), encodePagemap(pagemap));
    refusal(path, { code: 'INVALID_IMAGE', file: 'pages-1.img', message: /1099511627776 pages/ });
  });

  it('page sizes that do not exist or do not agree', () => {
    const path = made();
    writeFileSync(join(path, 'pages-1.img'), new Uint8Array(8192 * 2));
    refusal(path, { code: 'INVALID_IMAGE', message: /16384 bytes long.*2 pages/ });
    const mixed = makeImageDirectory(newPath(), {
      spaces: [one, { name: 'pagemap-2', pagesId: 2, runs: [{ start: 16, count: 1 }] }],
    });
    writeFileSync(join(mixed, 'pages-2.img'), new Uint8Array(16384));
    refusal(mixed, { code: 'INVALID_IMAGE', file: 'pages-2.img' });
  });

  it('addresses that do not fit the page size', () => {
    const path = made({ ...one, runs: [{ start: 1, count: 1 }] });
    writeFileSync(join(path, 'pages-1.img'), new Uint8Array(65536));
    const message = /0x1000 is not a multiple of the page size 65536/;
    refusal(path, { code: 'INVALID_IMAGE', file: 'pagemap-1.img', message });
  });

  it('a pages file of two pagemaps, and one that is missing', () => {
    const path = makeImageDirectory(newPath(), { spaces: [one, { ...one, name: 'pagemap-2' }] });
    refusal(path, {
      code: 'INVALID_IMAGE',
      message: /pages-1\.img belongs to pagemap-1\.img as well/,
    });
    const missing = made();
    rmSync(join(missing, 'pages-1.img'));
    refusal(missing, { code: 'INVALID_IMAGE', message: /pages-1\.img.*is missing/ });
  });

  it('pages of a lazy dump', () => {
    const path = made({ ...one, runs: [{ start: 1, count: 1, flags: PE_LAZY }] });
    refusal(path, { code: 'UNSUPPORTED_IMAGE', file: 'pagemap-1.img', message: /lazy/ });
  });

  it('links, fifos and sockets anywhere in it', async () => {
    const link = made();
    renameSync(join(link, 'pages-1.img'), join(link, 'elsewhere'));
    symlinkSync('elsewhere', join(link, 'pages-1.img'));
    refusal(link, { code: 'INVALID_IMAGE', file: 'pages-1.img', message: /a link/ });

    const fifo = made();
    mkdirSync(join(fifo, 'criu.work'));
    execFileSync('mkfifo', [join(fifo, 'criu.work', 'pipe')]);
    refusal(fifo, { code: 'INVALID_IMAGE', file: 'criu.work/pipe', message: /fifo/ });

    const nested = made();
    mkdirSync(join(nested, 'criu.work'));
    symlinkSync('..', join(nested, 'criu.work', 'parent'));
    refusal(nested, { code: 'INVALID_IMAGE', file: 'criu.work/parent', message: /a link/ });

    const socket = made();
    const server = createServer();
    await new Promise<void>((done) => server.listen(join(socket, 'core-1.img'), done));
    refusal(socket, { code: 'INVALID_IMAGE', file: 'core-1.img', message: /socket/ });
    await new Promise((done) => server.close(done));
  });

  it('more than its limits allow', () => {
    const path = made();
    mkdirSync(join(path, 'a', 'b'), { recursive: true });
    for (const limits of [
      { directoryEntries: 3 },
      { subdirectoryDepth: 1 },
      { pagemapBytes: 20 },
    ]) {
      refusal(path, { code: 'UNSUPPORTED_IMAGE' }, { limits });
    }
    openImageDirectory(path, { limits: { directoryEntries: 5, subdirectoryDepth: 2 } });
  });
});

describe('files that the system refuses to read', () => {
  /** A door that fails one call on the file of one name. */
  function failing(call: 'open' | 'lstat' | 'list', name: string, code: string): Files {
    return {
      ...nodeFiles,
      [call]: (path: FilePath, ...rest: never[]) => {
        if (path.toString().endsWith(name)) {
          throw Object.assign(new Error(`${code}: refused`), { code, syscall: call });
        }
        return (nodeFiles[call] as (path: FilePath, ...rest: never[]) => unknown)(path, ...rest);
      },
    };
  }

  it('are STORAGE errors that name them', () => {
    const path = made();
    for (const [call, name] of [
      ['open', 'inventory.img'],
      ['open', 'pagemap-1.img'],
      ['lstat', 'pages-1.img'],
    ] as const) {
      const files = failing(call, name, 'EACCES');
      refusal(path, { code: 'STORAGE', file: name, message: /EACCES/ }, { files });
    }
  });

  it('are STORAGE errors while pages are read too', () => {
    const path = made();
    const files = failing('open', 'pages-1.img', 'EIO');
    const directory = openImageDirectory(path, { files });
    const source = entryNamed(directory, 'pages-1.img').source as ContentSource;
    expect(failure(() => openContent(source, files))).toMatchObject({
      code: 'STORAGE',
      file: join(path, 'pages-1.img'),
    });
  });
});

describe('a damaged dump', () => {
  const names = ['inventory.img', 'pagemap-6921.img', 'pagemap-shmem-565.img', 'pstree.img'];

  it.each(names)('is refused or read, and nothing else happens: %s', (name) => {
    const root = newPath();
    cpSync(fixture('chain-4.2'), root, { recursive: true, verbatimSymlinks: true });
    fc.assert(
      fc.property(
        fc.constantFrom('1', '2', '3'),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.uint8Array({ minLength: 1, maxLength: 3 }),
        (level, at, change) => {
          const file = join(root, level, name);
          const original = readFileSync(file);
          const bytes = Uint8Array.from(original);
          bytes.set(change, Math.floor(at * (bytes.length - change.length)));
          writeFileSync(file, bytes);
          try {
            const directory = openImageDirectory(join(root, '3'));
            for (const entry of directory.entries) readEntry(entry);
          } catch (error) {
            if (!(error instanceof StoreError)) throw error;
          } finally {
            writeFileSync(file, original);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
