/**
 * Builds a byte string front to back: the mirror image of reader.ts, in a buffer that grows by
 * doubling. `bytes()` returns a view that is valid until the next write.
 */

const ENCODER = new TextEncoder();
/** A length of one byte as a varint. */
const MAX_SHORT_TEXT = 0x80;

/** Appends numbers and byte strings. */
export class ByteWriter {
  #buffer: Uint8Array;
  #view: DataView;
  #length = 0;

  /** @param capacity bytes to reserve at first. */
  constructor(capacity = 256) {
    this.#buffer = new Uint8Array(capacity);
    this.#view = new DataView(this.#buffer.buffer);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** Forgets everything written, and keeps the buffer. */
  clear(): void {
    this.#length = 0;
  }

  /** Makes room for `length` bytes, perhaps in a new buffer and view; returns where they go. */
  #reserve(length: number): number {
    const start = this.#length;
    const end = start + length;
    if (end > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(end, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, start));
      this.#buffer = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#length = end;
    return start;
  }

  /** One byte. */
  u8(value: number): void {
    const start = this.#reserve(1);
    this.#buffer[start] = value;
  }

  /** Two bytes, little-endian. */
  u16(value: number): void {
    const start = this.#reserve(2);
    this.#view.setUint16(start, value, true);
  }

  /** Four bytes, little-endian. */
  u32(value: number): void {
    const start = this.#reserve(4);
    this.#view.setUint32(start, value, true);
  }

  /** Eight bytes, little-endian. */
  u64(value: number | bigint): void {
    const start = this.#reserve(8);
    this.#view.setBigUint64(start, BigInt(value), true);
  }

  /** An unsigned LEB128 number below 2^53. */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`varint of ${value}`);
    if (value < 0x80) {
      this.u8(value);
      return;
    }
    let rest = value;
    while (rest >= 0x80) {
      // Arithmetic instead of shifts: numbers reach 2^53, shifts stop at 2^32.
      this.u8((rest % 128) + 128);
      rest = Math.floor(rest / 128);
    }
    this.u8(rest);
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    const start = this.#reserve(bytes.length);
    this.#buffer.set(bytes, start);
  }

  /** A part of other bytes, mostly a short one: a view costs more than 50 bytes do. */
  part(bytes: Uint8Array, first: number, length: number): void {
    const start = this.#reserve(length);
    const buffer = this.#buffer;
    for (let i = 0; i < length; i++) buffer[start + i] = bytes[first + i] as number;
  }

  /** A varint length, then the bytes. */
  byteString(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** A byte string of UTF-8. */
  text(value: string): void {
    // A short ASCII one, as most are: an encoder's view and copy took most of a row's checksum.
    if (value.length < MAX_SHORT_TEXT && this.#shortText(value)) return;
    this.byteString(ENCODER.encode(value));
  }

  /** Writes the text if every character is one byte. */
  #shortText(value: string): boolean {
    const start = this.#reserve(1 + value.length);
    this.#buffer[start] = value.length;
    for (let i = 0; i < value.length; i++) {
      const character = value.charCodeAt(i);
      if (character >= 0x80) {
        this.#length = start;
        return false;
      }
      this.#buffer[start + 1 + i] = character;
    }
    return true;
  }

  /** What was written, as a view that the next write may invalidate. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }
}
