/**
 * Pages as programs fill them: records of 64 bytes with tags, pointers, counters and short texts.
 * zstd -1 makes about 820 bytes of one, in frames of 64 pages, as it does of the unique pages of
 * real dumps (measured: 805 to 870 for redis, Python and Node.js).
 *
 * A page is a copy of one of 4096 templates, with three random fields in every record: no two are
 * the same, none is like another at the same place, and a gigabyte takes a second.
 */
import { mixed, Random, share } from './random.ts';

/** Bytes of a page. */
export const PAGE_BYTES = 4096;
/** Bytes of a record. */
export const RECORD_BYTES = 64;
/** Records of a page. */
export const PAGE_RECORDS: number = PAGE_BYTES / RECORD_BYTES;

const TEMPLATE_PAGES = 4096;
/** Pages beside each other that are of one kind. */
const STRETCH_PAGES = 16;
/** Different contents among the pages that occur many times, such as equal values of a cache. */
const REPEATED_CONTENTS = 32;

/** How many pages are all zero, or one of a few contents. */
export interface PageMix {
  readonly zeroShare: number;
  readonly repeatedShare: number;
}

/** What a page holds. */
export type PageKind = 'zero' | 'repeated' | 'unique';

/** The kind of the page with this number. */
export function kindOf(seed: number, page: number, mix: PageMix): PageKind {
  const place = share(seed, Math.floor(page / STRETCH_PAGES));
  if (place < mix.zeroShare) return 'zero';
  return place < mix.zeroShare + mix.repeatedShare ? 'repeated' : 'unique';
}

/** Fills `target` with pages from number `firstPage` on. */
export function fillPages(
  target: Uint8Array,
  firstPage: number,
  seed: number,
  mix: PageMix = { zeroShare: 0, repeatedShare: 0 },
): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  for (let offset = 0; offset < target.length; offset += PAGE_BYTES) {
    const page = firstPage + offset / PAGE_BYTES;
    const kind = kindOf(seed, page, mix);
    if (kind === 'zero') target.fill(0, offset, offset + PAGE_BYTES);
    else if (kind === 'repeated') fillRepeated(target, offset, mixed(seed, page));
    else fillUnique(target, view, offset, mixed(seed, page));
  }
}

function fillRepeated(target: Uint8Array, offset: number, choice: number): void {
  const letter = 97 + (choice % 26);
  target.fill(letter, offset, offset + PAGE_BYTES);
  // A header every so often, at one of few distances: equal values in their allocations.
  const step = 112 + 16 * (choice % Math.ceil(REPEATED_CONTENTS / 26));
  for (let i = 0; i < PAGE_BYTES; i += step) target[offset + i] = 0;
}

function fillUnique(target: Uint8Array, view: DataView, offset: number, seed: number): void {
  const template = (seed % TEMPLATE_PAGES) * PAGE_BYTES;
  target.set(templates().subarray(template, template + PAGE_BYTES), offset);
  const random = new Random(seed);
  for (let record = offset; record < offset + PAGE_BYTES; record += RECORD_BYTES) {
    const bits = random.next();
    view.setUint16(record + 8, bits & 0xffff, true);
    target[record + 10] = (bits >>> 16) & 0xff;
    view.setUint16(record + 24, random.next() & 0xffff, true);
    target[record + 48] = random.next() & 0xff;
  }
}

let made: Uint8Array | undefined;

/** 16 MiB, made when first needed. */
function templates(): Uint8Array {
  made ??= makeTemplates();
  return made;
}

function makeTemplates(): Uint8Array {
  const bytes = new Uint8Array(TEMPLATE_PAGES * PAGE_BYTES);
  const view = new DataView(bytes.buffer);
  const random = new Random(2);
  for (let record = 0; record < bytes.length; record += RECORD_BYTES) {
    // Every page prefers a few of its types, as an allocator's size classes do.
    const type = (Math.floor(record / PAGE_BYTES) * 3 + random.below(3)) % 61;
    view.setUint32(record, 0x10 + type * 0x120, true);
    view.setUint32(record + 4, 1, true);
    // Pointers: the low three bytes are random in every page, the others are an area's.
    view.setUint32(record + 11, 0x007f6b97, true);
    view.setUint32(record + 26, 0x00555600 + (type & 3), true);
    view.setUint32(record + 16, random.below(4), true);
    bytes.set(TEXTS.subarray(type * 8, type * 8 + 14), record + 34);
    view.setUint32(record + 56, type * 24, true);
  }
  return bytes;
}

const TEXTS = new TextEncoder().encode('key:000000user:value:session/object.prototype_'.repeat(12));
