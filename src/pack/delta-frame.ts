/**
 * The content of a frame of delta pages, in columns (FORMAT.md, section 3): of each page its depth,
 * its base and the runs of bytes in which it differs from it. Pure.
 *
 * A page's base is another slot, of this pack's segment or of any other, whose depth is smaller:
 * chains end, whatever a damaged pack says. Decoding checks every length; applying checks nothing
 * any more.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import { ByteReader } from '../bytes/reader.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { areInSeries, segmentOf, SlotSeries } from '../bytes/slot.ts';
import { unzigzag, zigzag } from '../bytes/zigzag.ts';
import { FRAME_PAGES } from './format.ts';
import type { DiffRecord } from './page-diff.ts';

/** Deltas upon deltas, at most: one byte. */
export const MAX_DEPTH = 255;

/** Collects delta pages until a frame is full. */
export class DeltaFrameBuilder {
  readonly #depths = new ByteWriter(FRAME_PAGES);
  readonly #segments = new ByteWriter(FRAME_PAGES);
  readonly #gaps = new ByteWriter(4 * FRAME_PAGES);
  readonly #sizes = new ByteWriter(4 * FRAME_PAGES);
  readonly #skips = new ByteWriter(4096);
  readonly #lengths = new ByteWriter(4096);
  readonly #bytes = new ByteWriter(16384);
  readonly #series = new SlotSeries();
  #pages = 0;

  /** Pages collected. */
  get pages(): number {
    return this.#pages;
  }

  /** @param segment local number in the pack of the segment that the record calls otherwise. */
  add(record: DiffRecord, segment: number): void {
    this.#depths.u8(record.depth);
    const series = this.#series.seriesOf(segment, record.slot);
    this.#segments.varint(series);
    this.#gaps.varint(zigzag(record.slot - this.#series.expected(series)));
    this.#series.follow(series, record.slot + 1);
    const { source, start, skipsLength, lengthsLength, bytesLength } = record;
    this.#sizes.varint(skipsLength);
    this.#sizes.varint(lengthsLength);
    this.#sizes.varint(bytesLength);
    this.#skips.part(source, start, skipsLength);
    this.#lengths.part(source, start + skipsLength, lengthsLength);
    this.#bytes.part(source, start + skipsLength + lengthsLength, bytesLength);
    this.#pages += 1;
  }

  /** The frame's raw bytes; the builder starts again, empty. */
  finish(): Uint8Array {
    const columns = [
      this.#segments,
      this.#gaps,
      this.#sizes,
      this.#skips,
      this.#lengths,
      this.#bytes,
    ];
    const writer = new ByteWriter(64 + columns.reduce((sum, { length }) => sum + length, 0));
    writer.varint(this.#pages);
    for (const column of columns.slice(0, 5)) writer.varint(column.length);
    for (const column of [this.#depths, ...columns]) {
      writer.raw(column.bytes());
      column.clear();
    }
    this.#series.clear();
    this.#pages = 0;
    return writer.bytes();
  }
}

/**
 * A frame of deltas, decoded: ready to be applied. All numbers lie in one piece of memory: nine
 * pieces for every frame kept the collector busy for a tenth of a restore.
 */
export interface DeltaFrame {
  readonly pages: number;
  /** Of each page. */
  readonly depth: Uint8Array;
  /**
   * The segment of each page's base, as the pack numbers it until somebody puts other numbers
   * there, and its slot.
   */
  readonly baseSegment: Uint32Array;
  readonly baseSlot: Uint32Array;
  /** Page i has the runs from `firstRun[i]` to `firstRun[i + 1]`, and the bytes likewise. */
  readonly firstRun: Uint32Array;
  readonly firstByte: Uint32Array;
  /** Where each run starts in its page, and in the upper half how long it is. */
  readonly runs: Uint32Array;
  /** The bytes of all runs, one after the other. */
  readonly bytes: Uint8Array;
}

/** Bytes of memory that a decoded frame takes, about. */
export function memoryOf(frame: DeltaFrame): number {
  return 1024 + frame.baseSegment.buffer.byteLength + frame.bytes.buffer.byteLength;
}

/** Memory for the numbers of a frame; no frame has more runs than `most`. */
function newNumbers(
  pages: number,
  most: number,
): Pick<DeltaFrame, 'baseSegment' | 'baseSlot' | 'firstRun' | 'firstByte' | 'runs'> {
  const numbers = new Uint32Array(4 * pages + 2 + most);
  let end = 0;
  const take = (count: number): Uint32Array => numbers.subarray(end, (end += count));
  return {
    baseSegment: take(pages),
    baseSlot: take(pages),
    firstRun: take(pages + 1),
    firstByte: take(pages + 1),
    runs: take(most),
  };
}

/**
 * Decodes a frame; keeps views of `raw`.
 *
 * @throws StoreError CORRUPT when anything disagrees.
 */
export function decodeDeltaFrame(raw: Uint8Array, file: string, offset: number): DeltaFrame {
  const place = { code: 'CORRUPT', file, offset } as const;
  const reader = new ByteReader(raw, place);
  const pages = reader.count(FRAME_PAGES, 'delta pages');
  const columnBytes = Array.from({ length: 5 }, () => reader.varint());
  const depth = reader.bytes(pages);
  const [segments, gaps, sizes, skips, lengths] = columnBytes.map(
    (length) => new ByteReader(reader.bytes(length), place),
  ) as [ByteReader, ByteReader, ByteReader, ByteReader, ByteReader];
  const bytes = reader.bytes(reader.remaining);
  // A length takes a byte or two: no frame has more runs than that column has bytes.
  const frame = { pages, depth, bytes, ...newNumbers(pages, lengths.remaining) };
  decodeBases(frame, segments, gaps);
  decodeRuns(frame, sizes, skips, lengths);
  return frame;
}

function decodeBases(frame: DeltaFrame, segments: ByteReader, gaps: ByteReader): void {
  const { pages, depth } = frame;
  const slots = new SlotSeries();
  for (let i = 0; i < pages; i++) {
    const series = segments.count(2 ** 32 - 1, 'as segment number');
    const slot = slots.expected(series) + unzigzag(gaps.varint());
    const isDeep = (depth[i] as number) > 1;
    if (!areInSeries(series, slot, 1) || isDeep !== (series % 2 === 1) || depth[i] === 0) {
      throw gaps.fail(`delta page of depth ${depth[i]} on slot ${slot}`);
    }
    frame.baseSegment[i] = segmentOf(series);
    frame.baseSlot[i] = slot;
    slots.follow(series, slot + 1);
  }
  segments.end();
  gaps.end();
}

function decodeRuns(
  frame: DeltaFrame,
  sizes: ByteReader,
  skips: ByteReader,
  lengths: ByteReader,
): void {
  const { pages, bytes, runs, firstRun, firstByte } = frame;
  let run = 0;
  let at = 0;
  for (let page = 0; page < pages; page++) {
    const skipsEnd = sizes.varint() + skips.position;
    const lengthsEnd = sizes.varint() + lengths.position;
    const bytesEnd = sizes.varint() + at;
    let end = 0;
    while (lengths.position < lengthsEnd) {
      const start = end + skips.varint();
      const length = lengths.varint() + 1;
      end = start + length;
      if (end > PAGE_BYTES) throw lengths.fail('a run of bytes leaves its page');
      runs[run++] = start | (length << 16);
      at += length;
    }
    const isWhole =
      skips.position === skipsEnd && lengths.position === lengthsEnd && at === bytesEnd;
    if (!isWhole) throw sizes.fail('a delta page has other bytes than its runs');
    firstRun[page + 1] = run;
    firstByte[page + 1] = at;
  }
  sizes.end();
  skips.end();
  lengths.end();
  if (at !== bytes.length) throw sizes.fail(`${bytes.length} new bytes, ${at} expected`);
}

/** Turns the base in `target` at `offset` into the frame's page `index`. */
export function applyDelta(
  frame: DeltaFrame,
  index: number,
  target: Uint8Array,
  offset: number,
): void {
  const { runs, bytes } = frame;
  const last = frame.firstRun[index + 1] as number;
  let from = frame.firstByte[index] as number;
  for (let run = frame.firstRun[index] as number; run < last; run++) {
    const startAndLength = runs[run] as number;
    let to = offset + (startAndLength & 0xffff);
    // Byte by byte: a run has 5 bytes on average, and a view costs more than 50 do.
    for (const end = from + (startAndLength >>> 16); from < end;) {
      target[to++] = bytes[from++] as number;
    }
  }
}
