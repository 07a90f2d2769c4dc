/** Image directories that change between opening and the last look at them. */
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PE_PARENT } from '../../src/criu/index.ts';
import { confirmUnchanged, openImageDirectory } from '../../src/images/index.ts';
import {
  entryNamed,
  makeImageDirectory,
  openEntry,
  readEntry,
} from '../support/image-directories.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();
const space = { name: 'pagemap-1', pagesId: 1, runs: [{ start: 1, count: 4 }] };

function made(): string {
  const path = makeImageDirectory(newPath(), { spaces: [space] });
  mkdirSync(join(path, 'criu.work'));
  writeFileSync(join(path, 'criu.work', 'dump.log'), 'log');
  return path;
}

function incomplete(path: string, file: string): unknown {
  return expect.objectContaining({ code: 'INCOMPLETE', file: join(path, file) });
}

/** Puts a copy in the place of a file, as an editor would. */
function replace(file: string): void {
  writeFileSync(`${file}.new`, readFileSync(file));
  renameSync(`${file}.new`, file);
}

const changes: [string, string, (path: string) => void][] = [
  ['appended to', 'pages-1.img', (path) => appendFileSync(join(path, 'pages-1.img'), 'x')],
  ['cut off', 'pages-1.img', (path) => truncateSync(join(path, 'pages-1.img'), 5)],
  ['replaced', 'pages-1.img', (path) => replace(join(path, 'pages-1.img'))],
  ['touched', 'pages-1.img', (path) => utimesSync(join(path, 'pages-1.img'), 1, 1)],
  ['removed', 'pages-1.img', (path) => rmSync(join(path, 'pages-1.img'))],
  ['given another mode', 'pages-1.img', (path) => chmodSync(join(path, 'pages-1.img'), 0o400)],
  [
    'made a link',
    'pages-1.img',
    (path) => {
      renameSync(join(path, 'pages-1.img'), `${path}.pages`);
      symlinkSync(`${path}.pages`, join(path, 'pages-1.img'));
    },
  ],
];

describe('a directory that changes', () => {
  it.each(changes)('is noticed when a file is %s', (_, file, change) => {
    const path = made();
    const directory = openImageDirectory(path);
    confirmUnchanged(directory);
    change(path);
    expect(() => confirmUnchanged(directory)).toThrow(incomplete(path, file));
    expect(() => openEntry(entryNamed(directory, file))).toThrow(incomplete(path, file));
  });

  it('is noticed when files are added, anywhere', () => {
    for (const file of ['core-1.img', 'zzz', join('criu.work', 'stats-dump')]) {
      const path = made();
      const directory = openImageDirectory(path);
      writeFileSync(join(path, file), '');
      expect(() => confirmUnchanged(directory)).toThrow(incomplete(path, file));
    }
  });

  it('is noticed when another directory takes its place or that of a subdirectory', () => {
    const path = made();
    const directory = openImageDirectory(path);
    renameSync(join(path, 'criu.work'), `${path}.work`);
    mkdirSync(join(path, 'criu.work'));
    writeFileSync(join(path, 'criu.work', 'dump.log'), 'log');
    const log = entryNamed(directory, 'criu.work/dump.log');
    expect(() => openEntry(log)).toThrow(incomplete(path, 'criu.work'));
    renameSync(path, `${path}.old`);
    makeImageDirectory(path, { spaces: [space] });
    expect(() => openEntry(entryNamed(directory, 'pages-1.img'))).toThrow(incomplete(path, ''));
    expect(() => confirmUnchanged(directory)).toThrow(incomplete(path, ''));
  });

  it('is noticed while a file is read, and at the latest when it is closed', () => {
    const path = made();
    const pages = entryNamed(openImageDirectory(path), 'pages-1.img');
    const reader = openEntry(pages);
    reader.read(new Uint8Array(4096), 0);
    truncateSync(join(path, 'pages-1.img'), 8192);
    const target = new Uint8Array(8192);
    expect(() => reader.read(target, 4096)).toThrow(incomplete(path, 'pages-1.img'));
    expect(() => reader.close()).toThrow(incomplete(path, 'pages-1.img'));
    expect(() => reader.close()).not.toThrow();
  });

  it('is noticed in a parent too', () => {
    const root = newPath();
    const first = makeImageDirectory(join(root, '1'), { spaces: [space] });
    const runs = [{ start: 1, count: 4, flags: PE_PARENT }];
    const second = makeImageDirectory(join(root, '2'), {
      parent: '../1',
      spaces: [{ ...space, runs }],
    });
    const directory = openImageDirectory(second);
    const reader = openEntry(entryNamed(directory, 'pages-1.img'));
    reader.read(new Uint8Array(4096), 0);
    replace(join(first, 'pages-1.img'));
    expect(() => reader.close()).toThrow(incomplete(first, 'pages-1.img'));
    expect(() => confirmUnchanged(directory)).toThrow(incomplete(first, 'pages-1.img'));
    expect(() => readEntry(entryNamed(directory, 'pages-1.img'))).toThrow(
      incomplete(first, 'pages-1.img'),
    );
  });

  it('is noticed when the parent link is', () => {
    const root = newPath();
    makeImageDirectory(join(root, '1'), {});
    const second = makeImageDirectory(join(root, '2'), { parent: '../1' });
    const directory = openImageDirectory(second);
    rmSync(join(second, 'parent'));
    symlinkSync('../1/.', join(second, 'parent'));
    expect(() => confirmUnchanged(directory)).toThrow(incomplete(second, 'parent'));
  });

  it('may have had files that came and went', () => {
    const path = made();
    const directory = openImageDirectory(path);
    writeFileSync(join(path, 'temporary'), '');
    rmSync(join(path, 'temporary'));
    confirmUnchanged(directory);
  });
});
