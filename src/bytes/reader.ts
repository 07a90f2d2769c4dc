/**
 * Reads numbers and byte strings from a buffer, front to back.
 *
 * Every read is checked against what is left before it is made; a decoder that ends calls `end()`,
 * so that it consumes its input exactly or throws. Integers are little-endian; a varint is LEB128
 * and must fit 2^53. Byte strings are views, not copies.
 */
import { StoreError, type StoreErrorCode } from '../errors.ts';

/** What a failed read reports: the code, the file, and where the buffer starts inside it. */
export interface ReaderPlace {
  readonly code: StoreErrorCode;
  readonly file?: string | undefined;
  readonly offset?: number | undefined;
}

/** A cursor over a buffer that cannot read past its end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #place: ReaderPlace;
  #position = 0;

  /** @param place where the bytes come from, for errors. */
  constructor(bytes: Uint8Array, place: ReaderPlace) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#place = place;
  }

  /** Bytes read so far. */
  get position(): number {
    return this.#position;
  }

  /** Bytes left to read. */
  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  /** The error to throw for what was just read. */
  fail(message: string): StoreError {
    const { code, file, offset = 0 } = this.#place;
    return new StoreError(code, message, { file, offset: offset + this.#position });
  }

  /** Moves over `length` bytes and returns where they start. */
  #take(length: number): number {
    const start = this.#position;
    if (length > this.#bytes.length - start) {
      throw this.fail(`${length} bytes expected, ${this.#bytes.length - start} left`);
    }
    this.#position = start + length;
    return start;
  }

  /** One byte. */
  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  /** Two bytes, little-endian. */
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  /** Four bytes, little-endian. */
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** Eight bytes, little-endian. */
  bigU64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** Eight bytes, little-endian; must fit 2^53. */
  u64(): number {
    const value = this.bigU64();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.fail(`number ${value} is too large`);
    return Number(value);
  }

  /** An unsigned LEB128 number; must fit 2^53 and use no more bytes than it needs. */
  varint(): number {
    // Most are of one byte, and there are millions of them in a restore.
    const first = this.#bytes[this.#position];
    if (first !== undefined && first < 0x80) {
      this.#position += 1;
      return first;
    }
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw this.fail('varint exceeds 2^53');
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) throw this.fail('varint is longer than it needs to be');
        return value;
      }
      scale *= 128;
      if (scale > 2 ** 49) throw this.fail('varint exceeds 2^53');
    }
  }

  /** A varint that counts things and must not exceed `maximum`. */
  count(maximum: number, what: string): number {
    const value = this.varint();
    if (value > maximum) throw this.fail(`${value} ${what}, at most ${maximum} are allowed`);
    return value;
  }

  /** The next `length` bytes, as a view. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Passes over the next `length` bytes; returns where they begin. */
  skip(length: number): number {
    return this.#take(length);
  }

  /** A varint length of at most `maximum`, then that many bytes, as a view. */
  byteString(maximum: number, what: string): Uint8Array {
    return this.bytes(this.count(maximum, `bytes of ${what}`));
  }

  /** A byte string that must be UTF-8. */
  text(maximum: number, what: string): string {
    const bytes = this.byteString(maximum, what);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw this.fail(`${what} is not UTF-8`);
    }
  }

  /** Throws unless everything has been read. */
  end(): void {
    if (this.remaining > 0) throw this.fail(`${this.remaining} bytes too many`);
  }
}
