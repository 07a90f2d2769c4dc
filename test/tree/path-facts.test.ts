/** Facts of paths: they say that a path is the same only when all of it is. */
import { describe, expect, it } from 'vitest';
import {
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

  it('lie in memory that all threads share', () => {
    expect(sealed().buffer).toBeInstanceOf(SharedArrayBuffer);
  });
});
