/**
 * Reads protobuf's wire format from a slice of a buffer, 64-bit varints as two halves.
 *
 * For decoders that run a million times and cannot afford an object per message: one cursor is
 * moved from slice to slice. It reads any varint that protobuf allows, longer ones than needed too.
 */
import { StoreError } from '../errors.ts';

/** A movable cursor; `low` and `high` are the halves of the varint read last. */
export class VarintCursor {
  readonly #bytes: Uint8Array;
  readonly #file: string | undefined;
  #position = 0;
  #end = 0;
  /** The lower 32 bits of the last varint, unsigned. */
  low = 0;
  /** The upper 32 bits of the last varint, unsigned. */
  high = 0;

  /** @param file where the bytes come from, for errors. */
  constructor(bytes: Uint8Array, file: string | undefined) {
    this.#bytes = bytes;
    this.#file = file;
  }

  /** Offset of the next byte in the buffer. */
  get position(): number {
    return this.#position;
  }

  /** Whether the slice has been read to its end. */
  get atEnd(): boolean {
    return this.#position === this.#end;
  }

  /** Moves to a slice, which must lie inside the buffer. */
  enter(start: number, end: number): void {
    this.#position = start;
    this.#end = end;
  }

  /** Reads a varint into `low` and `high`. */
  readVarint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#position >= this.#end) throw this.fail('a number is cut off');
      const byte = this.#bytes[this.#position++] ?? 0;
      const bits = byte & 0x7f;
      if (shift < 32) low |= bits << shift;
      if (shift === 28) high |= bits >>> 4;
      else if (shift > 28) high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw this.fail('a number is longer than 64 bits');
  }

  /** Moves over `length` bytes. */
  skip(length: number): void {
    if (length > this.#end - this.#position) throw this.fail('a field is cut off');
    this.#position += length;
  }

  /** An INVALID_IMAGE error at this place, or at `offset`. */
  fail(message: string, offset: number = this.#position): StoreError {
    return new StoreError('INVALID_IMAGE', message, { file: this.#file, offset });
  }

  /** An UNSUPPORTED_IMAGE error at this place, or at `offset`. */
  refuse(message: string, offset: number = this.#position): StoreError {
    return new StoreError('UNSUPPORTED_IMAGE', message, { file: this.#file, offset });
  }
}
