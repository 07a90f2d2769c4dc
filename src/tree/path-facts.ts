/**
 * What a capture remembers of every path of a tree, to know at the next one that nothing about it
 * has changed: device, inode, and the time of its last change, in the order of the tree. A cache:
 * a tree without them is read anew (FORMAT.md, section 5).
 */
import { DIGEST_BYTES, sha256 } from '#digest';
import { sameBytes } from '../bytes/hex.ts';
import { ID_BYTES } from '../bytes/id.ts';

/** The facts about one path. */
export interface PathFacts {
  readonly device: bigint;
  readonly inode: bigint;
  readonly changedNs: bigint;
}

const MAGIC = new TextEncoder().encode('criutlpf');
const HEADER_BYTES = 32;
const NUMBERS = 3;
/** The same numbers in halves, in the machine's order: for comparing without a BigInt for each. */
const WORDS = 6;
/** Which half of a number is the low one on this machine. */
const LOW: number = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;
const WORD = 2 ** 32;
const NS_PER_SECOND = 1_000_000_000;

/** The facts about one path as {@link StoredFacts} has them: six words, changed in place. */
export class FactWords {
  /** Low and high words of device, inode and time, in the machine's order. */
  readonly words: Uint32Array = new Uint32Array(WORDS);

  /** Sets the device to a number of two words. */
  setDevice(low: number, high: number): void {
    this.words[LOW] = low;
    this.words[HIGH] = high;
  }

  /** Sets the inode to a number of two words. */
  setInode(low: number, high: number): void {
    this.words[2 + LOW] = low;
    this.words[2 + HIGH] = high;
  }

  /** Sets the time of the last change; seconds since 1970, less than 2 ** 32. */
  setChanged(seconds: number, nanoseconds: number): void {
    // Exact: 16 bits of the seconds at a time, times 10 ** 9, are less than 2 ** 46.
    const upper = (seconds >>> 16) * NS_PER_SECOND;
    const lower = (seconds & 0xffff) * NS_PER_SECOND + nanoseconds + (upper % 2 ** 16) * 2 ** 16;
    this.words[4 + LOW] = lower % WORD;
    this.words[4 + HIGH] = Math.floor(upper / 2 ** 16) + Math.floor(lower / WORD);
  }
}

/** Collects the facts of a tree. */
export class PathFactsBuilder {
  #numbers = new BigInt64Array(256 * NUMBERS);
  #words = new Uint32Array(this.#numbers.buffer);
  #length = 0;

  /** Appends those of the next path; undefined where it is to be read next time. */
  add(facts: PathFacts | undefined): void {
    const at = this.#grow() * NUMBERS;
    this.#numbers[at] = facts?.device ?? 0n;
    this.#numbers[at + 1] = facts?.inode ?? 0n;
    this.#numbers[at + 2] = facts?.changedNs ?? 0n;
  }

  /** Appends those that a path of a base had. */
  copy(stored: StoredFacts, ordinal: number): void {
    const at = this.#grow() * WORDS;
    const from = ordinal * WORDS;
    for (let i = 0; i < WORDS; i++) this.#words[at + i] = stored.words[from + i] as number;
  }

  /** Makes room for one more, and returns its number. */
  #grow(): number {
    if ((this.#length + 1) * NUMBERS > this.#numbers.length) {
      const grown = new BigInt64Array(this.#numbers.length * 2);
      grown.set(this.#numbers);
      this.#numbers = grown;
      this.#words = new Uint32Array(grown.buffer);
    }
    return this.#length++;
  }

  /** The bytes to keep for a snapshot, in shared memory; its id is filled in by `sealFacts`. */
  finish(): Uint8Array {
    const length = this.#length * NUMBERS * 8;
    const bytes = new Uint8Array(new SharedArrayBuffer(HEADER_BYTES + length + DIGEST_BYTES));
    bytes.set(new Uint8Array(this.#numbers.buffer, 0, length), HEADER_BYTES);
    return bytes;
  }
}

/** Ties facts to their snapshot, and to themselves. */
export function sealFacts(bytes: Uint8Array, snapshotId: Uint8Array): void {
  bytes.set(MAGIC);
  bytes.set(snapshotId, MAGIC.length);
  const end = bytes.length - DIGEST_BYTES;
  bytes.set(sha256(bytes.slice(0, end)), end);
}

/** The facts of a snapshot's tree, as they were kept. */
export class StoredFacts {
  readonly #numbers: BigInt64Array;
  /** The same, six words for each path. */
  readonly words: Uint32Array;

  private constructor(numbers: BigInt64Array) {
    this.#numbers = numbers;
    this.words = new Uint32Array(numbers.buffer);
  }

  /** @returns undefined for bytes that are not the whole facts of this snapshot. */
  static open(bytes: Uint8Array, snapshotId: Uint8Array): StoredFacts | undefined {
    const end = bytes.length - DIGEST_BYTES;
    if (end < HEADER_BYTES || (end - HEADER_BYTES) % (NUMBERS * 8) !== 0) return undefined;
    if (!sameBytes(bytes.subarray(0, MAGIC.length), MAGIC)) return undefined;
    const id = bytes.subarray(MAGIC.length, MAGIC.length + ID_BYTES);
    if (!sameBytes(id, snapshotId)) return undefined;
    if (!sameBytes(sha256(bytes.subarray(0, end)), bytes.subarray(end))) return undefined;
    // A copy: 64-bit numbers must lie at multiples of 8.
    const numbers = new BigInt64Array(bytes.slice(HEADER_BYTES, end).buffer);
    return new StoredFacts(numbers);
  }

  /** Paths that there are facts of. */
  get length(): number {
    return this.#numbers.length / NUMBERS;
  }

  /** Whether a path is what it was. */
  isSame(ordinal: number, { device, inode, changedNs }: PathFacts): boolean {
    const at = ordinal * NUMBERS;
    const isKnown = this.#numbers[at + 1] !== 0n;
    return (
      isKnown &&
      this.#numbers[at] === BigInt.asIntN(64, device) &&
      this.#numbers[at + 1] === BigInt.asIntN(64, inode) &&
      this.#numbers[at + 2] === BigInt.asIntN(64, changedNs)
    );
  }

  /** The same, of facts in words. */
  hasWords(ordinal: number, { words: now }: FactWords): boolean {
    const { words } = this;
    const at = ordinal * WORDS;
    const isKnown = words[at + 2] !== 0 || words[at + 3] !== 0;
    return (
      isKnown &&
      words[at + 4] === now[4] &&
      words[at + 5] === now[5] &&
      words[at + 2] === now[2] &&
      words[at + 3] === now[3] &&
      words[at] === now[0] &&
      words[at + 1] === now[1]
    );
  }
}
