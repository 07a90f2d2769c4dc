/**
 * Where segments are: identity to number, number to pack. One table of a store, in shared memory,
 * so that every thread that reads pages has the same one: the thread that owns the catalog adds
 * rows, the others only read, and learn of them with their next task.
 *
 * A row is what the catalog gives of a segment, so that thousands are taken with one copy: its
 * identity, the digest that its pack is named by, its local number there, and its number, which is
 * 0 where there is none; the last two big-endian.
 *
 * 72 bytes a segment: an open-addressed hash table over rows in the order of their numbers. A full
 * table is copied into a larger one, which readers are handed with their next task.
 */
import { SEGMENT_ID_BYTES } from './format.ts';

const NAME_BYTES = 32;
const LOCAL_OFFSET = SEGMENT_ID_BYTES + NAME_BYTES;
const NUMBER_OFFSET = LOCAL_OFFSET + 4;
/** Of a row. */
export const SEGMENT_ROW_BYTES: number = NUMBER_OFFSET + 4;
const ROW_WORDS = SEGMENT_ROW_BYTES / 4;
const IDENTITY_WORDS = SEGMENT_ID_BYTES / 4;
const FIRST_CAPACITY = 64;
/** Places of the hash table for each row. */
const LOAD = 4;

/** An identity that is looked for alone, aligned: memory for each took as long as the search. */
const one = wordsAndBytes(IDENTITY_WORDS);

function wordsAndBytes(count: number): { readonly words: Uint32Array; readonly bytes: Uint8Array } {
  const words = new Uint32Array(count);
  return { words, bytes: new Uint8Array(words.buffer) };
}

/** Identities, numbers and packs of segments. */
export class SegmentTable {
  /** The shared memory of the table; replaced when it grows. */
  buffer: SharedArrayBuffer;
  #capacity: number;
  #rows: Uint8Array;
  /** The same bytes: for names, in hex. */
  #names: Buffer;
  #words: Uint32Array;
  #view: DataView;
  #places: Int32Array;

  /** @param buffer of another thread's table; a new one unless given. */
  constructor(buffer: SharedArrayBuffer = bufferFor(FIRST_CAPACITY)) {
    this.buffer = buffer;
    this.#capacity = buffer.byteLength / (SEGMENT_ROW_BYTES + LOAD * 4);
    this.#rows = new Uint8Array(buffer, 0, this.#capacity * SEGMENT_ROW_BYTES);
    this.#names = Buffer.from(buffer);
    this.#words = new Uint32Array(buffer);
    this.#view = new DataView(buffer);
    this.#places = new Int32Array(buffer, this.#capacity * SEGMENT_ROW_BYTES);
  }

  /** Adds a segment; `number` is the catalog's, from 1 and nearly without gaps. */
  add(number: number, identity: Uint8Array, packName: string, local: number): void {
    this.reserve(number);
    const row = number * SEGMENT_ROW_BYTES;
    this.#rows.set(identity, row);
    this.#names.write(packName, row + SEGMENT_ID_BYTES, NAME_BYTES, 'hex');
    this.#view.setUint32(row + LOCAL_OFFSET, local);
    this.#view.setUint32(row + NUMBER_OFFSET, number);
    this.#insert(number);
  }

  /** Adds segments by their rows, in the order of their numbers. */
  addRows(rows: Uint8Array): void {
    const view = new DataView(rows.buffer, rows.byteOffset, rows.length);
    const count = rows.length / SEGMENT_ROW_BYTES;
    const numberAt = (i: number): number => view.getUint32(i * SEGMENT_ROW_BYTES + NUMBER_OFFSET);
    let first = 0;
    for (let i = 1; i <= count; i++) {
      if (i < count && numberAt(i) === numberAt(i - 1) + 1) continue;
      this.#addStretch(rows.subarray(first * SEGMENT_ROW_BYTES, i * SEGMENT_ROW_BYTES), {
        from: numberAt(first),
        to: numberAt(i - 1),
      });
      first = i;
    }
  }

  /** Adds rows whose numbers follow each other. */
  #addStretch(rows: Uint8Array, { from, to }: { from: number; to: number }): void {
    this.reserve(to);
    this.#rows.set(rows, from * SEGMENT_ROW_BYTES);
    for (let number = from; number <= to; number++) this.#insert(number);
  }

  /** Forgets a segment. */
  drop(number: number): void {
    this.#view.setUint32(number * SEGMENT_ROW_BYTES + NUMBER_OFFSET, 0);
  }

  /** Makes room for numbers up to this one: for many, at once. */
  reserve(number: number): void {
    let capacity = this.#capacity;
    while (number >= capacity) capacity *= 2;
    if (capacity > this.#capacity) this.#grow(capacity);
  }

  #grow(capacity: number): void {
    const larger = new SegmentTable(bufferFor(capacity));
    larger.#rows.set(this.#rows);
    for (let number = 1; number < this.#capacity; number++) {
      if (this.has(number)) larger.#insert(number);
    }
    this.buffer = larger.buffer;
    this.#capacity = larger.#capacity;
    this.#rows = larger.#rows;
    this.#names = larger.#names;
    this.#words = larger.#words;
    this.#view = larger.#view;
    this.#places = larger.#places;
  }

  #insert(number: number): void {
    // Identities are random: their first bytes are a hash.
    let place = (this.#words[number * ROW_WORDS] as number) % this.#places.length;
    while (this.#places[place] !== 0 && this.#places[place] !== number) {
      place = (place + 1) % this.#places.length;
    }
    this.#places[place] = number;
  }

  /** Whether there is a segment of this number. */
  has(number: number): boolean {
    if (number < 1 || number >= this.#capacity) return false;
    return this.#view.getUint32(number * SEGMENT_ROW_BYTES + NUMBER_OFFSET) === number;
  }

  /** The number of the segment with this identity; 0 when it is not known. */
  find(identity: Uint8Array): number {
    if (identity.length !== SEGMENT_ID_BYTES) return 0;
    one.bytes.set(identity);
    return this.#findAt(one.words, 0);
  }

  /**
   * Finds the segments with these identities, one after the other, for the index asks for all at
   * once; the rest of `numbers` is left as it is.
   *
   * @param numbers where a number is 0, it is looked for; and stays 0 when it is not known.
   */
  findAll(identities: Uint8Array, numbers: Int32Array): void {
    // A copy, since words must be aligned.
    const wanted = new Uint32Array(new Uint8Array(identities).buffer);
    for (let i = 0; i < numbers.length; i++) {
      if (numbers[i] === 0) numbers[i] = this.#findAt(wanted, i * IDENTITY_WORDS);
    }
  }

  #findAt(wanted: Uint32Array, at: number): number {
    const places = this.#places;
    let place = (wanted[at] as number) % places.length;
    for (;;) {
      const number = places[place] as number;
      if (number === 0) return 0;
      if (this.#isAt(number, wanted, at) && this.has(number)) return number;
      place = (place + 1) % places.length;
    }
  }

  #isAt(number: number, wanted: Uint32Array, at: number): boolean {
    const row = number * ROW_WORDS;
    for (let i = 0; i < IDENTITY_WORDS; i++) {
      if (this.#words[row + i] !== wanted[at + i]) return false;
    }
    return true;
  }

  /** The identity of a segment. */
  identity(number: number): Uint8Array {
    const row = number * SEGMENT_ROW_BYTES;
    return this.#rows.subarray(row, row + SEGMENT_ID_BYTES);
  }

  /** The name of the pack that a segment is in. */
  packName(number: number): string {
    const name = number * SEGMENT_ROW_BYTES + SEGMENT_ID_BYTES;
    return this.#names.toString('hex', name, name + NAME_BYTES);
  }

  /** The local number of a segment in its pack. */
  local(number: number): number {
    return this.#view.getUint32(number * SEGMENT_ROW_BYTES + LOCAL_OFFSET);
  }
}

function bufferFor(capacity: number): SharedArrayBuffer {
  return new SharedArrayBuffer(capacity * (SEGMENT_ROW_BYTES + LOAD * 4));
}
