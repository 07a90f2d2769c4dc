/**
 * Mutations of image directories: what a crash, a bad disk or somebody with a purpose may make of
 * a dump. Each is a plain value, so that fast-check can shrink it and a report can be repeated.
 */
import {
  copyFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';

/** One change of a directory; `file` and `other` choose among its files, `at` a place in one. */
export type Mutation =
  | { readonly kind: 'flip'; readonly file: number; readonly at: number; readonly bit: number }
  | {
      readonly kind: 'overwrite';
      readonly file: number;
      readonly at: number;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: 'insert';
      readonly file: number;
      readonly at: number;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'cut'; readonly file: number; readonly at: number; readonly length: number }
  | { readonly kind: 'truncate'; readonly file: number; readonly at: number }
  | { readonly kind: 'splice'; readonly file: number; readonly other: number; readonly at: number }
  | { readonly kind: 'delete'; readonly file: number }
  | { readonly kind: 'empty'; readonly file: number }
  | { readonly kind: 'duplicate'; readonly file: number; readonly other: number }
  | { readonly kind: 'swap'; readonly file: number; readonly other: number }
  | { readonly kind: 'link'; readonly file: number; readonly other: number }
  | { readonly kind: 'parent'; readonly target: string };

/** Files that decide how others are read get half of the mutations. */
const DECISIVE = /^(pagemap-|inventory|pstree|mm-)/;

const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const choice = fc.integer({ min: 0, max: 0xffff });
/** Random bytes, and varints of extreme values in the middle of them. */
const bytes = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 24 }),
  fc.constantFrom(
    Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
    Uint8Array.of(0xff, 0xff, 0xff, 0x7f),
    Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f),
    Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80),
    new Uint8Array(8),
  ),
);

/** Any mutation. */
export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('flip'), file: choice, at: place, bit: fc.nat(7) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('overwrite'), file: choice, at: place, bytes }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('insert'), file: choice, at: place, bytes }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('cut'), file: choice, at: place, length: fc.nat(64) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('truncate'), file: choice, at: place }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('splice'), file: choice, other: choice, at: place }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('delete', 'empty'), file: choice }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('duplicate', 'swap', 'link'),
      file: choice,
      other: choice,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('parent'),
      target: fc.constantFrom(
        '.',
        '..',
        'parent',
        '/',
        '../gone',
        '/dev/null',
        '/proc/self',
        'a'.repeat(300),
      ),
    }),
  },
);

/** Changes a directory. */
export function mutate(directory: string, change: Mutation): void {
  if (change.kind === 'parent') {
    rmSync(join(directory, 'parent'), { force: true });
    symlinkSync(change.target, join(directory, 'parent'));
    return;
  }
  const path = choose(directory, change.file);
  if (path === undefined) return;
  if (change.kind === 'delete') rmSync(path);
  else if (change.kind === 'empty') writeFileSync(path, '');
  else if ('other' in change) mutateTwo(directory, path, change);
  else writeFileSync(path, changed(readFileSync(path), change));
}

/** A file, by a number: even ones choose among those that decide how others are read. */
function choose(directory: string, number: number): string | undefined {
  const names = readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();
  const decisive = names.filter((name) => DECISIVE.test(name));
  const among = number % 2 === 0 && decisive.length > 0 ? decisive : names;
  const name = among[(number >>> 1) % Math.max(1, among.length)];
  return name === undefined ? undefined : join(directory, name);
}

function mutateTwo(
  directory: string,
  path: string,
  change: Extract<Mutation, { other: number }>,
): void {
  const other = choose(directory, change.other);
  if (other === undefined || other === path) return;
  if (change.kind === 'duplicate') copyFileSync(path, other);
  else if (change.kind === 'link') {
    rmSync(other);
    symlinkSync(path, other);
  } else if (change.kind === 'swap') {
    renameSync(path, `${path}.swap`);
    renameSync(other, path);
    renameSync(`${path}.swap`, other);
  } else {
    const [head, tail] = [readFileSync(path), readFileSync(other)];
    const cut = (all: Buffer): number => Math.floor(all.length * change.at);
    writeFileSync(path, Buffer.concat([head.subarray(0, cut(head)), tail.subarray(cut(tail))]));
  }
}

function changed(
  content: Buffer,
  change: Extract<Mutation, { kind: 'flip' | 'overwrite' | 'insert' | 'cut' | 'truncate' }>,
): Uint8Array {
  const at = Math.floor(content.length * change.at);
  if (change.kind === 'truncate') return content.subarray(0, at);
  if (change.kind === 'cut') {
    return Buffer.concat([content.subarray(0, at), content.subarray(at + change.length)]);
  }
  if (change.kind === 'insert') {
    return Buffer.concat([content.subarray(0, at), change.bytes, content.subarray(at)]);
  }
  if (change.kind === 'overwrite') {
    content.set(change.bytes.subarray(0, content.length - at), at);
  } else if (at < content.length) {
    content.writeUInt8(content.readUInt8(at) ^ (1 << change.bit), at);
  }
  return content;
}
