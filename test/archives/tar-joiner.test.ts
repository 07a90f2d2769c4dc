/** Tars whose contents have changed: GNU tar reads what comes out, and its headers are right. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { joinTar, measureTar, NO_CONTENT, type TarContent } from '../../src/archives/tar-joiner.ts';
import type { TarMember } from '../../src/archives/tar-member.ts';
import { expectFailure } from '../support/failures.ts';
import {
  chunksOf,
  paxMember,
  rawMember,
  type RawMember,
  rawTar,
} from '../support/made-archives.ts';

type Contents = Readonly<Record<string, string | undefined>>;

async function join(layout: Uint8Array, contents: Contents, chunkBytes = 512): Promise<Buffer> {
  const source = { file: 'l', chunks: () => chunksOf(layout, [chunkBytes]) };
  const contentOf = (member: TarMember): TarContent | undefined => {
    if (member.kind !== 'file') return NO_CONTENT;
    const text = contents[Buffer.from(member.path).toString()];
    return text === undefined ? undefined : contentWith(text);
  };
  const bytes = Buffer.concat([...joinTar(source, contentOf)].map((chunk) => Buffer.from(chunk)));
  expect(await measureTar(source, contentOf)).toBe(bytes.length);
  return bytes;
}

function contentWith(text: string): TarContent {
  return { sizeBytes: text.length, chunks: () => chunksOf(Buffer.from(text), [100]) };
}

/** A member without its content: what a layout has of it. */
function layoutOf(...members: readonly RawMember[]): Buffer {
  const parts = members.map((member) => {
    const bytes = rawMember(member);
    return member.type === 'x' ? bytes : Buffer.concat([bytes.subarray(0, 512), paddingOf(member)]);
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function paddingOf({ content = '' }: RawMember): Buffer {
  return Buffer.alloc((512 - (content.length % 512)) % 512);
}

const listed = (tar: Buffer): string[] =>
  execFileSync('tar', ['-tvf', '-', '--full-time', '--quoting-style=literal'], { input: tar })
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) =>
      line
        .replace(/ +/g, ' ')
        .split(' ')
        .filter((_part, i) => i === 2 || i > 4)
        .join(' '),
    );

describe('a tar with other contents', () => {
  const layout = layoutOf({ name: 'a', content: 'abc' }, { name: 'b', content: 'd'.repeat(512) });

  it('has their sizes in its headers, and their padding', async () => {
    const contents = { a: 'x'.repeat(2000), b: 'short' };
    const tar = await join(layout, contents);
    expect(listed(tar)).toEqual(['2000 a', '5 b']);
    const text = execFileSync('tar', ['-xOf', '-'], { input: tar }).toString();
    expect(text).toBe(contents.a + contents.b);
  });

  it('is the same one where the contents are', async () => {
    const tar = rawTar({ name: 'a', content: 'abc' }, { name: 'b', content: 'd'.repeat(512) });
    expect((await join(layout, { a: 'abc', b: 'd'.repeat(512) })).equals(tar)).toBe(true);
    expect((await join(layout, { a: 'abc', b: 'd'.repeat(512) }, 7)).equals(tar)).toBe(true);
  });

  it('has other sizes in its PAX records as well, and no other change in them', async () => {
    const records = paxMember({ path: 'ä', size: '3', mtime: '1.5' });
    const changed = await join(layoutOf(records, { name: 'p', content: 'abc' }), {
      ä: 'x'.repeat(1000),
    });
    const expected = rawTar(paxMember({ path: 'ä', size: '1000', mtime: '1.5' }), {
      name: 'p',
      content: 'x'.repeat(1000),
    });
    expect(changed.equals(expected)).toBe(true);
    const without = layoutOf(paxMember({ path: 'ä' }), { name: 'p', content: 'abc' });
    expect(listed(await join(without, { ä: 'xy' }))).toEqual(['2 ä']);
  });

  it('lacks members without content, with all their headers', async () => {
    const long = layoutOf(
      paxMember({ path: 'gone' }),
      { name: 'p', content: 'abc' },
      { name: 'b' },
    );
    expect((await join(long, { b: '' })).equals(rawTar({ name: 'b' }))).toBe(true);
  });

  it.each(['ab', 'abcd'])(
    'is an error where a content is not as long as it says: %s',
    async (text) => {
      const content = { sizeBytes: 3, chunks: () => [Buffer.from(text)] };
      const source = { file: 'l', chunks: () => [layoutOf({ name: 'a', content: 'abc' })] };
      const failure = { code: 'CORRUPT' as const, file: 'l', message: /another length/ };
      await expectFailure(() => [...joinTar(source, () => content)], failure);
    },
  );

  it('is an error where the layout is cut off', async () => {
    const failure = { code: 'INVALID_IMAGE' as const, message: /cut off/ };
    await expectFailure(() => join(layout.subarray(0, -513), { a: '', b: '' }), failure);
  });
});

it('a long layout is measured with turns for others, and until the signal fires', async () => {
  const members = Array.from({ length: 3000 }, (_, i) => ({ name: `f${i}` }));
  const layout = { file: 'l', chunks: () => [rawTar(...members)] };
  let asked = 0;
  const contentOf = (): TarContent => {
    asked += 1;
    return NO_CONTENT;
  };
  const controller = new AbortController();
  setImmediate(() => controller.abort());
  const failure = { code: 'ABORTED' as const };
  await expectFailure(() => measureTar(layout, contentOf, controller.signal), failure);
  expect(asked).toBeLessThan(300);
  expect(await measureTar(layout, () => NO_CONTENT)).toBe(3002 * 512);
});
