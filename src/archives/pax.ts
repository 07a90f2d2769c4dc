/**
 * PAX records: `<length> <key>=<value>\n`, one after another, where the length counts the whole
 * record. Keys are text, values raw bytes. Later records win; an empty value takes a key back.
 */
import { asciiBytes } from './tar-header.ts';

/** Keys and values of one or several blocks of records. */
export type PaxRecords = ReadonlyMap<string, Uint8Array>;

const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;

/** Parses records. @throws Error that says what is wrong. */
export function parsePax(bytes: Uint8Array): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  for (let at = 0; at < bytes.length;) {
    const end = at + recordLength(bytes, at);
    const start = bytes.indexOf(SPACE, at) + 1;
    const equals = bytes.indexOf(EQUALS, start);
    if (equals < 0 || equals >= end) throw new Error('a PAX record has no key');
    const key = latin1(bytes.subarray(start, equals));
    records.set(key, new Uint8Array(bytes.subarray(equals + 1, end - 1)));
    at = end;
  }
  return records;
}

/** Writes records. */
export function encodePax(records: PaxRecords): Uint8Array {
  const parts = [...records].map(([key, value]) => {
    // The length counts its own digits.
    const rest = key.length + value.length + 3;
    let length = rest + String(rest).length;
    length = rest + String(length).length;
    const head = asciiBytes(`${length} ${key}=`);
    const part = new Uint8Array(length);
    part.set(head);
    part.set(value, head.length);
    part[length - 1] = NEWLINE;
    return part;
  });
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A whole number in decimal digits of at most `maximum`. */
export function paxNumber(value: Uint8Array, maximum: number, key: string): number {
  const text = latin1(value);
  const number = /^[0-9]{1,20}$/.test(text) ? Number(text) : Infinity;
  if (number > maximum) throw new Error(`the PAX record ${key} is no number up to ${maximum}`);
  return number;
}

/** A time: seconds with a decimal fraction, perhaps negative; digits below nanoseconds are cut. */
export function paxTime(value: Uint8Array): { seconds: number; nanoseconds: number } {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]{0,32}))?$/.exec(latin1(value));
  if (match === null) throw new Error('the PAX record mtime is no time');
  const seconds = Number(match[2]);
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  if (match[1] === '') return { seconds, nanoseconds };
  if (nanoseconds === 0) return { seconds: seconds === 0 ? 0 : -seconds, nanoseconds };
  return { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

/** One character per byte: bytes as a key, or as text where it must be ASCII anyway. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function recordLength(bytes: Uint8Array, at: number): number {
  let length = 0;
  for (let i = at; ; i++) {
    const byte = bytes[i];
    if (byte === SPACE && i > at) {
      const smallest = i - at + 4;
      if (length < smallest || length > bytes.length - at || bytes[at + length - 1] !== NEWLINE) {
        throw new Error('a PAX record has a wrong length');
      }
      return length;
    }
    if (byte === undefined || byte < 0x30 || byte > 0x39 || i - at > 9) {
      throw new Error('a PAX record has no length');
    }
    length = length * 10 + (byte - 0x30);
  }
}
