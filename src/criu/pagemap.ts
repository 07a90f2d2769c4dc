/**
 * Pagemap images: which pages of an address space a dump has, and in what order.
 *
 * A pagemap is decoded into columns, because a large process has a million entries. Addresses are
 * kept as `address / 4096`, which is exact in a double for the whole 64-bit space (2^52 pages).
 * Three generations of CRIU write it differently: until 3.4 without flags (absent: the pages are
 * here; `in_parent`: they are in the parent), until 4.1 with flags and the count in field 2, since
 * 4.2 with field 2 = 0 and the count in field 5. What is decoded is in order, does not overlap and
 * does not wrap; it is not compared with the pages file here, which this room cannot see.
 */
import { ByteReader } from '../bytes/reader.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { StoreError } from '../errors.ts';
import { COMMON_MAGIC, recogniseImage, TYPE_MAGICS } from './magic.ts';
import { decodeMessage } from './schema.ts';
import { VarintCursor } from './varint-cursor.ts';

/** The pages of an entry are in the parent directory. */
export const PE_PARENT = 1;
/** The pages of an entry may be restored lazily. */
export const PE_LAZY = 2;
/** The pages of an entry are in the pages file. */
export const PE_PRESENT = 4;

/** Bytes of the unit that addresses are counted in, whatever the page size of the dump is. */
export const UNIT_BYTES = 4096;
/** Units in the 64-bit address space. */
export const UNITS_MAX: number = 2 ** 52;

/** Page sizes that Linux runs with where CRIU does. */
export type PageBytes = 4096 | 16384 | 65536;
/** All page sizes that a dump can have. */
export const PAGE_SIZES: readonly PageBytes[] = [4096, 16384, 65536];

/** How a CRIU wrote a pagemap: until 3.4, until 4.1, since 4.2. */
export type PagemapGeneration = 'flags-absent' | 'count-in-field-2' | 'count-in-field-5';

/** A decoded pagemap image. Entry i is the i-th element of each column. */
export interface Pagemap {
  readonly generation: PagemapGeneration;
  /** The head message as it was, with fields that this version does not know. */
  readonly head: Uint8Array;
  /** Names the pages file: `pages-<pagesId>.img`. */
  readonly pagesId: number;
  /** Address / 4096 of the first page of each entry, ascending. */
  readonly starts: Float64Array;
  /** Pages of each entry, in pages of the dump's page size. */
  readonly counts: Float64Array;
  /** PE_PRESENT, PE_PRESENT | PE_LAZY, PE_PARENT or PE_PARENT | PE_LAZY. */
  readonly flags: Uint8Array;
}

/** Settings of {@link decodePagemap}. */
export interface DecodePagemapOptions {
  /** Path of the image, for errors. */
  readonly file?: string | undefined;
  /** Page size of the dump, against which alignment and overlap are checked; 4096 by default. */
  readonly pageBytes?: PageBytes | undefined;
}

const HEADER_BYTES = 8;

/**
 * Decodes a whole pagemap image.
 *
 * @throws {StoreError} INVALID_IMAGE for anything but a well-formed pagemap with entries in order;
 * UNSUPPORTED_IMAGE for pages that are not in any image (lazy), compressed pages and unknown flags.
 */
export function decodePagemap(bytes: Uint8Array, options: DecodePagemapOptions = {}): Pagemap {
  const { file, pageBytes = UNIT_BYTES } = options;
  checkHeader(bytes, file);
  const reader = new ByteReader(bytes.subarray(HEADER_BYTES), {
    code: 'INVALID_IMAGE',
    file,
    offset: HEADER_BYTES,
  });
  const head = reader.bytes(reader.u32());
  const { pages_id: pagesId } = decodeMessage('pagemap_head', head, { file, offset: HEADER_BYTES });
  const firstEntry = HEADER_BYTES + reader.position;
  const columns = allocate(countEntries(reader));
  const generation = decodeEntries(bytes, firstEntry, columns, { file, pageBytes });
  return { generation, head, pagesId: pagesId as number, ...columns };
}

interface Columns {
  readonly starts: Float64Array;
  readonly counts: Float64Array;
  readonly flags: Uint8Array;
}

function allocate(length: number): Columns {
  return {
    starts: new Float64Array(length),
    counts: new Float64Array(length),
    flags: new Uint8Array(length),
  };
}

function checkHeader(bytes: Uint8Array, file: string | undefined): void {
  const kind = recogniseImage(bytes.subarray(0, HEADER_BYTES));
  if (kind.type !== 'PAGEMAP') {
    throw new StoreError('INVALID_IMAGE', 'not a pagemap image', { file, offset: 0 });
  }
  if (kind.format === 'legacy') {
    const message = 'a pagemap of the format before CRIU 1.6';
    throw new StoreError('UNSUPPORTED_IMAGE', message, { file, offset: 0 });
  }
}

/** Walks over all entries, so that memory is taken only for entries that are there. */
function countEntries(reader: ByteReader): number {
  let count = 0;
  while (reader.remaining > 0) {
    reader.bytes(reader.u32());
    count++;
  }
  return count;
}

/** One entry as it is being read; the same object for all entries. */
interface EntryFields {
  start: number;
  compatCount: number;
  inParent: boolean;
  flags: number;
  count: number;
}

// Marks of a field that has not come; every real value is larger.
const ABSENT = -1;

function decodeEntries(
  bytes: Uint8Array,
  firstEntry: number,
  columns: Columns,
  { file, pageBytes }: { file: string | undefined; pageBytes: PageBytes },
): PagemapGeneration {
  const cursor = new VarintCursor(bytes, file);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: EntryFields = { start: 0, compatCount: 0, inParent: false, flags: 0, count: 0 };
  const unitsPerPage = pageBytes / UNIT_BYTES;
  let generation: PagemapGeneration | undefined;
  let nextFree = 0;
  let offset = firstEntry;
  for (let i = 0; i < columns.starts.length; i++) {
    const end = offset + 4 + view.getUint32(offset, true);
    cursor.enter(offset + 4, end);
    readEntry(cursor, fields);
    generation = laterGeneration(generation, fields);
    const count = fields.count === ABSENT ? fields.compatCount : fields.count;
    checkRange(cursor, { start: fields.start, count, unitsPerPage, nextFree, offset });
    columns.starts[i] = fields.start;
    columns.counts[i] = count;
    columns.flags[i] = effectiveFlags(cursor, fields, offset);
    nextFree = fields.start + count * unitsPerPage;
    offset = end;
  }
  return generation ?? 'count-in-field-2';
}

function readEntry(cursor: VarintCursor, fields: EntryFields): void {
  fields.start = fields.compatCount = fields.flags = fields.count = ABSENT;
  fields.inParent = false;
  const offset = cursor.position;
  while (!cursor.atEnd) {
    cursor.readVarint();
    // Every known field is a varint, so that tag = field number * 8.
    const tag = cursor.high === 0 ? cursor.low : ABSENT;
    if (tag >= 48 || tag === ABSENT) {
      throw cursor.refuse(`pagemap field ${tag >>> 3}: compressed pages, or a newer CRIU`, offset);
    }
    if (tag < 8 || tag % 8 !== 0) throw cursor.fail('not a pagemap entry', offset);
    cursor.readVarint();
    if (tag === 8) fields.start = startOf(cursor, offset);
    else if (tag === 16) fields.compatCount = cursor.high === 0 ? cursor.low : Infinity;
    else if (tag === 24) fields.inParent = cursor.low !== 0 || cursor.high !== 0;
    else if (tag === 32) fields.flags = cursor.high === 0 ? cursor.low : Infinity;
    else fields.count = cursor.high * 2 ** 32 + cursor.low;
  }
  if (fields.start === ABSENT) throw cursor.fail('a pagemap entry without address', offset);
  if (fields.compatCount === ABSENT) throw cursor.fail('a pagemap entry without field 2', offset);
}

function startOf(cursor: VarintCursor, offset: number): number {
  if (cursor.low % UNIT_BYTES !== 0) {
    throw cursor.fail(`address ${hex(cursor)} is not a multiple of ${UNIT_BYTES}`, offset);
  }
  return cursor.high * 2 ** 20 + cursor.low / UNIT_BYTES;
}

function hex(cursor: VarintCursor): string {
  return `0x${((BigInt(cursor.high) << 32n) | BigInt(cursor.low)).toString(16)}`;
}

function laterGeneration(
  known: PagemapGeneration | undefined,
  fields: EntryFields,
): PagemapGeneration {
  if (fields.count !== ABSENT || known === 'count-in-field-5') return 'count-in-field-5';
  if (fields.flags !== ABSENT || known === 'count-in-field-2') return 'count-in-field-2';
  return 'flags-absent';
}

interface Range {
  readonly start: number;
  readonly count: number;
  readonly unitsPerPage: number;
  readonly nextFree: number;
  readonly offset: number;
}

function checkRange(cursor: VarintCursor, range: Range): void {
  const { start, count, unitsPerPage, nextFree, offset } = range;
  if (count === 0) throw cursor.fail(`${address(start)}: an entry of no pages`, offset);
  if (start + count * unitsPerPage > UNITS_MAX) {
    const message = `${address(start)}: ${count} pages reach past the end of the address space`;
    throw cursor.fail(message, offset);
  }
  if (start % unitsPerPage !== 0) {
    const pageBytes = unitsPerPage * UNIT_BYTES;
    throw cursor.fail(`${address(start)} is not a multiple of the page size ${pageBytes}`, offset);
  }
  if (start < nextFree) {
    const message = `${address(start)} is out of order or overlaps the entry before it`;
    throw cursor.fail(message, offset);
  }
}

function address(start: number): string {
  return `address 0x${(BigInt(start) * BigInt(UNIT_BYTES)).toString(16)}`;
}

/** The flags as CRIU 4.2 understands those of every generation. */
function effectiveFlags(cursor: VarintCursor, fields: EntryFields, offset: number): number {
  let flags = fields.flags === ABSENT ? 0 : fields.flags;
  if (fields.inParent && flags <= 7) flags |= PE_PARENT;
  else if (fields.flags === ABSENT) flags = PE_PRESENT;
  if (flags > 7) {
    throw cursor.refuse(`unknown pagemap flags ${flags}: a newer CRIU`, offset);
  }
  if (flags === PE_LAZY) {
    throw cursor.refuse('pages of a lazy dump, which are in no image', offset);
  }
  const here = (flags & PE_PRESENT) !== 0;
  if (here === ((flags & PE_PARENT) !== 0)) {
    const what = here ? 'both here and in the parent' : 'neither here nor in the parent';
    throw cursor.fail(`flags ${flags} put pages ${what}`, offset);
  }
  return flags;
}

/** Pages of a pagemap that are in its own pages file, in pages of the dump's page size. */
export function presentPages(pagemap: Pagemap): number {
  let sum = 0;
  for (let i = 0; i < pagemap.counts.length; i++) {
    if (((pagemap.flags[i] ?? 0) & PE_PRESENT) !== 0) sum += pagemap.counts[i] ?? 0;
  }
  return sum;
}

/** Whether any pages of a pagemap are in the parent directory. */
export function needsParent(pagemap: Pagemap): boolean {
  return pagemap.flags.some((flags) => (flags & PE_PARENT) !== 0);
}

/** Encodes a head message that names a pages file. */
export function encodePagemapHead(pagesId: number): Uint8Array {
  const writer = new ByteWriter(8);
  writer.u8(1 << 3);
  writer.varint(pagesId);
  return writer.bytes();
}

/**
 * Encodes a pagemap image byte for byte as a CRIU of its generation writes it.
 *
 * @throws {RangeError} when a count or flag does not exist in that generation.
 */
export function encodePagemap(pagemap: Pagemap): Uint8Array {
  const writer = new ByteWriter(64 + pagemap.starts.length * 20);
  writer.u32(COMMON_MAGIC);
  writer.u32(TYPE_MAGICS.PAGEMAP);
  writer.u32(pagemap.head.length);
  writer.raw(pagemap.head);
  const entry = new ByteWriter(64);
  for (let i = 0; i < pagemap.starts.length; i++) {
    entry.clear();
    encodeEntry(entry, pagemap, i);
    writer.u32(entry.length);
    writer.raw(entry.bytes());
  }
  return writer.bytes();
}

function encodeEntry(writer: ByteWriter, pagemap: Pagemap, index: number): void {
  const { generation, starts, counts, flags } = pagemap;
  const count = counts[index] ?? 0;
  const flag = flags[index] ?? 0;
  writer.u8(1 << 3);
  writeAddress(writer, starts[index] ?? 0);
  writer.u8(2 << 3);
  if (generation === 'count-in-field-5') writer.u8(0);
  else writer.varint(inRange(count, 2 ** 32 - 1, 'pages of an entry'));
  if (generation === 'flags-absent') {
    if (flag === PE_PARENT) writer.raw(Uint8Array.of(3 << 3, 1));
    else if (flag !== PE_PRESENT) throw new RangeError(`flags ${flag} need a newer generation`);
    return;
  }
  writer.u8(4 << 3);
  writer.u8(inRange(flag, 7, 'pagemap flags'));
  if (generation === 'count-in-field-5') {
    writer.u8(5 << 3);
    writer.varint(inRange(count, UNITS_MAX, 'pages of an entry'));
  }
}

/** Writes `start * 4096` as a varint, which may exceed 2^53. */
function writeAddress(writer: ByteWriter, start: number): void {
  if (!Number.isInteger(start)) throw new RangeError(`address / 4096 is not an integer: ${start}`);
  if (start < 0 || start >= UNITS_MAX) throw new RangeError(`address / 4096 is ${start}`);
  if (start === 0) {
    writer.u8(0);
    return;
  }
  // The 12 zero bits fill the first group of seven and five bits of the second.
  const rest = Math.floor(start / 4);
  writer.u8(0x80);
  writer.u8((start % 4) * 32 + (rest > 0 ? 0x80 : 0));
  if (rest > 0) writer.varint(rest);
}

function inRange(value: number, maximum: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= maximum) return value;
  throw new RangeError(`${value} ${what}, at most ${maximum} are possible`);
}
