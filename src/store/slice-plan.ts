/**
 * Cuts a file into slices and says for each of their pages which page of the base it is compared
 * with. A slice ends where it is full, and where its pages would need more leaves of the base than
 * it has room for.
 */
import { DIGEST_BYTES } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import type { InheritedPages } from '../images/index.ts';
import { Alignment, type AlignedFile } from '../manifest/alignment.ts';
import { LEAF_PAGES } from '../manifest/leaves.ts';
import { PageRunsCursor } from '../manifest/page-runs.ts';
import { BASE_LEAVES, PAGE, SLICE_PAGES, type Slice } from '../slices/slice.ts';
import type { StoredFile } from './snapshot-pages.ts';
import type { WarmCapture } from './warm-pages.ts';

/** Of the regions of 2 MiB, a quarter of the depth is what their limits differ by. */
const SPREAD = 4;

/** A slice that has been planned. */
export interface PlannedSlice {
  /** First page in the file. */
  readonly first: number;
  readonly pages: number;
  readonly bytes: number;
  /** Leaves of the base that its pages are compared with. */
  readonly baseLeaves: number;
}

/** What is to be cut. */
export interface FileToPlan extends AlignedFile {
  readonly sizeBytes: number;
  readonly base: StoredFile | undefined;
  readonly inherited: InheritedPages | undefined;
}

/** Cuts one file, front to back. */
export class SlicePlan {
  readonly #file: FileToPlan;
  readonly #maxDepth: number;
  readonly #warm: WarmCapture;
  readonly #alignment: Alignment | undefined;
  readonly #basePages: PageRunsCursor | undefined;
  #next = 0;
  #inheritedRun = 0;

  constructor(file: FileToPlan, maxDepth: number, warm: WarmCapture) {
    this.#file = file;
    this.#maxDepth = maxDepth;
    this.#warm = warm;
    if (file.base === undefined) return;
    this.#alignment = new Alignment(file, alignedWith(file.base));
    this.#basePages = new PageRunsCursor(file.base.runs);
  }

  /** Plans the next slice into `slice`; undefined when there is none. */
  next(slice: Slice): PlannedSlice | undefined {
    const first = this.#next;
    const { pageCount, sizeBytes } = this.#file;
    if (first >= pageCount) return undefined;
    const room = Math.min(SLICE_PAGES, pageCount - first);
    const leaves: number[] = [];
    const pages = this.#align(slice, first, room, leaves);
    this.#markInherited(slice, first, pages);
    this.#limitDepths(slice, first, pages);
    this.#next = first + pages;
    const bytes = Math.min(sizeBytes, this.#next * PAGE_BYTES) - first * PAGE_BYTES;
    for (const [i, leaf] of leaves.entries()) this.#describe(slice, leaf, i);
    return { first, pages, bytes, baseLeaves: leaves.length };
  }

  /** Finds the base page of each page; returns for how many there was room. */
  #align(slice: Slice, first: number, room: number, leaves: number[]): number {
    const alignment = this.#alignment;
    if (alignment === undefined) {
      slice.basePage.fill(-1, 0, room);
      return room;
    }
    let done = 0;
    while (done < room) {
      const base = alignment.find(first + done);
      let count = Math.min(alignment.pagesLeft, room - done);
      if (base < 0) {
        slice.basePage.fill(-1, done, done + count);
        done += count;
        continue;
      }
      const leaf = Math.floor(base / LEAF_PAGES);
      if (leaves.at(-1) !== leaf) {
        if (leaves.length === BASE_LEAVES) return done;
        leaves.push(leaf);
      }
      count = Math.min(count, (leaf + 1) * LEAF_PAGES - base);
      const start = (leaves.length - 1) * LEAF_PAGES + (base % LEAF_PAGES);
      for (let i = 0; i < count; i++) slice.basePage[done + i] = start + i;
      done += count;
    }
    return done;
  }

  /** Says what a base leaf is, and where its pages are. */
  #describe(slice: Slice, leaf: number, index: number): void {
    const base = this.#file.base as StoredFile;
    const cursor = this.#basePages as PageRunsCursor;
    const first = leaf * LEAF_PAGES;
    const pages = Math.min(LEAF_PAGES, base.pageCount - first);
    for (let i = 0; i < pages;) {
      cursor.seek(first + i);
      const count = Math.min(cursor.pagesLeft, pages - i);
      const at = index * LEAF_PAGES + i;
      slice.baseSegment.fill(cursor.segment, at, at + count);
      for (let j = 0; j < count; j++) slice.baseSlot[at + j] = cursor.slot + j;
      i += count;
    }
    this.#warm.cellsOf(base.headPage + first, pages, slice.baseCell, index * LEAF_PAGES);
    const { sizeBytes, leaves } = base.content;
    const end = Math.min(sizeBytes, (first + pages) * PAGE_BYTES);
    slice.baseHeadPage[index] = base.headPage + first;
    slice.baseLeafBytes[index] = end - first * PAGE_BYTES;
    const digest = leaves.subarray(leaf * DIGEST_BYTES, (leaf + 1) * DIGEST_BYTES);
    slice.baseLeafDigests.set(digest, index * DIGEST_BYTES);
  }

  #markInherited(slice: Slice, first: number, pages: number): void {
    slice.kinds.fill(PAGE.changed, 0, pages);
    const { inherited } = this.#file;
    if (inherited === undefined) return;
    const { start, length } = inherited;
    while (this.#inheritedRun < start.length) {
      const from = start[this.#inheritedRun] as number;
      const to = from + (length[this.#inheritedRun] as number);
      if (from >= first + pages) return;
      slice.kinds.fill(PAGE.inherited, Math.max(0, from - first), Math.min(pages, to - first));
      if (to > first + pages) return;
      this.#inheritedRun += 1;
    }
  }

  /**
   * How deep a page's chain may get: a quarter less here and there, so that not all pages that
   * change all the time start a new chain in the same capture. Neighbours have the same limit,
   * because they are decoded together.
   */
  #limitDepths(slice: Slice, first: number, pages: number): void {
    const spread = Math.floor(this.#maxDepth / SPREAD);
    for (let i = 0; i < pages; i++) {
      // Knuth's multiplicative hash of the region.
      const hash = Math.imul(Math.floor((first + i) / LEAF_PAGES), 0x9e3779b1) >>> 16;
      slice.depthLimit[i] = this.#maxDepth - (spread === 0 ? 0 : hash % spread);
    }
  }
}

function alignedWith({ pageCount, content }: StoredFile): AlignedFile {
  return { pageCount, addresses: content.addresses };
}
