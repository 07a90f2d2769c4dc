/**
 * Where the pages of a flat pages file are: columns of pieces, each in one file of a chain or, of
 * an incremental dump on top of a stored snapshot, in that snapshot. 20 bytes a piece.
 */
import { UNIT_BYTES } from '../criu/index.ts';
import type { Ranges } from './ranges.ts';

/** Where each byte of a flat pages file is; piece i ends before byte `ends[i]` of it. */
export interface Pieces {
  readonly ends: Float64Array;
  /** Index of the pages file of each piece. */
  readonly sources: Uint32Array;
  /** Byte offset in that file of each piece. */
  readonly offsets: Float64Array;
}

/** The pieces of a flat space, those that lie together in one file as one. */
export function piecesOf(ranges: Ranges): Pieces {
  const ends = new Float64Array(ranges.length);
  const sources = new Uint32Array(ranges.length);
  const offsets = new Float64Array(ranges.length);
  let length = 0;
  let end = 0;
  let sourceEnd = -1;
  for (let i = 0; i < ranges.length; i++) {
    const range = ranges.at(i);
    const offset = range.offset * UNIT_BYTES;
    if (length === 0 || sources[length - 1] !== range.level || sourceEnd !== offset) {
      sources[length] = range.level;
      offsets[length] = offset;
      length++;
    }
    end += range.length * UNIT_BYTES;
    sourceEnd = offset + range.length * UNIT_BYTES;
    ends[length - 1] = end;
  }
  return {
    ends: ends.slice(0, length),
    sources: sources.slice(0, length),
    offsets: offsets.slice(0, length),
  };
}

/** Pages of a flat pages file that are those of the parent snapshot; in order of `start`. */
export interface InheritedPages {
  /** Number of the first page of each run in this file, of 4096 bytes. */
  readonly start: Float64Array;
  /** Length of each run, in pages of 4096 bytes. */
  readonly length: Float64Array;
  /** Number of the first page in the flat space of the same name of the parent. */
  readonly parentPage: Float64Array;
}

/** The pieces of one source, as runs of pages; undefined when there are none. */
export function inheritedPages(pieces: Pieces, source: number): InheritedPages | undefined {
  const count = pieces.sources.reduce((sum, one) => sum + (one === source ? 1 : 0), 0);
  if (count === 0) return undefined;
  const start = new Float64Array(count);
  const length = new Float64Array(count);
  const parentPage = new Float64Array(count);
  let run = 0;
  let begin = 0;
  for (let i = 0; i < pieces.sources.length; i++) {
    const end = pieces.ends[i] ?? 0;
    if (pieces.sources[i] === source) {
      start[run] = begin / UNIT_BYTES;
      length[run] = (end - begin) / UNIT_BYTES;
      parentPage[run] = (pieces.offsets[i] ?? 0) / UNIT_BYTES;
      run++;
    }
    begin = end;
  }
  return { start, length, parentPage };
}
