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
    this.#sizes.varint(record.skips.length);
    this.#sizes.varint(record.lengths.length);
    this.#sizes.varint(record.bytes.length);
    this.#skips.raw(record.skips);
    this.#lengths.raw(record.lengths);
    this.#bytes.raw(record.bytes);
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

/** A frame of delta pages, decoded: ready to be applied. */
export interface DeltaFrame {
  readonly pages: number;
  /** Of each page. */
  readonly depth: Uint8Array;
  /** Local number in the pack of the segment of each page's base, and its slot there. */
  readonly baseSegment: Uint32Array;
  readonly baseSlot: Uint32Array;
  /** Page i has the runs from `firstRun[i]` to `firstRun[i + 1]`. */
  readonly firstRun: Uint32Array;
  /** Where each run starts in its page, how long it is, and where its bytes are. */
  readonly runStart: Uint16Array;
  readonly runLength: Uint16Array;
  readonly runBytes: Uint32Array;
  readonly bytes: Uint8Array;
}

/** Bytes of memory that a decoded frame takes, about. */
export function memoryOf(frame: DeltaFrame): number {
  return 1024 + frame.runStart.length * 8 + frame.bytes.length;
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
  const { baseSegment, baseSlot } = decodeBases({ pages, depth, segments, gaps });
  const runs = decodeRuns({ pages, sizes, skips, lengths, bytes });
  return { pages, depth, baseSegment, baseSlot, ...runs, bytes };
}

function decodeBases(from: {
  readonly pages: number;
  readonly depth: Uint8Array;
  readonly segments: ByteReader;
  readonly gaps: ByteReader;
}): Pick<DeltaFrame, 'baseSegment' | 'baseSlot'> {
  const { pages, depth, segments, gaps } = from;
  const baseSegment = new Uint32Array(pages);
  const baseSlot = new Uint32Array(pages);
  const slots = new SlotSeries();
  for (let i = 0; i < pages; i++) {
    const series = segments.count(2 ** 32 - 1, 'as segment number');
    const slot = slots.expected(series) + unzigzag(gaps.varint());
    const isDeep = (depth[i] as number) > 1;
    if (!areInSeries(series, slot, 1) || isDeep !== (series % 2 === 1) || depth[i] === 0) {
      throw gaps.fail(`delta page of depth ${depth[i]} on slot ${slot}`);
    }
    baseSegment[i] = segmentOf(series);
    baseSlot[i] = slot;
    slots.follow(series, slot + 1);
  }
  segments.end();
  gaps.end();
  return { baseSegment, baseSlot };
}

function decodeRuns(from: {
  readonly pages: number;
  readonly sizes: ByteReader;
  readonly skips: ByteReader;
  readonly lengths: ByteReader;
  readonly bytes: Uint8Array;
}): Pick<DeltaFrame, 'firstRun' | 'runStart' | 'runLength' | 'runBytes'> {
  const { pages, sizes, skips, lengths, bytes } = from;
  // A length takes a byte or two: no frame has more runs than that column has bytes.
  const most = lengths.remaining;
  const firstRun = new Uint32Array(pages + 1);
  const runStart = new Uint16Array(most);
  const runLength = new Uint16Array(most);
  const runBytes = new Uint32Array(most);
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
      runStart[run] = start;
      runLength[run] = length;
      runBytes[run] = at;
      at += length;
      run += 1;
    }
    const isWhole =
      skips.position === skipsEnd && lengths.position === lengthsEnd && at === bytesEnd;
    if (!isWhole) throw sizes.fail('a delta page has other bytes than its runs');
    firstRun[page + 1] = run;
  }
  sizes.end();
  skips.end();
  lengths.end();
  if (at !== bytes.length) throw sizes.fail(`${bytes.length} new bytes, ${at} expected`);
  return {
    firstRun,
    runStart: runStart.subarray(0, run),
    runLength: runLength.subarray(0, run),
    runBytes: runBytes.subarray(0, run),
  };
}

/** Turns the base in `target` at `offset` into the frame's page `index`. */
export function applyDelta(
  frame: DeltaFrame,
  index: number,
  target: Uint8Array,
  offset: number,
): void {
  const { runStart, runLength, runBytes, bytes } = frame;
  const last = frame.firstRun[index + 1] as number;
  for (let run = frame.firstRun[index] as number; run < last; run++) {
    const length = runLength[run] as number;
    let from = runBytes[run] as number;
    let to = offset + (runStart[run] as number);
    // Byte by byte: a run has 5 bytes on average, and a view costs more than 50 do.
    for (const end = from + length; from < end; from++) target[to++] = bytes[from] as number;
  }
}
