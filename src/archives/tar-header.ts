/**
 * One block of 512 bytes: the header of a tar member, in the formats of Unix V7, ustar and GNU.
 *
 * Names stay raw bytes and numbers exact; a field that is neither octal nor a base-256 number that
 * fits is an error, never a guess. (tar-stream has such a codec, but exports no part of it, and
 * reads negative base-256 numbers wrong by one.)
 */

/** Bytes of a block; everything in a tar begins at a multiple of it. */
export const BLOCK_BYTES = 512;

/** The fields of a header block, without what PAX records may change. */
export interface TarHeader {
  /** The byte that says what the member is; 0 reads as '0'. */
  readonly type: string;
  readonly name: Uint8Array;
  readonly linkName: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly modifiedSeconds: number;
  /** 0 unless the member is a device. */
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

/** Where a field is. */
interface Field {
  readonly offset: number;
  readonly length: number;
}

const NAME = { offset: 0, length: 100 } as const;
const MODE = { offset: 100, length: 8 } as const;
const OWNER = { offset: 108, length: 8 } as const;
const GROUP = { offset: 116, length: 8 } as const;
const SIZE = { offset: 124, length: 12 } as const;
const TIME = { offset: 136, length: 12 } as const;
const CHECKSUM = { offset: 148, length: 8 } as const;
const TYPE_OFFSET = 156;
const LINK_NAME = { offset: 157, length: 100 } as const;
const MAGIC_OFFSET = 257;
const DEVICE_MAJOR = { offset: 329, length: 8 } as const;
const DEVICE_MINOR = { offset: 337, length: 8 } as const;
const PREFIX = { offset: 345, length: 155 } as const;
const SPACE = 0x20;
const LOWEST_CHECKSUM_OF_DATA = CHECKSUM.length * SPACE;

/** Decodes a block. @throws Error that says what is wrong with it. */
export function decodeHeader(block: Uint8Array): TarHeader {
  if (!hasChecksum(block)) throw new Error('a tar header has a wrong checksum');
  const typeByte = block[TYPE_OFFSET]!;
  const type = String.fromCharCode(typeByte === 0 ? 0x30 : typeByte);
  const isDevice = type === '3' || type === '4';
  return {
    type,
    name: nameOf(block),
    linkName: textField(block, LINK_NAME),
    // Some writers put the type of the file there as well.
    mode: numberField(block, MODE, 'mode') & 0o7777,
    uid: idField(block, OWNER, 'owner'),
    gid: idField(block, GROUP, 'group'),
    sizeBytes: numberField(block, SIZE, 'size'),
    modifiedSeconds: signedField(block, TIME, 'time'),
    deviceMajor: isDevice ? numberField(block, DEVICE_MAJOR, 'device number') : 0,
    deviceMinor: isDevice ? numberField(block, DEVICE_MINOR, 'device number') : 0,
  };
}

/** Whether a block is a header, as far as its checksum tells. */
export function hasChecksum(block: Uint8Array): boolean {
  if (block.length < BLOCK_BYTES) return false;
  const sum = checksumOf(block);
  if (sum === LOWEST_CHECKSUM_OF_DATA) return false;
  return octal(block.subarray(CHECKSUM.offset, CHECKSUM.offset + CHECKSUM.length)) === sum;
}

/**
 * Writes a block, in the format of ustar. Names are cut to what there is room for, and numbers that
 * octal digits do not reach are in base 256, which not all readers know.
 */
export function encodeHeader(header: TarHeader): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(header.name.subarray(0, NAME.length), NAME.offset);
  block.set(header.linkName.subarray(0, LINK_NAME.length), LINK_NAME.offset);
  putNumber(block, MODE, header.mode);
  putNumber(block, OWNER, header.uid);
  putNumber(block, GROUP, header.gid);
  putNumber(block, SIZE, header.sizeBytes);
  putNumber(block, TIME, header.modifiedSeconds);
  block[TYPE_OFFSET] = header.type.charCodeAt(0);
  block.set(asciiBytes('ustar\u000000'), MAGIC_OFFSET);
  putNumber(block, DEVICE_MAJOR, header.deviceMajor);
  putNumber(block, DEVICE_MINOR, header.deviceMinor);
  putChecksum(block);
  return block;
}

/** The block with another size, and the checksum that belongs to it. */
export function withSize(block: Uint8Array, sizeBytes: number): Uint8Array {
  const changed = new Uint8Array(block);
  putNumber(changed, SIZE, sizeBytes);
  putChecksum(changed);
  return changed;
}

/** Octal digits and a NUL where they suffice; base 256 otherwise. */
function putNumber(block: Uint8Array, { offset, length }: Field, value: number): void {
  const field = block.subarray(offset, offset + length);
  const digits = value.toString(8);
  if (value >= 0 && digits.length < length) {
    field.set(asciiBytes(digits.padStart(length - 1, '0')));
    field[length - 1] = 0;
    return;
  }
  let left = BigInt(value);
  for (let i = length - 1; i >= 0; i--, left >>= 8n) field[i] = Number(left & 0xffn);
  field[0]! |= 0x80;
}

function putChecksum(block: Uint8Array): void {
  const sum = checksumOf(block).toString(8).padStart(6, '0');
  block.set(asciiBytes(sum), CHECKSUM.offset);
  block[CHECKSUM.offset + 6] = 0;
  block[CHECKSUM.offset + 7] = SPACE;
}

/** Bytes from the end of so much content to the next block. */
export function paddingOf(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** The bytes of a string of ASCII characters. */
export function asciiBytes(text: string): Uint8Array {
  // With `Uint8Array.from` and a function, headers with a time in PAX took twice as long.
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function checksumOf(block: Uint8Array): number {
  let sum = LOWEST_CHECKSUM_OF_DATA;
  for (let i = 0; i < BLOCK_BYTES; i++) {
    if (i < CHECKSUM.offset || i >= CHECKSUM.offset + CHECKSUM.length) sum += block[i]!;
  }
  return sum;
}

function nameOf(block: Uint8Array): Uint8Array {
  const name = textField(block, NAME);
  // "ustar" and NUL: POSIX. GNU has a space there, and other things in the place of the prefix.
  const isPosix = [0x75, 0x73, 0x74, 0x61, 0x72, 0].every(
    (byte, i) => block[MAGIC_OFFSET + i] === byte,
  );
  if (!isPosix || block[PREFIX.offset] === 0) return name;
  const prefix = textField(block, PREFIX);
  const whole = new Uint8Array(prefix.length + 1 + name.length);
  whole.set(prefix);
  whole[prefix.length] = 0x2f;
  whole.set(name, prefix.length + 1);
  return whole;
}

function textField(block: Uint8Array, { offset, length }: Field): Uint8Array {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return new Uint8Array(field.subarray(0, end < 0 ? length : end));
}

function idField(block: Uint8Array, field: Field, what: string): number {
  const value = numberField(block, field, what);
  if (value > 0xffffffff) throw new Error(`a tar header has the ${what} ${value}`);
  return value;
}

function numberField(block: Uint8Array, field: Field, what: string): number {
  const value = signedField(block, field, what);
  if (value < 0) throw new Error(`a tar header has the negative ${what} ${value}`);
  return value;
}

function signedField(block: Uint8Array, { offset, length }: Field, what: string): number {
  const field = block.subarray(offset, offset + length);
  const value = (field[0]! & 0x80) === 0 ? octal(field) : base256(field);
  if (value === undefined) throw new Error(`a tar header has a ${what} that is no number`);
  if (!Number.isSafeInteger(value)) throw new Error(`a tar header has an absurd ${what}`);
  return value;
}

/** Digits with spaces or NULs around them; nothing at all is 0. */
function octal(field: Uint8Array): number | undefined {
  let at = 0;
  while (at < field.length && field[at] === SPACE) at++;
  let value = 0;
  for (; at < field.length; at++) {
    const byte = field[at]!;
    if (byte === 0 || byte === SPACE) break;
    if (byte < 0x30 || byte > 0x37) return undefined;
    value = value * 8 + (byte - 0x30);
  }
  // Behind the number anything but terminators would be a second number.
  return field.subarray(at).every((byte) => byte === 0 || byte === SPACE) ? value : undefined;
}

/** Two's complement, most significant byte first; the highest bit only marks the encoding. */
function base256(field: Uint8Array): number {
  let value = BigInt(field[0]! & 0x7f);
  if ((field[0]! & 0x40) !== 0) value -= 0x80n;
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte);
  return Number(value);
}
