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
  /** Where the last run ends, in the page. */
  #end = 0;

  /**
   * Compares two pages of 4096 bytes in memory that is given also as words.
   *
   * @param pageStart where the page begins, a multiple of 4.
   * @param baseStart where its base does.
   * @returns false when they differ in too much to be worth a difference.
   */
  compare(page: PageView, base: PageView, pageStart = 0, baseStart = 0): boolean {
    this.#skipsLength = 0;
    this.#lengthsLength = 0;
    this.#bytesLength = 0;
    this.#end = 0;
    const a = page.words;
    const b = base.words;
    const firstWord = pageStart / 4;
    const lastWord = firstWord + PAGE_WORDS;
    const distance = baseStart / 4 - firstWord;
    let word = firstWord;
    for (;;) {
      while (word < lastWord && a[word] === b[word + distance]) word += 1;
      if (word === lastWord) return true;
      const first = word;
      let last = word;
      for (word += 1; word < lastWord && word - last <= GAP_WORDS; word++) {
        if (a[word] !== b[word + distance]) last = word;
      }
      const start = pageStart + (first - firstWord) * 4;
      const length = (last - first) * 4 + 4;
      this.#addRun(page.bytes, pageStart, base.bytes, baseStart - pageStart, start, length);
      if (this.#cost() > MAX_DIFF_BYTES) return false;
    }
  }

  #cost(): number {
    return this.#skipsLength + this.#lengthsLength + this.#bytesLength;
  }

  /**
   * Adds a run of words, less the equal bytes at its ends. Arguments one by one: a call for every
   * seventh byte that changed makes objects of them felt.
   */
  #addRun(
    page: Uint8Array,
    pageStart: number,
    base: Uint8Array,
    distance: number,
    first: number,
    length: number,
  ): void {
    let start = first;
    let end = first + length;
    while (page[start] === base[start + distance]) start += 1;
    while (page[end - 1] === base[end - 1 + distance]) end -= 1;
    const skip = start - pageStart - this.#end;
    this.#skipsLength = writeVarint(this.#skips, this.#skipsLength, skip);
    this.#lengthsLength = writeVarint(this.#lengths, this.#lengthsLength, end - start - 1);
    let to = this.#bytesLength;
    for (let i = start; i < end; i++) this.#bytes[to++] = page[i] as number;
    this.#bytesLength = to;
    this.#end = end - pageStart;
  }

  /** Writes the last comparison as a record at `offset` of `target`, over at most 4096 bytes. */
  writeRecord(target: Uint8Array, offset: number, base: BaseOfRecord): void {
    writeU16(target, offset, base.segment);
    writeU16(target, offset + 2, base.segment >>> 16);
    writeU16(target, offset + 4, base.slot);
    writeU16(target, offset + 6, base.slot >>> 16);
    writeU16(target, offset + 8, base.depth);
    writeU16(target, offset + 10, this.#skipsLength);
    writeU16(target, offset + 12, this.#lengthsLength);
    writeU16(target, offset + 14, this.#bytesLength);
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
  segment: number;
  slot: number;
  /** Of the delta page itself: one more than its base's. */
  depth: number;
}

/** A record: what it says of the base, and where its columns lie in the buffer that holds it. */
export interface DiffRecord extends BaseOfRecord {
  source: Uint8Array;
  /** Where the skips begin; then come the lengths, then the new bytes. */
  start: number;
  skipsLength: number;
  lengthsLength: number;
  bytesLength: number;
}

/** A record to read into: one serves for all pages, of which there are 100,000 a second. */
export function newRecord(): DiffRecord {
  const source = new Uint8Array(0);
  const lengths = { skipsLength: 0, lengthsLength: 0, bytesLength: 0 };
  return { segment: 0, slot: 0, depth: 0, source, start: 0, ...lengths };
}

/** Reads the record at `offset`. */
export function readRecord(source: Uint8Array, offset: number, record: DiffRecord): void {
  record.segment = readU16(source, offset) + readU16(source, offset + 2) * 0x10000;
  record.slot = readU16(source, offset + 4) + readU16(source, offset + 6) * 0x10000;
  record.depth = readU16(source, offset + 8);
  record.skipsLength = readU16(source, offset + 10);
  record.lengthsLength = readU16(source, offset + 12);
  record.bytesLength = readU16(source, offset + 14);
  record.source = source;
  record.start = offset + RECORD_HEADER_BYTES;
}

function readU16(source: Uint8Array, offset: number): number {
  return (source[offset] as number) | ((source[offset + 1] as number) << 8);
}

function writeU16(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value & 0xff;
  target[offset + 1] = (value >>> 8) & 0xff;
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
