/**
 * The answer of statx(2): a buffer that the kernel fills, and the facts that are in it. The layout
 * is the same on all machines; numbers are in the machine's own order of bytes.
 */
import type { FileKind, NodeFacts, NodeType } from './files.ts';

const ANSWER_BYTES = 256;
const BLOCK_BYTES = 512;
const NS_PER_SECOND = 1_000_000_000n;

/** Everything up to the times and the number of blocks (STATX_BASIC_STATS). */
export const STATX_BASIC_FACTS = 0x7ff;

/** Bits of st_mode that tell the type. */
const TYPE_MASK = 0o170000;
const TYPES: ReadonlyMap<number, NodeType> = new Map([
  [0o010000, 'fifo'],
  [0o020000, 'character'],
  [0o040000, 'directory'],
  [0o060000, 'block'],
  [0o100000, 'file'],
  [0o120000, 'link'],
  [0o140000, 'socket'],
]);

/** A buffer for statx. */
export class StatxAnswer {
  /** For the kernel to fill. */
  readonly bytes: Uint8Array = new Uint8Array(ANSWER_BYTES);
  readonly #short = new Uint16Array(this.bytes.buffer);
  readonly #word = new Uint32Array(this.bytes.buffer);
  readonly #long = new BigInt64Array(this.bytes.buffer);

  /** What it says; undefined for a type of file that nobody knows. */
  facts(): NodeFacts | undefined {
    const [short, word, long] = [this.#short, this.#word, this.#long];
    const mode = short[14]!;
    const type = TYPES.get(mode & TYPE_MASK);
    if (type === undefined) return undefined;
    return {
      kind: kindOf(type),
      type,
      mode: mode & 0o7777,
      linkCount: word[4]!,
      uid: word[5]!,
      gid: word[6]!,
      inode: BigInt.asUintN(64, long[4]!),
      sizeBytes: Number(long[5]!),
      allocatedBytes: Number(long[6]!) * BLOCK_BYTES,
      changedNs: long[12]! * NS_PER_SECOND + BigInt(word[26]!),
      modifiedNs: long[14]! * NS_PER_SECOND + BigInt(word[30]!),
      deviceMajor: word[32]!,
      deviceMinor: word[33]!,
      device: deviceNumber(word[34]!, word[35]!),
    };
  }
}

function kindOf(type: NodeType): FileKind {
  return type === 'file' || type === 'directory' || type === 'link' ? type : 'other';
}

/** One number for a device, as makedev(3) of glibc makes it. */
export function deviceNumber(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (
    ((high & 0xfffff000n) << 32n) |
    ((high & 0xfffn) << 8n) |
    ((low & 0xffffff00n) << 12n) |
    (low & 0xffn)
  );
}
