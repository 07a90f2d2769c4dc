/**
 * The pages that one capture has found to be new so far, by digest: a set-associative table of a
 * fixed size. A set that is full forgets its oldest entry; a duplicate of a forgotten page is
 * stored again. That costs bytes, never a page.
 *
 * Memory: 36 bytes an entry, 512 Ki entries: 19 MB, of which small captures touch little. It
 * covers 2 GiB of new pages before it forgets much. One table serves a store's captures in turn.
 */
import { DIGEST_BYTES } from '#digest';

const WAYS = 4;
const SETS = 2 ** 17;
const DIGEST_WORDS = DIGEST_BYTES / 4;
const MAX_USED = 2 ** 14;

/** Digest to number, for the new pages of one capture. */
export class RecentPages {
  readonly #digests = new Int32Array(SETS * WAYS * DIGEST_WORDS);
  /** Number + 1; 0 is an empty entry. */
  readonly #numbers = new Uint32Array(SETS * WAYS);
  /** The way of each set that is overwritten next. */
  readonly #nextWay = new Uint8Array(SETS);
  /** Sets that are not empty, as long as clearing them is cheaper than clearing all. */
  readonly #used = new Uint32Array(MAX_USED);
  #usedCount = 0;

  /** The number of the page whose digest is the `index`-th of `digests`, or -1. */
  find(digests: Int32Array, index: number): number {
    const first = setOf(digests, index) * WAYS;
    for (let entry = first; entry < first + WAYS; entry++) {
      const number = this.#numbers[entry] as number;
      if (number === 0) return -1;
      if (this.#holds(entry, digests, index)) return number - 1;
    }
    return -1;
  }

  #holds(entry: number, digests: Int32Array, index: number): boolean {
    for (let word = 0; word < DIGEST_WORDS; word++) {
      if (this.#digests[entry * DIGEST_WORDS + word] !== digests[index * DIGEST_WORDS + word]) {
        return false;
      }
    }
    return true;
  }

  /** Remembers a page that is new. */
  add(digests: Int32Array, index: number, number: number): void {
    const set = setOf(digests, index);
    const way = this.#nextWay[set] as number;
    this.#nextWay[set] = (way + 1) % WAYS;
    const entry = set * WAYS + way;
    for (let word = 0; word < DIGEST_WORDS; word++) {
      this.#digests[entry * DIGEST_WORDS + word] = digests[index * DIGEST_WORDS + word] as number;
    }
    this.#numbers[entry] = number + 1;
    if (this.#usedCount < MAX_USED) this.#used[this.#usedCount] = set;
    this.#usedCount += 1;
  }

  /** Forgets everything. */
  clear(): void {
    if (this.#usedCount > MAX_USED) {
      this.#numbers.fill(0);
      this.#nextWay.fill(0);
    }
    for (let i = 0; i < Math.min(this.#usedCount, MAX_USED); i++) {
      const set = this.#used[i] as number;
      this.#numbers.fill(0, set * WAYS, (set + 1) * WAYS);
      this.#nextWay[set] = 0;
    }
    this.#usedCount = 0;
  }
}

/** The second word of the digest: the bytes before choose the place in a run. */
function setOf(digests: Int32Array, index: number): number {
  return (digests[index * DIGEST_WORDS + 2] as number) & (SETS - 1);
}
