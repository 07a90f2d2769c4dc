/** Cuts a file's content into pieces that lie together in the file and in the space `files`. */
import { PAGE_BYTES } from '../bytes/page.ts';
import type { PageExtents } from './body.ts';
import type { DataRuns } from './entry.ts';

/** Takes a piece: its address / 4096, its pages, its first byte in the file. */
export type OnPiece = (address: number, pages: number, offsetBytes: number) => void;

/** Calls for each piece, in the order of the file. */
export function cutPieces(
  { start, length }: PageExtents,
  data: DataRuns | undefined,
  onPiece: OnPiece,
): void {
  let [run, inRun] = [0, 0];
  for (let i = 0; i < start.length; i++) {
    let address = start[i] as number;
    const end = address + (length[i] as number);
    while (address < end) {
      const runLength = data === undefined ? Infinity : (data.length[run] as number);
      const pages = Math.min(end - address, runLength - inRun);
      const first = (data === undefined ? 0 : (data.start[run] as number)) + inRun;
      onPiece(address, pages, first * PAGE_BYTES);
      address += pages;
      inRun += pages;
      if (inRun === runLength) [run, inRun] = [run + 1, 0];
    }
  }
}
