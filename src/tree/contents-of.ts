/** The contents of all files of a stored tree, or of a part of it, as columns to write from. */
import { StoreError } from '../errors.ts';
import { NumberColumn, shareNumbers } from './columns.ts';
import { ContentTable, type TreeContents } from './contents.ts';
import { cutPieces } from './cut-pieces.ts';
import type { TreeEntry } from './body.ts';
import { inOrder, orderOf, RunIndex } from './runs.ts';
import type { SpaceRuns } from './tree.ts';

/** Collects files, and says which pages of the space `files` are whose. */
export class ContentsBuilder {
  readonly #table = new ContentTable();
  readonly #start = new NumberColumn();
  readonly #pages = new NumberColumn();
  readonly #file = new NumberColumn();
  readonly #offset = new NumberColumn();

  /** Adds a file under its path. */
  add({ path, sizeBytes, dataRuns, extents }: TreeEntry): void {
    const file = this.#table.add({ path, offsetBytes: 0, facts: undefined }, sizeBytes);
    cutPieces(extents, dataRuns, (address, pages, offsetBytes) => {
      this.#start.push(address);
      this.#pages.push(pages);
      this.#file.push(file);
      this.#offset.push(offsetBytes);
    });
  }

  /**
   * What was added; `runs` are those of the space.
   *
   * @throws StoreError CORRUPT where files are said to have pages that the space has not, or one
   * page together: one of them would be written with holes.
   */
  finish(runs: SpaceRuns, root: string): TreeContents {
    const start = this.#start.values();
    const order = orderOf({ start, length: this.#pages.values() });
    const pages = inOrder(this.#pages.values(), order);
    return {
      kind: 'tree',
      root,
      acceptChanges: false,
      syncFiles: false,
      page: shareNumbers(findPages(runs, inOrder(start, order), pages)),
      pages: shareNumbers(pages),
      file: shareNumbers(inOrder(this.#file.values(), order)),
      offsetBytes: shareNumbers(inOrder(this.#offset.values(), order)),
      ...this.#table.share(),
    };
  }
}

function findPages(runs: SpaceRuns, starts: Float64Array, lengths: Float64Array): Float64Array {
  const index = new RunIndex(runs);
  let end = 0;
  return starts.map((start, i) => {
    const pages = lengths[i] as number;
    const page = index.find(start);
    if (page < end || index.find(start + pages - 1) !== page + pages - 1) {
      throw new StoreError('CORRUPT', 'a tree gives a file pages that it cannot have');
    }
    end = page + pages;
    return page;
  });
}

/** The piece that a page of the space is in, or the first one behind it. */
export function pieceAt({ page, pages }: TreeContents, wanted: number): number {
  let [low, high] = [0, page.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((page[middle] as number) + (pages[middle] as number) <= wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The path of a file. */
export function pathOf({ names, nameEnd }: TreeContents, file: number): Uint8Array {
  return names.slice(file === 0 ? 0 : nameEnd[file - 1], nameEnd[file]);
}
