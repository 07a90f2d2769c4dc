/**
 * Decodes and encodes CRIU's protobuf messages by the tables of messages.ts.
 *
 * A decoded message is a plain object with CRIU's own field names; 64-bit fields are bigints, texts
 * are bytes, absent optional fields are undefined. Unknown fields are kept (protobufjs holds them
 * in the hidden property `$unknowns`) and written after the known ones, so that decoding and
 * encoding loses nothing. protobufjs silently writes a bigint as 0, hence the conversions here.
 */
import protobuf from 'protobufjs/light.js';
import { StoreError } from '../errors.ts';
import { type FieldTable, MESSAGES, type MessageType } from './messages.ts';

/** A decoded message. */
export type CriuMessage = Readonly<Record<string, unknown>>;

/** Where bytes come from, for errors. */
export interface ImagePlace {
  readonly file?: string | undefined;
  /** Byte offset of the message inside the file. */
  readonly offset?: number | undefined;
}

interface LongBits {
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}

const root = protobuf.Root.fromJSON({
  nested: Object.fromEntries(Object.entries(MESSAGES).map(([name, table]) => [name, type(table)])),
});
root.resolveAll();

function type(table: FieldTable): protobuf.IType {
  const fields = Object.entries(table).map(([name, [id, type, rule]]) => [
    name,
    rule === undefined ? { id, type } : { id, type, rule },
  ]);
  return { edition: 'proto2', fields: Object.fromEntries(fields) as protobuf.IType['fields'] };
}

const prepared = new Set<MessageType>();

/**
 * Makes the decoder of a message, unless it is there: 2 to 8 ms, by which decoding the first one
 * would hold the thread longer.
 */
export function prepareMessage(type: MessageType): void {
  if (prepared.has(type)) return;
  prepared.add(type);
  root.lookupType(type).setup();
}

/**
 * Decodes one message.
 *
 * @throws {StoreError} INVALID_IMAGE when the bytes are not such a message.
 */
export function decodeMessage(
  type: MessageType,
  bytes: Uint8Array,
  place: ImagePlace = {},
): CriuMessage {
  // A plain view, because protobufjs would hand out Buffers for a Buffer.
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new protobuf.Reader(view);
  reader.discardUnknown = false;
  try {
    return longsToBigints(root.lookupType(type).decode(reader)) as CriuMessage;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError('INVALID_IMAGE', `not a ${type}: ${reason}`, { ...place, cause });
  }
}

/** Encodes a message, with the unknown fields it was decoded with. */
export function encodeMessage(type: MessageType, message: CriuMessage): Uint8Array {
  const bytes = root
    .lookupType(type)
    .encode(bigintsToLongs(message) as object)
    .finish();
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The unknown fields that came with a message, each as tag and value. */
export function unknownFields(message: CriuMessage): readonly Uint8Array[] {
  const fields = message['$unknowns'];
  return Array.isArray(fields) ? (fields as Uint8Array[]) : [];
}

function longsToBigints(value: unknown): unknown {
  if (isLong(value)) return fromLong(value);
  return mapValues(value, longsToBigints);
}

function bigintsToLongs(value: unknown): unknown {
  if (typeof value === 'bigint') return toLong(value);
  return mapValues(value, bigintsToLongs);
}

/** Applies `change` to the elements of an array or the fields of a message, known and unknown. */
function mapValues(value: unknown, change: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(change);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  const copy: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) copy[name] = change(field);
  const unknowns = (value as CriuMessage)['$unknowns'];
  if (unknowns !== undefined) {
    Object.defineProperty(copy, '$unknowns', { value: unknowns, enumerable: false });
  }
  return copy;
}

function isLong(value: unknown): value is LongBits {
  return typeof value === 'object' && value !== null && 'low' in value && 'unsigned' in value;
}

function fromLong({ low, high, unsigned }: LongBits): bigint {
  const bits = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  return unsigned ? bits : BigInt.asIntN(64, bits);
}

function toLong(value: bigint): LongBits {
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return { low, high, unsigned: value >= 0n };
}
