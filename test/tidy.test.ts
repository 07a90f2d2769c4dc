/**
 * The rules of this repository that no compiler knows: who may import whom, how long things may be,
 * which words have no place here, and that the examples for readers compile. Each rule is also
 * shown to find what it is made for.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkExamples, findExamples } from './tidy/examples.ts';
import { checkImports, checkTable, type ImportRules } from './tidy/imports.ts';
import { ROOT, listSources } from './tidy/source.ts';
import { checkCode, checkLayout } from './tidy/style.ts';

/**
 * A row: a room (a folder of src, or a file directly in it) and the rooms it may import. `type x/`
 * allows only types. A row may name only rows above it, so there are no cycles. A room may always
 * import itself.
 */
const ROOMS: ImportRules['rooms'] = {
  'errors.ts': [],
  'retention/': [],
  'bytes/': ['errors.ts'],
  'files/': ['errors.ts'],
  'tree/': ['bytes/', 'errors.ts'],
  'upper/': ['tree/', 'files/', 'bytes/', 'errors.ts'],
  'criu/': ['bytes/', 'errors.ts'],
  'images/': ['criu/', 'files/', 'bytes/', 'errors.ts'],
  'pack/': ['bytes/', 'errors.ts', 'files/'],
  'manifest/': ['bytes/', 'errors.ts'],
  'index/': ['bytes/', 'errors.ts', 'files/'],
  'archives/': ['tree/', 'files/', 'bytes/', 'errors.ts'],
  'catalog/': ['bytes/', 'errors.ts', 'type manifest/'],
  'slices/': ['images/', 'pack/', 'manifest/', 'upper/', 'tree/', 'files/', 'bytes/', 'errors.ts'],
  'store/': [
    'retention/',
    'slices/',
    'archives/',
    'upper/',
    'tree/',
    'catalog/',
    'index/',
    'manifest/',
    'pack/',
    'images/',
    'criu/',
    'files/',
    'bytes/',
    'errors.ts',
  ],
  'index.ts': [
    'store/',
    'errors.ts',
    'type archives/',
    'type upper/',
    'type criu/',
    'type images/',
    'type files/',
    'type manifest/',
    'type retention/',
  ],
  'criu.ts': ['criu/', 'images/', 'errors.ts'],
  'cli/': ['index.ts', 'criu.ts'],
};

/** A row: a package, and the rooms or files that alone may import it. */
const PACKAGES: ImportRules['packages'] = {
  'better-sqlite3': ['catalog/'],
  'node:fs': ['files/node-files.ts', 'cli/'],
  'node:fs/promises': ['files/node-files.ts', 'cli/'],
  koffi: ['files/system-calls.ts'],
  'fs-extra': ['files/node-files.ts', 'cli/'],
  'node:crypto': ['bytes/', 'store/clock.ts'],
  'node:zlib': ['bytes/', 'archives/'],
  'zstd-napi': ['bytes/'],
  'node:stream': ['archives/'],
  '@noble/hashes': ['bytes/'],
  commander: ['cli/'],
  'cli-progress': ['cli/'],
};

/** Files that may ask for the time and for random bytes, so that no other has to. */
const AMBIENT_FILES: readonly string[] = ['src/store/clock.ts'];

const manifest = JSON.parse(fs.readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>;
};

const RULES: ImportRules = {
  rooms: ROOMS,
  packages: PACKAGES,
  aliases: { '#digest': 'src/bytes/digest-node.ts' },
  dependencies: Object.keys(manifest.dependencies),
};

const library = listSources(['src']);
const everything = listSources(['src', 'test', 'bench', 'examples']);

describe('the repository', () => {
  test('has sources to check', () => {
    expect(library.map(({ path }) => path)).toContain('src/errors.ts');
    expect(everything.length).toBeGreaterThan(library.length);
  });

  test('has a table of rooms without cycles', () => {
    expect(checkTable(ROOMS)).toEqual([]);
  });

  test('imports only what the tables allow', () => {
    expect(library.flatMap((source) => checkImports(source, RULES))).toEqual([]);
  });

  test('keeps to the sizes, and to names and words that mean something', () => {
    expect(everything.flatMap((source) => checkLayout(source))).toEqual([]);
  });

  test('documents what it exports, and has no hidden inputs or outputs', () => {
    const found = library.flatMap((source) =>
      checkCode(source, { ambient: AMBIENT_FILES.includes(source.path) }),
    );
    expect(found).toEqual([]);
  });

  test('shows its readers examples that compile', () => {
    const pages = listSources(['src', 'README.md'], ['.ts', '.md']);
    expect(checkExamples(pages.flatMap((page) => findExamples(page)))).toEqual([]);
  });
});

describe('the rule of imports', () => {
  const complaints = (path: string, text: string): string[] =>
    checkImports({ path, text }, RULES).map((complaint) => complaint.replace(/^\S+: /, ''));

  test.each([
    ['src/bytes/a.ts', `import { b } from '../pack/b.ts';`, 'bytes/ must not import pack/'],
    ['src/bytes/a.ts', `import type { b } from '../pack/b.ts';`, 'bytes/ must not import pack/'],
    ['src/bytes/a.ts', `export * from '../pack/b.ts';`, 'bytes/ must not import pack/'],
    ['src/bytes/a.ts', `const b = await import('../pack/b.ts');`, 'bytes/ must not import pack/'],
    ['src/bytes/a.ts', `let b: import('../pack/b.ts').B;`, 'bytes/ must not import pack/'],
    ['src/pack/a.ts', `new URL('../store/b.ts', import.meta.url);`, 'pack/ must not import store/'],
    ['src/errors.ts', `import { b } from './bytes/hex.ts';`, 'errors.ts must not import bytes/'],
    ['src/errors.ts', `import { b } from '#digest';`, 'errors.ts must not import bytes/'],
    ['src/index.ts', `import { b } from './images/b.ts';`, 'index.ts must not import images/'],
    ['src/cli/main.ts', `import { b } from '../store/b.ts';`, 'cli/ must not import store/'],
    ['src/pack/a.ts', `import { b } from '../../test/b.ts';`, '../../test/b.ts leaves src'],
    ['src/pack/a.ts', `import { b } from './b.js';`, './b.js lacks .ts'],
    ['src/pack/a.ts', `import { b } from '#other';`, '#other is unknown here'],
    ['src/pack/a.ts', `import b from 'better-sqlite3';`, 'only catalog/ may import better-sqlite3'],
    ['src/pack/a.ts', `import { b } from 'vitest';`, /^vitest is not among the dependencies/],
    ['src/pack/a.ts', `import { b } from '@noble/hashes/sha2.js';`, /^only bytes\/ may import/],
    ['src/pack/a.ts', `import { b } from 'node:fs/promises';`, /^only files\/node-files.ts and/],
    ['src/files/a.ts', `import b from 'node:fs';`, /^only files\/node-files.ts and cli\//],
    ['src/other/a.ts', ``, 'other/ has no row in the table of rooms'],
  ])('finds in %s: %s', (path, text, expected) => {
    expect(complaints(path, text)).toEqual([
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    ]);
  });

  test.each([
    ['src/bytes/a.ts', `import { b } from './b.ts'; import { c } from '../errors.ts';`],
    ['src/index.ts', `export type { B } from './images/b.ts';`],
    ['src/index.ts', `import { type B } from './images/b.ts';`],
    ['src/files/node-files.ts', `import fs from 'node:fs'; import path from 'node:path';`],
    ['src/pack/a.ts', `import { sha256 } from '#digest';`],
  ])('allows in %s: %s', (path, text) => {
    expect(complaints(path, text)).toEqual([]);
  });

  test('finds a row that names a lower one', () => {
    expect(checkTable({ 'a/': ['b/'], 'b/': ['a/'] })).toEqual([
      'a/ may import b/, which is not above it',
    ]);
  });
});

describe('the rules of style', () => {
  const header = '/** A file. */\nimport { b } from "./b.ts";\n';
  const code = (text: string, path = 'src/pack/a.ts', ambient = false): string =>
    checkCode({ path, text: header + text }, { ambient }).join('\n');
  const layout = (text: string, path = 'src/pack/a.ts'): string =>
    checkLayout({ path, text }).join('\n');

  test('find files, functions and lines that are too long', () => {
    expect(layout('\n'.repeat(400))).toBe('');
    expect(layout('\n'.repeat(401))).toContain('401 lines, at most 400');
    expect(layout('x'.repeat(101))).toContain('a.ts:1: 101 columns');
    expect(layout(`// https://example.org/${'x'.repeat(101)}`)).toBe('');
    expect(code(`function f(): void {${'\n'.repeat(69)}}`)).toBe('');
    expect(code(`function f(): void {${'\n'.repeat(70)}}`)).toContain('function of 71 lines');
    expect(code(`class A { f = () => {${'\n'.repeat(70)}}; }`)).toContain('function of 71 lines');
  });

  test.each([
    'src/utils/a.ts',
    'src/pack/helpers.ts',
    'test/common.ts',
    'src/pack/page-manager.ts',
  ])('find the name of %s', (path) => expect(layout('', path)).toContain('names nothing'));

  test.each(['// TO' + 'DO: later', '// FIX' + 'ME'])('find %s', (text) => {
    expect(layout(text)).toContain('do it now or do not merge it');
  });

  test.each([
    ['console.log(1);', 'only cli prints'],
    ['globalThis.console.error(1);', 'only cli prints'],
    ['const a = process.env;', 'reads no environment'],
    ['const a = process.env["A"];', 'reads no environment'],
    ['const a = Date.now();', 'the clock is an option'],
    ['const a = new Date();', 'the clock is an option'],
    ['const a = Math.random();', 'randomness is an option'],
    ['import { randomBytes } from "node:crypto";', 'randomness is an option'],
    ['let a: any;', 'any'],
    ['enum A { B }', 'enum'],
    ['export default 1;', 'default export'],
    ['export default function f() {}', 'default export'],
    ['export { b as default };', 'default export'],
    ['export const a = 1;', 'a is exported without TSDoc'],
    ['export interface A { b: 1 }', 'A is exported without TSDoc'],
    ['// Not TSDoc.\nexport function a() {}', 'a is exported without TSDoc'],
  ])('find in src: %s', (text, expected) => {
    expect(code(text)).toContain(`a.ts:`);
    expect(code(text)).toContain(expected);
  });

  test('leave alone what is allowed', () => {
    expect(code('console.log(process.env["A"], Date.now());', 'src/cli/a.ts')).toBe('');
    expect(code('const a = [Date.now(), Math.random()];', 'src/store/clock.ts', true)).toBe('');
    expect(code('const a = new Date(0); const many = "any enum";')).toBe('');
    expect(code('/** An a. */\nexport function a(): 1;\nexport function a(): 2;')).toBe('');
    expect(code('export { b };')).toBe('');
  });

  test('find a file without a paragraph at the top', () => {
    const bare = (text: string): string => checkCode({ path: 'src/a.ts', text }).join('\n');
    expect(bare('import { b } from "./b.ts";')).toContain('no paragraph at the top');
    expect(bare('/** Of a. */\nexport const a = 1;')).toContain('no paragraph at the top');
    expect(bare('/** Of the file. */\n\n/** Of a. */\nexport const a = 1;')).toBe('');
    expect(bare('#!/usr/bin/env node\n/** Of the file. */\nf();')).toBe('');
  });
});

describe('the rule of examples', () => {
  const fence = '```';

  test('finds blocks in pages and in doc comments, with their places', () => {
    const text = `A\n\n${fence}ts\na;\n${fence}\n${fence}ts continues\nb;\n${fence}\n`;
    const ignored = `${fence}ts ignore\nc;\n${fence}\n${fence}sh\nd\n${fence}\n`;
    expect(findExamples({ path: 'README.md', text: text + ignored })).toEqual([
      { place: 'README.md:4', code: 'a;\nb;\n' },
    ]);
    const lines = ['B.', '@example', `${fence}ts`, 'a(', '  1);', fence];
    const comment = `/** A. */\n\n/**\n${lines.map((line) => ` * ${line}\n`).join('')} */\n`;
    expect(findExamples({ path: 'src/a.ts', text: `${comment}export const b = 1;` })).toEqual([
      { place: 'src/a.ts:7', code: 'a(\n  1);\n' },
    ]);
  });

  test('finds examples that do not compile', () => {
    const found = checkExamples([
      { place: 'good', code: `import { StoreError } from './errors.ts';\nStoreError.name;` },
      { place: 'syntax', code: 'const = 1;' },
      { place: 'types', code: `\nconst a: number = 'b';` },
      { place: 'names', code: `import { nothing } from './errors.ts';` },
    ]);
    expect(found.filter((complaint) => complaint.startsWith('good'))).toEqual([]);
    expect(found.some((complaint) => complaint.startsWith('syntax, line 1'))).toBe(true);
    expect(found.some((complaint) => /^types, line 2 .*not assignable/.test(complaint))).toBe(true);
    expect(found.some((complaint) => complaint.startsWith('names'))).toBe(true);
  });
});
