/**
 * Where segments are: identity to number, number to pack. One table of a store, in shared memory,
 * so that every thread that reads pages has the same one: the thread that owns the catalog adds
 * rows, the others only read, and learn of them with their next task.
 *
 * 72 bytes a segment: an open-addressed hash table over rows in the order of their numbers. A full
 * table is copied into a larger one, which readers are handed with their next task.
 */
import { SEGMENT_ID_BYTES } from './format.ts';

const NAME_BYTES = 32;
const ROW_BYTES = 56;
const LOCAL_OFFSET = SEGMENT_ID_BYTES + NAME_BYTES;
const PRESENT_OFFSET = LOCAL_OFFSET + 4;
const FIRST_CAPACITY = 64;
/** Places of the hash table for each row. */
const LOAD = 4;

/** Identities, numbers and packs of segments. */
export class SegmentTable {
  /** The shared memory of the table; replaced when it grows. */
  buffer: SharedArrayBuffer;
  #capacity: number;
  #rows: Uint8Array;
  /** The same bytes: for names, in hex. */
  #names: Buffer;
  #view: DataView;
  #places: Int32Array;

  /** @param buffer of another thread's table; a new one unless given. */
  constructor(buffer: SharedArrayBuffer = bufferFor(FIRST_CAPACITY)) {
    this.buffer = buffer;
    this.#capacity = buffer.byteLength / (ROW_BYTES + LOAD * 4);
    this.#rows = new Uint8Array(buffer, 0, this.#capacity * ROW_BYTES);
    this.#names = Buffer.from(buffer);
    this.#view = new DataView(buffer);
    this.#places = new Int32Array(buffer, this.#capacity * ROW_BYTES);
  }

  /** Adds a segment; `number` is the catalog's, from 1 and nearly without gaps. */
  add(number: number, identity: Uint8Array, packName: string, local: number): void {
    this.reserve(number);
    const row = number * ROW_BYTES;
    this.#rows.set(identity, row);
    this.#names.write(packName, row + SEGMENT_ID_BYTES, NAME_BYTES, 'hex');
    this.#place(number, local);
  }

  /** Adds a segment whose identity and pack are one text in hex: 2,000 take 2 ms less. */
  addNamed(number: number, names: string, local: number): void {
    this.reserve(number);
    const row = number * ROW_BYTES;
    this.#names.write(names, row, LOCAL_OFFSET, 'hex');
    this.#place(number, local);
  }

  #place(number: number, local: number): void {
    const row = number * ROW_BYTES;
    this.#view.setUint32(row + LOCAL_OFFSET, local, true);
    this.#view.setUint32(row + PRESENT_OFFSET, 1, true);
    this.#insert(number);
  }

  /** Forgets a segment. */
  drop(number: number): void {
    this.#view.setUint32(number * ROW_BYTES + PRESENT_OFFSET, 0, true);
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
    this.#view = larger.#view;
    this.#places = larger.#places;
  }

  #insert(number: number): void {
    // Identities are random: their first bytes are a hash.
    let place = this.#view.getUint32(number * ROW_BYTES) % this.#places.length;
    while (this.#places[place] !== 0 && this.#places[place] !== number) {
      place = (place + 1) % this.#places.length;
    }
    this.#places[place] = number;
  }

  /** Whether there is a segment of this number. */
  has(number: number): boolean {
    if (number < 1 || number >= this.#capacity) return false;
    return this.#view.getUint32(number * ROW_BYTES + PRESENT_OFFSET, true) === 1;
  }

  /** The number of the segment with this identity; 0 when it is not known. */
  find(identity: Uint8Array): number {
    const [a = 0, b = 0, c = 0, d = 0] = identity;
    let place = (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) % this.#places.length;
    for (;;) {
      const number = this.#places[place] as number;
      if (number === 0) return 0;
      if (this.#isAt(number, identity) && this.has(number)) return number;
      place = (place + 1) % this.#places.length;
    }
  }

  /** Without a view for each: the index asks for all segments at once. */
  #isAt(number: number, identity: Uint8Array): boolean {
    const row = number * ROW_BYTES;
    for (let i = 0; i < SEGMENT_ID_BYTES; i++) {
      if (this.#rows[row + i] !== identity[i]) return false;
    }
    return true;
  }

  /** The identity of a segment. */
  identity(number: number): Uint8Array {
    const row = number * ROW_BYTES;
    return this.#rows.subarray(row, row + SEGMENT_ID_BYTES);
  }

  /** The name of the pack that a segment is in. */
  packName(number: number): string {
    const name = number * ROW_BYTES + SEGMENT_ID_BYTES;
    return this.#names.toString('hex', name, name + NAME_BYTES);
  }

  /** The local number of a segment in its pack. */
  local(number: number): number {
    return this.#view.getUint32(number * ROW_BYTES + LOCAL_OFFSET, true);
  }
}

function bufferFor(capacity: number): SharedArrayBuffer {
  return new SharedArrayBuffer(capacity * (ROW_BYTES + LOAD * 4));
}
