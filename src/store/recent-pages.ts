/**
 * The pages that one capture has found to be new so far, by digest: a set-associative table of a
 * fixed size. A set that is full forgets its oldest entry, and of very many pages the oldest are
 * forgotten; a duplicate of a forgotten page is stored again. That costs bytes, never a page.
 *
 * Memory: 36 bytes an entry, 512 Ki entries: 19 MB. Of 2 GiB of new pages, four fifths are found.
 * Small captures touch little of it, the digests in the order of the pages and as many sets as
 * there are pages: new memory costs 0.5 ms a MB, and more where threads want it at the same time.
 */
import { DIGEST_BYTES } from '#digest';

const WAYS = 4;
const SETS = 2 ** 17;
const MIN_SETS = 2 ** 10;
const CAPACITY = SETS * WAYS;
const DIGEST_WORDS = DIGEST_BYTES / 4;

/** Digest to number, for the new pages of one capture. */
export class RecentPages {
  /** Of each set, numbers + 1, the newest first; 0 is an empty entry. */
  readonly #numbers = new Uint32Array(CAPACITY);
  /** Of the last pages, by the rest of their numbers. */
  readonly #digests = new Int32Array(CAPACITY * DIGEST_WORDS);
  /** Numbers below have been forgotten. */
  #oldest = 0;
  #sets = SETS;

  /** Begins a capture of so many pages: fewer of them use less of the memory. */
  begin(pages: number): void {
    this.clear();
    this.#sets = MIN_SETS;
    while (this.#sets < SETS && this.#sets < pages) this.#sets *= 2;
  }

  /** The number of the page whose digest is the `index`-th of `digests`, or -1. */
  find(digests: Int32Array, index: number): number {
    const first = this.#setOf(digests, index);
    for (let entry = first; entry < first + WAYS; entry++) {
      const number = (this.#numbers[entry] as number) - 1;
      if (number < this.#oldest) return -1;
      if (this.#holds(number, digests, index)) return number;
    }
    return -1;
  }

  #holds(number: number, digests: Int32Array, index: number): boolean {
    const own = (number % CAPACITY) * DIGEST_WORDS;
    const other = index * DIGEST_WORDS;
    for (let word = 0; word < DIGEST_WORDS; word++) {
      if (this.#digests[own + word] !== digests[other + word]) return false;
    }
    return true;
  }

  /** Remembers a page that is new; numbers ascend from 0 on. */
  add(digests: Int32Array, index: number, number: number): void {
    const first = this.#setOf(digests, index);
    for (let entry = first + WAYS - 1; entry > first; entry--) {
      this.#numbers[entry] = this.#numbers[entry - 1] as number;
    }
    this.#numbers[first] = number + 1;
    const own = (number % CAPACITY) * DIGEST_WORDS;
    const other = index * DIGEST_WORDS;
    for (let word = 0; word < DIGEST_WORDS; word++) {
      this.#digests[own + word] = digests[other + word] as number;
    }
    this.#oldest = Math.max(0, number + 1 - CAPACITY);
  }

  /** Forgets everything. */
  clear(): void {
    this.#numbers.fill(0, 0, this.#sets * WAYS);
    this.#oldest = 0;
  }

  /** The third word of the digest: the bytes before choose the place in a run. */
  #setOf(digests: Int32Array, index: number): number {
    return ((digests[index * DIGEST_WORDS + 2] as number) & (this.#sets - 1)) * WAYS;
  }
}
