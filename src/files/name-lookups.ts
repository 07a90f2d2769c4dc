/**
 * Names in a directory that are to be looked at, many in one go, and what the system says of them:
 * in memory that two threads may share, each with a part of them.
 */
import { ANSWER_BYTES, StatxAnswers } from './statx.ts';

/** What Linux allows a name. */
const MAX_NAME_BYTES = 255;
/** The same, and a zero. */
const NAME_BYTES = 256;

/** The memory of lookups. */
export interface LookupMemory {
  /** Each a whole buffer. */
  readonly names: Uint8Array;
  readonly answers: Uint8Array;
}

/** Memory for so many names, of this thread or of all. */
export function lookupMemory(names: number, isShared: boolean): LookupMemory {
  const bytes = (length: number) =>
    isShared ? new Uint8Array(new SharedArrayBuffer(length)) : new Uint8Array(length);
  return { names: bytes(names * NAME_BYTES), answers: bytes(names * ANSWER_BYTES) };
}

/** Names and answers, by number. */
export class NameLookups {
  readonly answers: StatxAnswers;
  readonly #names: Uint8Array;
  readonly #views: Uint8Array[] = [];

  constructor({ names, answers }: LookupMemory) {
    this.#names = names;
    this.answers = new StatxAnswers(answers);
  }

  /** Sets a name: latin1, one character a byte. What can be none is never found. */
  setName(number: number, name: string): void {
    const names = this.#names;
    const at = number * NAME_BYTES;
    const { length } = name;
    let isPossible = length <= MAX_NAME_BYTES;
    // Not Buffer's `write`: 100,000 names take 8 ms instead of 14.
    for (let i = 0; isPossible && i < length; i++) {
      const byte = name.charCodeAt(i);
      names[at + i] = byte;
      isPossible = byte !== 0;
    }
    names[at + (isPossible ? length : 0)] = 0;
  }

  /** A name with a zero at its end, and more behind that. */
  name(number: number): Uint8Array {
    // Made once: a view for each of 100,000 calls takes 20 ms.
    return (this.#views[number] ??= this.#names.subarray(
      number * NAME_BYTES,
      (number + 1) * NAME_BYTES,
    ));
  }
}
