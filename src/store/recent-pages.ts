/**
 * The pages that one capture has added so far, by digest: a set-associative table of a fixed size.
 * A set that is full forgets its oldest entry; a duplicate of a forgotten page is stored again.
 * That costs bytes, never a page.
 *
 * Memory: 36 bytes an entry, 512 Ki entries: 19 MB, of which small captures touch little. It
 * covers 2 GiB of new pages before it forgets much.
 */
import { DIGEST_BYTES } from '#digest';

const WAYS = 4;
const SETS = 2 ** 17;

/** Digest to slot, for the pages of one capture. */
export class RecentPages {
  readonly #digests: Buffer = Buffer.alloc(SETS * WAYS * DIGEST_BYTES);
  /** Slot + 1; 0 is an empty entry. */
  readonly #slots = new Uint32Array(SETS * WAYS);
  /** The way of each set that is overwritten next. */
  readonly #nextWay = new Uint8Array(SETS);

  /** The slot of the page whose digest is in `digests` at `offset`, or -1. */
  find(digests: Buffer, offset: number): number {
    const first = setOf(digests, offset) * WAYS;
    for (let entry = first; entry < first + WAYS; entry++) {
      const slot = this.#slots[entry] as number;
      if (slot === 0) return -1;
      const at = entry * DIGEST_BYTES;
      const end = at + DIGEST_BYTES;
      if (this.#digests.compare(digests, offset, offset + DIGEST_BYTES, at, end) === 0) {
        return slot - 1;
      }
    }
    return -1;
  }

  /** Remembers a page that has just been added. */
  add(digests: Buffer, offset: number, slot: number): void {
    const set = setOf(digests, offset);
    const way = this.#nextWay[set] as number;
    this.#nextWay[set] = (way + 1) % WAYS;
    const entry = set * WAYS + way;
    digests.copy(this.#digests, entry * DIGEST_BYTES, offset, offset + DIGEST_BYTES);
    this.#slots[entry] = slot + 1;
  }
}

/** Bytes 6 to 9 of the digest: the ones before choose the place in a run. */
function setOf(digests: Buffer, offset: number): number {
  return digests.readUInt32LE(offset + 6) % SETS;
}
