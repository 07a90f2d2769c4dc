/** Tars taken apart and put together: by real tools in all formats, and against hostile ones. */
import { linkSync, mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { pack as packStream } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { EXTENSION_BYTES_MAX } from '../../src/archives/limits.ts';
import type { TarMember } from '../../src/archives/tar-member.ts';
import { joinTar } from '../../src/archives/tar-joiner.ts';
import { TarSplitter } from '../../src/archives/tar-splitter.ts';
import { expectFailure } from '../support/failures.ts';
import {
  chunksOf,
  END,
  gnuTar,
  paxMember,
  rawMember,
  type RawMember,
  rawTar,
} from '../support/made-archives.ts';
import { temporaryPaths } from '../support/temporary.ts';

const newPath = temporaryPaths();

interface Split {
  readonly members: TarMember[];
  readonly contents: Buffer[];
  readonly layout: Buffer;
}

function split(tar: Uint8Array, sizes?: readonly number[]): Split {
  const members: TarMember[] = [];
  const contents: Buffer[][] = [];
  const layout: Buffer[] = [];
  const splitter = new TarSplitter(
    {
      member: (member, headers) => {
        members.push(member);
        contents.push([]);
        layout.push(Buffer.from(headers));
      },
      content: (bytes, offset) => {
        expect(Buffer.from(tar.subarray(offset, offset + bytes.length)).equals(bytes)).toBe(true);
        contents.at(-1)!.push(Buffer.from(bytes));
      },
      memberEnd: (padding) => layout.push(Buffer.from(padding)),
      rest: (bytes) => layout.push(Buffer.from(bytes)),
    },
    { file: 'a.tar', contents: 'present', sizeBytes: tar.length },
  );
  for (const chunk of chunksOf(tar, sizes)) splitter.push(chunk);
  splitter.end();
  return {
    members,
    contents: contents.map((parts) => Buffer.concat(parts)),
    layout: Buffer.concat(layout),
  };
}

function join({ contents, layout }: Split, sizes?: readonly number[]): Buffer {
  const source = { file: 'a.tar', chunks: () => chunksOf(layout, sizes) };
  const contentOf = (): ((member: TarMember) => { sizeBytes: number; chunks(): Uint8Array[] }) => {
    let index = 0;
    return () => {
      const content = contents[index++]!;
      return { sizeBytes: content.length, chunks: () => chunksOf(content, [700]) };
    };
  };
  const bytes = Buffer.concat([...joinTar(source, contentOf())].map((chunk) => Buffer.from(chunk)));
  return bytes;
}

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

/** A directory with everything that a tar can hold without root. */
function makeTree(): string {
  const root = newPath();
  const long = 'n'.repeat(200);
  mkdirSync(`${root}/${long}/${long}`, { recursive: true });
  writeFileSync(`${root}/${long}/${long}/file`, 'deep');
  writeFileSync(`${root}/new\nline ünïcode`, Buffer.alloc(1536, 1));
  writeFileSync(`${root}/empty`, '');
  linkSync(`${root}/empty`, `${root}/hard`);
  symlinkSync('t'.repeat(180), `${root}/link`);
  utimesSync(`${root}/empty`, 1.5, 1_600_000_000.25);
  return root;
}

describe('a tar', () => {
  const root = makeTree();

  it.each(['gnu', 'posix', 'pax', 'ustar', 'v7', 'oldgnu'])(
    'of GNU tar comes back: %s',
    (format) => {
      const isShort = format === 'ustar' || format === 'v7';
      const names = isShort ? ['empty', 'hard', 'new\nline ünïcode'] : ['.'];
      const tar = gnuTar(root, names, `--format=${format}`);
      const whole = split(tar);
      expect(whole.layout.length).toBe(tar.length - 1536 - (isShort ? 0 : 4));
      fc.assert(
        fc.property(fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1 }), (sizes) => {
          const parts = split(tar, sizes);
          expect(parts.members).toEqual(whole.members);
          expect(join(parts, sizes).equals(tar)).toBe(true);
        }),
        { numRuns: 20 },
      );
    },
  );

  it.each(['gnu', 'posix'])('tells long names, links and times: %s', (format) => {
    const { members } = split(gnuTar(root, ['.'], `--format=${format}`, '--sort=name'));
    const byPath = new Map(members.map((member) => [text(member.path), member]));
    const long = 'n'.repeat(200);
    expect(byPath.get(`./${long}/${long}/file`)).toMatchObject({ kind: 'file', sizeBytes: 4 });
    expect(byPath.get('./new\nline ünïcode')).toMatchObject({ kind: 'file', sizeBytes: 1536 });
    expect(text(byPath.get('./link')?.target)).toBe('t'.repeat(180));
    expect(byPath.get('./hard')).toMatchObject({ kind: 'hard', sizeBytes: 0 });
    expect(byPath.get('./')?.kind).toBe('directory');
    expect(byPath.get('./empty')).toMatchObject({
      modifiedSeconds: 1_600_000_000,
      modifiedNanoseconds: format === 'posix' ? 250_000_000 : 0,
    });
  });

  it('of tar-stream comes back, at any boundaries of chunks', async () => {
    const entry = fc.record({
      name: fc.stringMatching(/^[a-zü]{1,60}(\/[a-z]{1,80}){0,3}$/),
      content: fc.uint8Array({ maxLength: 2000 }),
      size: fc.constantFrom(0, 512, undefined),
    });
    const sizes = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(fc.array(entry), sizes, async (entries, chunkSizes) => {
        const stream = packStream();
        for (const { name, content, size } of entries) {
          stream.entry({ name }, Buffer.from(content.subarray(0, size)));
        }
        stream.finalize();
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(chunk as Buffer);
        const tar = Buffer.concat(chunks);
        const parts = split(tar, chunkSizes);
        expect(parts.members.map(({ path }) => text(path))).toEqual(
          entries.map(({ name }) => name),
        );
        expect(join(parts, chunkSizes).equals(tar)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('may end with any number of zeros, and may hold nothing else', () => {
    for (const zeros of [1024, 1025, 10_240, 300_000]) {
      const tar = Buffer.alloc(zeros);
      expect(join(split(tar, [700])).equals(tar)).toBe(true);
    }
  });

  it('keeps padding that is not zeros', () => {
    const tar = rawTar({ name: 'a', content: 'abc' });
    tar.write('secret', 600);
    expect(join(split(tar)).equals(tar)).toBe(true);
  });

  it('applies global records to what follows, where a member has none of its own', () => {
    const tar = rawTar(
      { name: 'before' },
      paxMember({ uid: '7', gid: '8' }, 'g'),
      { name: 'global' },
      paxMember({ uid: '9', mtime: '5.5', 'SCHILY.xattr.user.b': 'x', 'SCHILY.xattr.user.a': '' }),
      { name: 'own' },
      paxMember({ uid: '' }),
      { name: 'revoked', owner: 3 },
    );
    const parts = split(tar);
    expect(parts.members.map(({ uid, gid }) => [uid, gid])).toEqual([
      [0, 0],
      [7, 8],
      [9, 8],
      [3, 8],
    ]);
    const { xattrs, ...own } = parts.members[2]!;
    expect(own).toMatchObject({ modifiedSeconds: 5, modifiedNanoseconds: 500_000_000 });
    expect(xattrs.map(({ name, value }) => `${text(name)}=${text(value)}`)).toEqual([
      'user.a=',
      'user.b=x',
    ]);
    expect(join(parts).equals(tar)).toBe(true);
  });

  it('prefers PAX records to GNU long names', () => {
    const tar = rawTar(
      { name: '././@LongLink', type: 'L', content: 'long\0' },
      { name: '././@LongLink', type: 'K', content: 'target\0' },
      paxMember({ path: 'pax' }),
      { name: 'short', type: '2', link: 'l' },
    );
    const [member] = split(tar).members;
    expect([text(member!.path), text(member!.target)]).toEqual(['pax', 'target']);
  });
});

describe('a tar is refused', () => {
  const good = rawMember({ name: 'good', content: 'abc' });
  const sparse = { code: 'UNSUPPORTED_IMAGE' as const, message: /sparse/ };

  it.each<[string, Buffer, RegExp]>([
    ['without end blocks', good, /cut off/],
    ['with one end block', Buffer.concat([good, Buffer.alloc(512)]), /cut off/],
    ['empty', Buffer.alloc(0), /cut off/],
    ['cut inside a header', good.subarray(0, 300), /cut off/],
    ['that goes on behind zeros', Buffer.concat([good, Buffer.alloc(512), good, END]), /goes on/],
    ['with garbage at its end', Buffer.concat([good, END, Buffer.from('x')]), /garbage/],
    ['with more members at its end', Buffer.concat([good, END, good, END]), /garbage/],
    ['with a lie about a size', rawTar({ name: 'a', size: 5000 }), /5000 bytes, 1024 are left/],
    ['that ends after a PAX header', rawTar(paxMember({ path: 'a' })), /between two headers/],
    ['with an unknown type', rawTar({ name: 'a', type: 'V' }), /unknown type "V"/],
    ['with content of a directory', rawTar({ name: 'a', type: '5', content: 'x' }), /content/],
    ['with content of a hard link', rawTar({ name: 'a', type: '1', content: 'x' }), /content/],
    ['with content of a file a/', rawTar({ name: 'a/', content: 'x' }), /directory 1 bytes/],
    ['with broken records', rawTar({ name: 'x', type: 'x', content: '99 a=b\n' }), /PAX record/],
    [
      'with a size in PAX that is none',
      rawTar(paxMember({ size: '-1' }), { name: 'a' }),
      /size is/,
    ],
    ['with a global path', rawTar(paxMember({ path: 'a' }, 'g'), { name: 'a' }), /says path/],
    [
      'with a global header inside a member',
      rawTar(paxMember({ uid: '1' }), paxMember({ uid: '2' }, 'g'), { name: 'a' }),
      /between the headers/,
    ],
    [
      'with records beyond the maximum',
      rawTar({ name: 'x', type: 'x', size: EXTENSION_BYTES_MAX + 1 }),
      /at most 1048576/,
    ],
    [
      'with a long name beyond the maximum',
      rawTar({ name: 'x', type: 'L', size: 8 ** 11 - 1 }),
      /at most 1048576/,
    ],
    [
      'with headers without end',
      rawTar(...Array<RawMember>(9).fill({ name: 'x', type: 'L', content: 'x' }), { name: 'a' }),
      /too many headers/,
    ],
  ])('%s', async (_name, tar, message) => {
    const expected = { code: 'INVALID_IMAGE' as const, file: 'a.tar', message };
    await expectFailure(() => split(tar), expected);
    await expectFailure(() => split(tar, [1, 511]), expected);
  });

  it('with the place of what is wrong', async () => {
    const tar = Buffer.concat([good, rawTar({ name: 'a', type: 'V' })]);
    const error = await expectFailure(() => split(tar), { code: 'INVALID_IMAGE' });
    expect(error.offset).toBe(1024);
  });

  it('with sparse members, in both forms', async () => {
    await expectFailure(() => split(rawTar({ name: 'a', type: 'S' })), sparse);
    const pax = rawTar(paxMember({ 'GNU.sparse.major': '1' }), { name: 'a' });
    await expectFailure(() => split(pax), sparse);
    const root = newPath();
    mkdirSync(root);
    writeFileSync(`${root}/a`, 'x');
    truncateSync(`${root}/a`, 1 << 20);
    for (const format of ['gnu', 'posix']) {
      const options = ['--sparse', '--hole-detection=raw', `--format=${format}`];
      const tar = gnuTar(root, ['a'], ...options);
      expect(tar.length).toBeLessThan(100_000);
      await expectFailure(() => split(tar), sparse);
    }
  });
});
