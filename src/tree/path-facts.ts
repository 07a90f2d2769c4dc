/**
 * What a capture remembers of every path of a tree, to know at the next one that nothing about it
 * has changed: device, inode, and the time of its last change, in the order of the tree. A cache:
 * a tree without them is read anew (FORMAT.md, section 5).
 */
import { DIGEST_BYTES, sha256 } from '#digest';
import { sameBytes } from '../bytes/hex.ts';
import { ID_BYTES } from '../bytes/id.ts';
import { BigColumn } from './columns.ts';

/** The facts about one path. */
export interface PathFacts {
  readonly device: bigint;
  readonly inode: bigint;
  readonly changedNs: bigint;
}

const MAGIC = new TextEncoder().encode('criutlpf');
const HEADER_BYTES = 32;
const NUMBERS = 3;

/** Collects the facts of a tree. */
export class PathFactsBuilder {
  readonly #numbers = new BigColumn();

  /** Appends those of the next path; undefined where it is to be read next time. */
  add(facts: PathFacts | undefined): void {
    this.#numbers.push(facts?.device ?? 0n);
    this.#numbers.push(facts?.inode ?? 0n);
    this.#numbers.push(facts?.changedNs ?? 0n);
  }

  /** The bytes to keep for a snapshot, in shared memory; its id is filled in by `sealFacts`. */
  finish(): Uint8Array {
    const numbers = this.#numbers.values();
    const bytes = new Uint8Array(
      new SharedArrayBuffer(HEADER_BYTES + numbers.byteLength + DIGEST_BYTES),
    );
    bytes.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), HEADER_BYTES);
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

  private constructor(numbers: BigInt64Array) {
    this.#numbers = numbers;
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
}
