/**
 * format.json: which format the store is in, who it is, and which features it uses (FORMAT.md,
 * section 8). Written once, under a temporary name, and put in place by a link, so that of two
 * creators only one wins.
 */
import { sha256 } from '#digest';
import { fromHex, toHex } from '../bytes/hex.ts';
import { storageError, StoreError, systemCode } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { isMissing, readWhole, syncDirectory, writeAll } from '../files/transfer.ts';
import type { StoreLayout } from './layout.ts';

/** What a store says about itself. */
export interface StoreFormat {
  readonly version: number;
  readonly storeId: Uint8Array;
  readonly features: readonly string[];
}

/** The version that this library writes. */
const FORMAT_VERSION = 1;
const KNOWN_FEATURES: readonly string[] = [];
const MAX_FORMAT_BYTES = 64 * 1024;

/** Reads and checks format.json; undefined when there is none. */
export function readFormat(files: Files, file: string): StoreFormat | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readWhole(files, file, MAX_FORMAT_BYTES, 'CORRUPT');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw storageError('read', file, error);
  }
  const format = parseFormat(bytes, file);
  if (format.version > FORMAT_VERSION) {
    const message = `the store has format version ${format.version}, this library knows 1`;
    throw new StoreError('UNSUPPORTED_VERSION', message, { file });
  }
  const unknown = format.features.find((feature) => !KNOWN_FEATURES.includes(feature));
  if (unknown === undefined) return format;
  const message = `the store uses the feature '${unknown}', which this library does not know`;
  throw new StoreError('UNSUPPORTED_VERSION', message, { file });
}

function parseFormat(bytes: Uint8Array, file: string): StoreFormat {
  const damaged = (cause?: unknown) =>
    new StoreError('CORRUPT', 'damaged format.json', { file, cause });
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch (cause) {
    throw damaged(cause);
  }
  if (typeof value !== 'object' || value === null) throw damaged();
  const { checksum, ...rest } = value;
  const { format, version, storeId, features } = rest;
  const id = typeof storeId === 'string' ? fromHex(storeId) : undefined;
  if (format !== 'criu-timeline' || checksum !== checksumOf(rest)) throw damaged();
  if (typeof version !== 'number' || id?.length !== 16 || !Array.isArray(features)) throw damaged();
  return { version, storeId: id, features: features.map(String) };
}

function checksumOf(value: object): string {
  return toHex(sha256(new TextEncoder().encode(JSON.stringify(value))).subarray(0, 8));
}

/** The bytes of format.json of a store with this id. */
export function encodeFormat(storeId: Uint8Array): Uint8Array {
  const version = FORMAT_VERSION;
  const value = { format: 'criu-timeline', version, storeId: toHex(storeId), features: [] };
  const text = JSON.stringify({ ...value, checksum: checksumOf(value) }, undefined, 2);
  return new TextEncoder().encode(`${text}\n`);
}

/**
 * Writes format.json unless another creator was faster, and returns what is there then.
 *
 * @param temporary a path in the caller's staging directory.
 */
export function createFormat(
  files: Files,
  layout: StoreLayout,
  storeId: Uint8Array,
  temporary: string,
): StoreFormat {
  const fd = files.open(temporary, 'create');
  try {
    writeAll(files, fd, encodeFormat(storeId), 0);
    files.sync(fd);
  } finally {
    files.close(fd);
  }
  try {
    files.link(temporary, layout.formatFile);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  files.unlink(temporary);
  syncDirectory(files, layout.directory);
  return readFormat(files, layout.formatFile) as StoreFormat;
}
