/** Delta pages for tests: pages that are seen as bytes and as words, and records of them. */
import { PAGE_BYTES } from '../../src/bytes/page.ts';
import {
  type BaseOfRecord,
  type DiffRecord,
  newRecord,
  PageDiff,
  type PageView,
  readRecord,
} from '../../src/pack/page-diff.ts';

/** A page filled up to 4096 bytes, as the comparison wants it. */
export function viewOf(page: Uint8Array): PageView {
  const memory = new ArrayBuffer(PAGE_BYTES);
  const bytes = new Uint8Array(memory);
  bytes.set(page);
  return { bytes, words: new Int32Array(memory) };
}

/** The record of a page as a difference, or undefined when the pages differ in too much. */
export function tryRecord(
  page: Uint8Array,
  base: Uint8Array,
  reference: BaseOfRecord,
): DiffRecord | undefined {
  const difference = new PageDiff();
  if (!difference.compare(viewOf(page), viewOf(base))) return undefined;
  const record = new Uint8Array(PAGE_BYTES);
  difference.writeRecord(record, 0, reference);
  return recordAt(record, 0);
}

/** The record at an offset. */
export function recordAt(source: Uint8Array, offset: number): DiffRecord {
  const record = newRecord();
  readRecord(source, offset, record);
  return record;
}

/** What a record says, wherever it lies. */
export interface SeenRecord extends BaseOfRecord {
  readonly skips: Uint8Array;
  readonly lengths: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Looks at a record. */
export function seen({ segment, slot, depth, source, start, ...lengths }: DiffRecord): SeenRecord {
  const { skipsLength, lengthsLength, bytesLength } = lengths;
  const [second, third] = [start + skipsLength, start + skipsLength + lengthsLength];
  return {
    segment,
    slot,
    depth,
    skips: source.slice(start, second),
    lengths: source.slice(second, third),
    bytes: source.slice(third, third + bytesLength),
  };
}

/** The record of a page that is known to be near enough. */
export function recordOf(page: Uint8Array, base: Uint8Array, reference: BaseOfRecord): DiffRecord {
  const record = tryRecord(page, base, reference);
  if (record === undefined) throw new Error('the pages differ in too much');
  return record;
}

/** A copy of a page with a few bytes changed, which ones and to what following from a number. */
export function changedPage(page: Uint8Array, number: number): Uint8Array {
  const changed = new Uint8Array(PAGE_BYTES);
  changed.set(page);
  for (let i = 0; i < 5; i++) {
    const at = (number * 131 + i * 997) % page.length;
    changed[at] = (changed[at] as number) ^ (((number * 7 + i) % 255) + 1);
  }
  return changed.subarray(0, page.length);
}
