/**
 * Encodes a frame of deltas once more: only some of its pages, or with other numbers for the
 * segments of their bases, as a pack wants them that it is moved to; or with pages that are the
 * same as a full page, which they are deltas of nothing to. Pure.
 */
import { areInSeries, SlotSeries } from '../bytes/slot.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { zigzag } from '../bytes/zigzag.ts';
import type { DeltaFrame } from './delta-frame.ts';

/** A full page, by the local number of its segment in the new pack. */
export interface FullPagePlace {
  readonly segment: number;
  readonly slot: number;
}

/**
 * The raw bytes of a frame that holds some pages of another.
 *
 * @param frame undefined when none of its pages is kept as it is.
 * @param ranks the places of these pages in the frame, ascending.
 * @param localOf the local number of a base's segment in the new pack, by the one in the old.
 * @param copies full pages that some of them are the same as, by their places in the frame.
 */
export function encodeKeptDeltas(
  frame: DeltaFrame | undefined,
  ranks: readonly number[],
  localOf: (segment: number) => number,
  copies: ReadonlyMap<number, FullPagePlace> = new Map(),
): Uint8Array {
  const [depths, segments, gaps, sizes] = [0, 0, 0, 0].map(() => new ByteWriter(256)) as Writers;
  const [skips, lengths] = [new ByteWriter(4096), new ByteWriter(4096)];
  const bytes = new ByteWriter(16384);
  const series = new SlotSeries();
  const addBase = (depth: number, { segment, slot }: FullPagePlace) => {
    depths.u8(depth);
    const number = series.seriesOf(segment, slot);
    if (!areInSeries(number, slot, 1)) throw new RangeError(`slot ${slot}`);
    segments.varint(number);
    gaps.varint(zigzag(slot - series.expected(number)));
    series.follow(number, slot + 1);
  };
  for (const rank of ranks) {
    const copy = copies.get(rank);
    if (copy !== undefined) {
      addBase(1, copy);
      for (let i = 0; i < 3; i++) sizes.varint(0);
      continue;
    }
    if (frame === undefined) throw new RangeError(`page ${rank} of no frame`);
    const segment = localOf(frame.baseSegment[rank] as number);
    addBase(frame.depth[rank] as number, { segment, slot: frame.baseSlot[rank] as number });
    const [skipsStart, lengthsStart] = [skips.length, lengths.length];
    const [firstByte, lastByte] = [frame.firstByte[rank], frame.firstByte[rank + 1]];
    addRuns(frame, rank, skips, lengths);
    sizes.varint(skips.length - skipsStart);
    sizes.varint(lengths.length - lengthsStart);
    sizes.varint((lastByte as number) - (firstByte as number));
    bytes.raw(frame.bytes.subarray(firstByte, lastByte));
  }
  const writer = new ByteWriter(64 + skips.length + lengths.length + bytes.length);
  const columns = [segments, gaps, sizes, skips, lengths];
  writer.varint(ranks.length);
  for (const column of columns) writer.varint(column.length);
  for (const column of [depths, ...columns, bytes]) writer.raw(column.bytes());
  return writer.bytes();
}

type Writers = [ByteWriter, ByteWriter, ByteWriter, ByteWriter];

function addRuns(frame: DeltaFrame, rank: number, skips: ByteWriter, lengths: ByteWriter): void {
  const last = frame.firstRun[rank + 1] as number;
  let end = 0;
  for (let run = frame.firstRun[rank] as number; run < last; run++) {
    const startAndLength = frame.runs[run] as number;
    const [start, length] = [startAndLength & 0xffff, startAndLength >>> 16];
    skips.varint(start - end);
    lengths.varint(length - 1);
    end = start + length;
  }
}
