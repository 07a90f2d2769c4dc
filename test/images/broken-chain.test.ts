/** What is wrong with a chain of directories matters only where a page is needed from it. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PE_PARENT } from '../../src/criu/index.ts';
import { confirmUnchanged, openImageDirectory } from '../../src/images/index.ts';
import {
  madePage,
  type MadeRun,
  makeImageDirectory,
  pagesByAddress,
} from '../support/image-directories.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

/** A space of one process. */
function space(runs: readonly MadeRun[]) {
  return [{ name: 'pagemap-1', pagesId: 1, runs }];
}

describe('a broken chain', () => {
  const parentRun = [{ start: 4, count: 4, flags: PE_PARENT }];

  function refusal(path: string, code: string, message: RegExp): void {
    const matching = expect.objectContaining({ code, message: expect.stringMatching(message) });
    expect(() => openImageDirectory(path)).toThrow(matching);
  }

  it('is refused when there is no parent', () => {
    const path = makeImageDirectory(newPath(), { spaces: space(parentRun) });
    refusal(path, 'INVALID_IMAGE', /0x4000.*no parent/);
  });

  it('is refused when the parent lacks the pagemap or a page', () => {
    const root = newPath();
    makeImageDirectory(join(root, '1'), {});
    const second = makeImageDirectory(join(root, '2'), {
      parent: '../1',
      spaces: space(parentRun),
    });
    refusal(second, 'INVALID_IMAGE', /has no pagemap-1\.img/);
    for (const run of [
      { start: 4, count: 3 },
      { start: 5, count: 3 },
      { start: 90, count: 1 },
    ]) {
      rmSync(join(root, '1'), { recursive: true });
      makeImageDirectory(join(root, '1'), { spaces: space([run]) });
      refusal(second, 'INVALID_IMAGE', /page 0x[0-9a-f]+ should be in this parent/);
    }
  });

  it('is refused when the link leads nowhere, to itself, or around in a loop', () => {
    const root = newPath();
    const make = (name: string, parent: string): string =>
      makeImageDirectory(join(root, name), { parent, spaces: space(parentRun) });
    refusal(make('1', '../0'), 'INCOMPLETE', /parent directory \.\.\/0 is missing/);
    refusal(make('2', '../2'), 'INVALID_IMAGE', /form a loop: .*2 comes again/);
    refusal(make('3', 'parent'), 'INVALID_IMAGE', /leads to itself/);
    const loop = make('4', '../5');
    make('5', '../6');
    make('6', '../5');
    refusal(loop, 'INVALID_IMAGE', /form a loop: .*5 comes again/);
  });

  it('is refused when the link is not UTF-8', () => {
    const path = makeImageDirectory(newPath(), { spaces: space(parentRun) });
    symlinkSync(Buffer.from([0x2e, 0x2e, 0x2f, 0xff]), join(path, 'parent'));
    refusal(path, 'INVALID_IMAGE', /not UTF-8/);
  });

  it('is refused when the parent is no link, or no image directory', () => {
    const path = makeImageDirectory(newPath(), {});
    mkdirSync(join(path, 'parent'));
    refusal(path, 'INVALID_IMAGE', /parent is not a symbolic link/);
    const root = newPath();
    const spaces = space(parentRun);
    const second = makeImageDirectory(join(root, '2'), { parent: '../1', spaces });
    mkdirSync(join(root, '1'));
    refusal(second, 'INVALID_IMAGE', /no inventory\.img/);
  });

  it('is refused when it is deeper than allowed', () => {
    const root = newPath();
    makeImageDirectory(join(root, '1'), { spaces: space([{ start: 4, count: 4 }]) });
    for (const [name, parent] of [
      ['2', '../1'],
      ['3', '../2'],
    ] as const) {
      makeImageDirectory(join(root, name), { parent, spaces: space(parentRun) });
    }
    openImageDirectory(join(root, '3'), { limits: { chainDepth: 2 } });
    expect(() => openImageDirectory(join(root, '3'), { limits: { chainDepth: 1 } })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_IMAGE' }),
    );
  });

  it('is refused when the page sizes differ', () => {
    const root = newPath();
    const runs = [
      { start: 16, count: 1 },
      { start: 32, count: 1, flags: PE_PARENT },
    ];
    const made = { parent: '../1', spaces: space(runs) };
    const second = makeImageDirectory(join(root, '2'), made);
    makeImageDirectory(join(root, '1'), {
      pageBytes: 16384,
      spaces: space([{ start: 32, count: 1 }]),
    });
    refusal(second, 'INVALID_IMAGE', /16384 bytes.*1 pages of 4096/);
  });

  const useless: [string, (root: string) => void][] = [
    ['leads nowhere', () => undefined],
    ['leads back', (root) => symlinkSync('2', join(root, '1'))],
    ['leads to itself', (root) => symlinkSync('1', join(root, '1'))],
    ['leads to a file', (root) => writeFileSync(join(root, '1'), '')],
    ['leads to no dump', (root) => mkdirSync(join(root, '1'))],
    [
      'leads to a dump of another page size',
      (root) => {
        const spaces = space([{ start: 16, count: 1 }]);
        makeImageDirectory(join(root, '1'), { pageBytes: 16384, spaces });
      },
    ],
    [
      'leads to a dump that has no parent itself',
      (root) => makeImageDirectory(join(root, '1'), { spaces: space(parentRun) }),
    ],
  ];

  it.each(useless)('does not matter to a dump with all of its pages: the link %s', (_, make) => {
    const root = newPath();
    const spaces = space([{ start: 4, count: 4 }]);
    const path = makeImageDirectory(join(root, '2'), { parent: '../1', spaces });
    make(root);
    const directory = openImageDirectory(path);
    expect(directory.chainDepth).toBe(0);
    expect(pagesByAddress(directory).get('pagemap-1')?.get(5)).toEqual(madePage(5));
    confirmUnchanged(directory);
  });

  it('does not matter either behind the directory that has the last page', () => {
    const root = newPath();
    makeImageDirectory(join(root, '1'), {
      parent: '../0',
      spaces: space([
        { start: 4, count: 4 },
        { start: 100, count: 1, flags: PE_PARENT },
      ]),
    });
    const second = makeImageDirectory(join(root, '2'), {
      parent: '../1',
      spaces: space(parentRun),
    });
    expect(pagesByAddress(openImageDirectory(second)).get('pagemap-1')?.size).toBe(4);
    refusal(join(root, '1'), 'INCOMPLETE', /parent directory \.\.\/0 is missing/);
  });

  it('ends at the directory that has all pages of the spaces in question', () => {
    const root = newPath();
    makeImageDirectory(join(root, '0'), { spaces: space([{ start: 4, count: 4 }]) });
    makeImageDirectory(join(root, '1'), {
      parent: '../0',
      spaces: [
        ...space([{ start: 4, count: 4 }]),
        { name: 'pagemap-2', pagesId: 2, runs: parentRun },
      ],
    });
    const made = { parent: '../1', spaces: space(parentRun) };
    const second = makeImageDirectory(join(root, '2'), made);
    expect(openImageDirectory(second).chainDepth).toBe(1);
  });
});
