/**
 * Ids of snapshots: 128 bits, the first 48 of them milliseconds since 1970, the rest random, as 26
 * characters of Crockford's base 32 (the layout of the ULID specification): sorted by text, they
 * are sorted by the time they were made. Pure: the caller brings time and randomness.
 */

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Bytes of an id in binary form. */
export const ID_BYTES = 16;
/** Characters of an id as text. */
export const ID_CHARACTERS = 26;

/** Puts an id together. `random` holds 10 bytes. */
export function makeId(milliseconds: number, random: Uint8Array): Uint8Array {
  const id = new Uint8Array(ID_BYTES);
  new DataView(id.buffer).setBigUint64(0, BigInt(milliseconds) << 16n);
  id.set(random, 6);
  return id;
}

/** An id as text. */
export function idToText(id: Uint8Array): string {
  let value = 0n;
  for (const byte of id) value = (value << 8n) | BigInt(byte);
  let text = '';
  for (let i = 0; i < ID_CHARACTERS; i++) {
    text = ALPHABET.charAt(Number(value & 31n)) + text;
    value >>= 5n;
  }
  return text;
}

/** The id that a text of 26 characters stands for, or undefined when it is none. */
export function idFromText(text: string): Uint8Array | undefined {
  if (text.length !== ID_CHARACTERS) return undefined;
  let value = 0n;
  for (const character of text) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) return undefined;
    value = (value << 5n) | BigInt(digit);
  }
  if (value >= 1n << 128n) return undefined;
  const id = new Uint8Array(ID_BYTES);
  for (let i = ID_BYTES - 1; i >= 0; i--) {
    id[i] = Number(value & 0xffn);
    value >>= 8n;
  }
  return id;
}

/** Whether a text could be the start of an id, however its letters are cased. */
export function isIdPrefix(text: string): boolean {
  return text.length <= ID_CHARACTERS && /^[0-9A-HJKMNP-TV-Z]+$/i.test(text);
}
