/** Facts of paths: they say that a path is the same only when all of it is. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FactWords,
  PathFactsBuilder,
  sealFacts,
  StoredFacts,
  type PathFacts,
} from '../../src/tree/path-facts.ts';

const ID = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const OTHER_ID = new Uint8Array(16).fill(9);

const facts: readonly (PathFacts | undefined)[] = [
  { device: 1n, inode: 2n, changedNs: 3n },
  undefined,
  { device: 2n ** 64n - 1n, inode: 2n ** 63n, changedNs: -1n },
];

function sealed(all: readonly (PathFacts | undefined)[] = facts): Uint8Array {
  const builder = new PathFactsBuilder();
  for (const one of all) builder.add(one);
  const bytes = builder.finish();
  sealFacts(bytes, ID);
  return bytes;
}

function opened(bytes: Uint8Array = sealed()): StoredFacts {
  const stored = StoredFacts.open(bytes, ID);
  if (stored === undefined) throw new Error('not opened');
  return stored;
}

/** Facts whose time is still in its parts. */
interface PathTimes {
  readonly device: bigint;
  readonly inode: bigint;
  readonly second: number;
  readonly nanosecond: number;
}

const factsOf = ({ device, inode, second, nanosecond }: PathTimes): PathFacts => ({
  device,
  inode,
  changedNs: BigInt.asIntN(64, BigInt(second) * 1_000_000_000n + BigInt(nanosecond)),
});

function wordsOf({ device, inode, second, nanosecond }: PathTimes): FactWords {
  const words = new FactWords();
  words.setDevice(Number(device & 0xffffffffn), Number(device >> 32n));
  words.setInode(Number(inode & 0xffffffffn), Number(inode >> 32n));
  words.setChanged(second, nanosecond);
  return words;
}

describe('facts of paths', () => {
  it('know a path again whose every number is the same', () => {
    const stored = opened();
    expect(stored.length).toBe(3);
    const [first, , third] = facts as readonly PathFacts[];
    expect(stored.isSame(0, first as PathFacts)).toBe(true);
    expect(stored.isSame(2, third as PathFacts)).toBe(true);
    expect(stored.isSame(2, first as PathFacts)).toBe(false);
    for (const other of [{ device: 2n }, { inode: 3n }, { changedNs: 4n }]) {
      expect(stored.isSame(0, { ...(first as PathFacts), ...other })).toBe(false);
    }
  });

  it('never know a path that was not settled, nor one behind the last', () => {
    const stored = opened();
    const nothing = { device: 0n, inode: 0n, changedNs: 0n };
    for (const ordinal of [1, 3, 1000]) {
      expect(stored.isSame(ordinal, nothing)).toBe(false);
      expect(stored.isSame(ordinal, facts[0] as PathFacts)).toBe(false);
    }
  });

  it('may be of no paths, and of more than fit at once', () => {
    expect(opened(sealed([])).length).toBe(0);
    const many = Array.from({ length: 1000 }, (_, i) => ({ ...facts[0], inode: BigInt(i + 1) }));
    const stored = opened(sealed(many as PathFacts[]));
    expect(many.every((one, i) => stored.isSame(i, one as PathFacts))).toBe(true);
  });

  it('are read from any place in memory, and not from that of the snapshot before', () => {
    const bytes = sealed();
    const moved = new Uint8Array(bytes.length + 3);
    moved.set(bytes, 3);
    const stored = opened(moved.subarray(3));
    moved.fill(0);
    expect(stored.isSame(0, facts[0] as PathFacts)).toBe(true);
  });

  it('are none of another snapshot, and none before they are sealed', () => {
    expect(StoredFacts.open(sealed(), OTHER_ID)).toBeUndefined();
    expect(StoredFacts.open(sealed(), ID.subarray(1))).toBeUndefined();
    expect(StoredFacts.open(new PathFactsBuilder().finish(), new Uint8Array(16))).toBeUndefined();
  });

  it('are none when a byte is missing, too many or different', () => {
    const bytes = sealed();
    for (let length = 0; length < bytes.length; length++) {
      expect(StoredFacts.open(bytes.subarray(0, length), ID)).toBeUndefined();
    }
    for (const more of [1, 24]) {
      const longer = new Uint8Array(bytes.length + more);
      longer.set(bytes);
      expect(StoredFacts.open(longer, ID)).toBeUndefined();
    }
    for (let offset = 0; offset < bytes.length; offset++) {
      const changed = bytes.slice();
      changed[offset] = (changed[offset] as number) ^ (1 << (offset % 8));
      expect(StoredFacts.open(changed, ID)).toBeUndefined();
    }
  });

  it('say the same of words as of numbers', () => {
    const long = fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 4n));
    const second = fc.oneof(
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.integer({ min: 0, max: 2 }),
    );
    const nanosecond = fc.oneof(fc.nat(999_999_999), fc.nat(2));
    const path = fc.record({ device: long, inode: long, second, nanosecond });
    const equal = (one: PathTimes, other: PathTimes, known: StoredFacts): void => {
      const words = wordsOf(other);
      expect(known.hasWords(0, words)).toBe(known.isSame(0, factsOf(other)));
      expect(known.hasWords(0, wordsOf(one))).toBe(one.inode !== 0n);
      expect(known.hasWords(1, words)).toBe(false);
    };
    fc.assert(
      fc.property(path, path, (one, other) => {
        equal(one, other, opened(sealed([factsOf(one), undefined])));
        for (const key of ['device', 'inode', 'second', 'nanosecond'] as const) {
          const mostly = { ...one, [key]: other[key] };
          equal(one, mostly, opened(sealed([factsOf(one), undefined])));
        }
      }),
    );
  });

  it('are copied from those of another snapshot', () => {
    const stored = opened();
    const builder = new PathFactsBuilder();
    for (const ordinal of [2, 1, 0]) builder.copy(stored, ordinal);
    for (let i = 0; i < 1000; i++) builder.copy(stored, 0);
    const bytes = builder.finish();
    sealFacts(bytes, ID);
    const copied = opened(bytes);
    expect(copied.isSame(0, facts[2] as PathFacts)).toBe(true);
    expect(copied.isSame(1, facts[0] as PathFacts)).toBe(false);
    expect(copied.isSame(1002, facts[0] as PathFacts)).toBe(true);
    expect(copied.length).toBe(1003);
  });

  it('lie in memory that all threads share', () => {
    expect(sealed().buffer).toBeInstanceOf(SharedArrayBuffer);
  });
});
