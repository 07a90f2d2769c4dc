/**
 * The difference between a page and its base: runs of new bytes, with the unchanged bytes between
 * them left out. Pure; how differences lie in a frame is in delta-frame.ts.
 *
 * Not an XOR of whole pages: 64 differences of a redis page are 2 KB instead of 256 KB of mostly
 * zeros, so that chains of 16 cost little to follow, and zstd has nothing to skip. Kept bytes of
 * the page data, in percent of three series (redis, python, node): as XOR at level 1 1.04, 5.14 and
 * 6.74; as runs of new bytes at level 3 1.00, 4.81 and 6.60, in a third of the time.
 */
import { PAGE_BYTES } from '../bytes/page.ts';

/** Words of 4 bytes of a page. */
const PAGE_WORDS = PAGE_BYTES / 4;
/** A changed word so many words after another is in the same run: a new one costs two bytes. */
const GAP_WORDS = 2;
/** Above this many bytes a page is stored in full: it hardly shrinks any more as a difference. */
const MAX_DIFF_BYTES = 2048;
/** Fields in front of a record: depth, segment and slot of the base, lengths of the columns. */
const RECORD_HEADER_BYTES = 16;

/**
 * Writes differences as records, which travel between threads in the place of the page itself:
 *
 * ```
 * base segment u32 | base slot u32 | depth u16 | bytes of skips, lengths and new bytes, u16 each
 * | skips | lengths | new bytes
 * ```
 *
 * A skip counts the unchanged bytes before a run, a length the bytes of a run less one, both as
 * varints.
 */
export class PageDiff {
  readonly #skips = new Uint8Array(PAGE_BYTES);
  readonly #lengths = new Uint8Array(PAGE_BYTES);
  readonly #bytes = new Uint8Array(PAGE_BYTES);
  #skipsLength = 0;
  #lengthsLength = 0;
  #bytesLength = 0;

  /**
   * Compares two pages of 4096 bytes, given also as words.
   *
   * @returns false when they differ in too much to be worth a difference.
   */
  compare(page: PageView, base: PageView): boolean {
    this.#skipsLength = 0;
    this.#lengthsLength = 0;
    this.#bytesLength = 0;
    const [a, b] = [page.words, base.words];
    let word = 0;
    let end = 0;
    for (;;) {
      while (word < PAGE_WORDS && a[word] === b[word]) word += 1;
      if (word === PAGE_WORDS) return true;
      const first = word;
      let last = word;
      for (word += 1; word < PAGE_WORDS && word - last <= GAP_WORDS; word++) {
        if (a[word] !== b[word]) last = word;
      }
      end = this.#addRun(page.bytes, base.bytes, { first, last, end });
      if (this.#cost() > MAX_DIFF_BYTES) return false;
    }
  }

  #cost(): number {
    return this.#skipsLength + this.#lengthsLength + this.#bytesLength;
  }

  /** Adds the run of words `first` to `last`, less the equal bytes at its ends; returns its end. */
  #addRun(
    page: Uint8Array,
    base: Uint8Array,
    run: { readonly first: number; readonly last: number; readonly end: number },
  ): number {
    let start = run.first * 4;
    let end = run.last * 4 + 4;
    while (page[start] === base[start]) start += 1;
    while (page[end - 1] === base[end - 1]) end -= 1;
    this.#skipsLength = writeVarint(this.#skips, this.#skipsLength, start - run.end);
    this.#lengthsLength = writeVarint(this.#lengths, this.#lengthsLength, end - start - 1);
    for (let i = start; i < end; i++) this.#bytes[this.#bytesLength++] = page[i] as number;
    return end;
  }

  /** Writes the last comparison as a record at `offset` of `target`, over at most 4096 bytes. */
  writeRecord(target: Uint8Array, offset: number, base: BaseOfRecord): void {
    const view = new DataView(target.buffer, target.byteOffset + offset, PAGE_BYTES);
    view.setUint32(0, base.segment, true);
    view.setUint32(4, base.slot, true);
    view.setUint16(8, base.depth, true);
    view.setUint16(10, this.#skipsLength, true);
    view.setUint16(12, this.#lengthsLength, true);
    view.setUint16(14, this.#bytesLength, true);
    let at = offset + RECORD_HEADER_BYTES;
    at = copy(target, at, this.#skips, this.#skipsLength);
    at = copy(target, at, this.#lengths, this.#lengthsLength);
    copy(target, at, this.#bytes, this.#bytesLength);
  }
}

/** A page as bytes and as words: both see the same memory. */
export interface PageView {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

/** What a record says about its base. */
export interface BaseOfRecord {
  /** Number of the segment, as the thread that reads the record knows it. */
  readonly segment: number;
  readonly slot: number;
  /** Of the delta page itself: one more than its base's. */
  readonly depth: number;
}

/** A record, as parts of the buffer that holds it. */
export interface DiffRecord extends BaseOfRecord {
  readonly skips: Uint8Array;
  readonly lengths: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Reads the record at `offset`. */
export function readRecord(source: Uint8Array, offset: number): DiffRecord {
  const view = new DataView(source.buffer, source.byteOffset + offset, PAGE_BYTES);
  const skips = offset + RECORD_HEADER_BYTES;
  const lengths = skips + view.getUint16(10, true);
  const bytes = lengths + view.getUint16(12, true);
  return {
    segment: view.getUint32(0, true),
    slot: view.getUint32(4, true),
    depth: view.getUint16(8, true),
    skips: source.subarray(skips, lengths),
    lengths: source.subarray(lengths, bytes),
    bytes: source.subarray(bytes, bytes + view.getUint16(14, true)),
  };
}

function writeVarint(target: Uint8Array, offset: number, value: number): number {
  if (value < 0x80) {
    target[offset] = value;
    return offset + 1;
  }
  target[offset] = (value & 0x7f) | 0x80;
  target[offset + 1] = value >>> 7;
  return offset + 2;
}

/** Byte by byte: most are short, and a view costs more than 50 bytes do. */
function copy(target: Uint8Array, offset: number, source: Uint8Array, length: number): number {
  for (let i = 0; i < length; i++) target[offset + i] = source[i] as number;
  return offset + length;
}
