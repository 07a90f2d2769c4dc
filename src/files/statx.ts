/**
 * Answers of statx(2): buffers that the kernel fills, and the facts that are in them. The layout
 * is the same on all machines; numbers are in the machine's own order of bytes.
 */
import type { FileKind, NodeFacts, NodeType } from './files.ts';

/** Bytes of an answer. */
export const ANSWER_BYTES = 256;
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

const DIRECTORY_BITS = 0o040000;
const WORDS = ANSWER_BYTES / 4;
const WORD = 2 ** 32;
/** Which half of a number of 64 bits is the low one on this machine. */
const LOW: number = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

/** Answers of statx, one behind the other. */
export class StatxAnswers {
  readonly #bytes: Uint8Array;
  readonly #short: Uint16Array;
  readonly #word: Uint32Array;
  readonly #long: BigInt64Array;
  readonly #views: Uint8Array[] = [];
  #device: { readonly major: number; readonly minor: number; readonly number: bigint } = {
    major: 0,
    minor: 0,
    number: 0n,
  };

  /** @param bytes all of a buffer: 256 bytes for each answer. */
  constructor(bytes: Uint8Array = new Uint8Array(ANSWER_BYTES)) {
    this.#bytes = bytes;
    this.#short = new Uint16Array(bytes.buffer);
    this.#word = new Uint32Array(bytes.buffer);
    this.#long = new BigInt64Array(bytes.buffer);
  }

  /** The place of an answer, for the kernel to fill. */
  view(answer: number): Uint8Array {
    // Made once: a view for each of 100,000 calls takes 20 ms.
    return (this.#views[answer] ??= this.#bytes.subarray(
      answer * ANSWER_BYTES,
      (answer + 1) * ANSWER_BYTES,
    ));
  }

  /** Says that there is no answer. */
  clear(answer: number): void {
    this.#short[answer * WORDS * 2 + 14] = 0;
  }

  /** A copy of some answers, the first of which has the number 0 there. */
  copy(first: number, end: number): StatxAnswers {
    return new StatxAnswers(this.#bytes.slice(first * ANSWER_BYTES, end * ANSWER_BYTES));
  }

  /** What one says; undefined for none, and for a type of file that nobody knows. */
  facts(answer = 0): NodeFacts | undefined {
    const [short, word, long] = [this.#short, this.#word, this.#long];
    const at = answer * WORDS;
    const longAt = at / 2;
    const mode = short[at * 2 + 14]!;
    const type = TYPES.get(mode & TYPE_MASK);
    if (type === undefined) return undefined;
    return {
      kind: kindOf(type),
      type,
      mode: mode & 0o7777,
      linkCount: word[at + 4]!,
      uid: word[at + 5]!,
      gid: word[at + 6]!,
      inode: BigInt.asUintN(64, long[longAt + 4]!),
      sizeBytes: Number(long[longAt + 5]!),
      allocatedBytes: Number(long[longAt + 6]!) * BLOCK_BYTES,
      changedNs: long[longAt + 12]! * NS_PER_SECOND + BigInt(word[at + 26]!),
      modifiedNs: long[longAt + 14]! * NS_PER_SECOND + BigInt(word[at + 30]!),
      deviceMajor: word[at + 32]!,
      deviceMinor: word[at + 33]!,
      device: this.device(answer),
    };
  }

  /** Whether one is of something that is no directory and has one name. */
  isOfOneName(answer: number): boolean {
    const bits = (this.#short[answer * WORDS * 2 + 14] as number) & TYPE_MASK;
    if (bits === 0 || bits === DIRECTORY_BITS) return false;
    return (this.#word[answer * WORDS + 4] as number) <= 1;
  }

  /** The device that it is on. */
  device(answer: number): bigint {
    const [major, minor] = [this.#word[answer * WORDS + 34]!, this.#word[answer * WORDS + 35]!];
    const last = this.#device;
    // Mostly the same one: BigInts for each of 100,000 take 20 ms.
    if (last.major === major && last.minor === minor) return last.number;
    const number = deviceNumber(major, minor);
    this.#device = { major, minor, number };
    return number;
  }

  /** The low and the high half of its inode. */
  inodeLow(answer: number): number {
    return this.#word[answer * WORDS + 8 + LOW]!;
  }

  /** See above. */
  inodeHigh(answer: number): number {
    return this.#word[answer * WORDS + 8 + HIGH]!;
  }

  /** Whole seconds of the time of its last change. */
  changedSeconds(answer: number): number {
    const at = answer * WORDS + 24;
    return (this.#word[at + HIGH]! | 0) * WORD + this.#word[at + LOW]!;
  }

  /** The rest of that time. */
  changedNanoseconds(answer: number): number {
    return this.#word[answer * WORDS + 26]!;
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
