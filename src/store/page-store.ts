/**
 * Decides for each page of a capture whether the store has it already, and stores it if not: the
 * inner loop of a capture. Zero pages are runs of nothing; pages that this capture or a committed
 * pack holds become references; the rest go into this capture's segment, in the order they come.
 *
 * Equality is the full SHA-256, always: a hint of the index counts only when the digest in the
 * pack agrees. A pack that cannot be read never matches.
 */
import { DIGEST_BYTES, sha256Into } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import { isDamage } from '../errors.ts';
import type { ConfirmHit, PageIndex } from '../index/page-index.ts';
import { LeafBuilder, ZERO_PAGE_DIGEST } from '../manifest/leaves.ts';
import { RecipeBuilder } from '../manifest/recipe.ts';
import type { PackSet } from '../pack/pack-set.ts';
import type { PackWriter } from '../pack/writer.ts';
import type { StoreContext } from './context.ts';
import { RecentPages } from './recent-pages.ts';
import type { SegmentDirectory } from './segment-directory.ts';

/** Pages that one call of `addSlice` takes at most: 1 MiB. */
export const SLICE_PAGES = 256;

/** The parts of a space, when all its pages have been added. */
export interface StoredSpace {
  readonly leaves: Uint8Array;
  readonly recipe: Uint8Array;
}

const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

/** Stores the pages of one capture. */
export class PageStore {
  /** Bytes to be filled, slice by slice, by the caller. */
  readonly slice: Buffer = Buffer.allocUnsafeSlow(SLICE_PAGES * PAGE_BYTES);
  readonly #pages: readonly Buffer[] = pageViews(this.slice);
  readonly #digest: Buffer = Buffer.alloc(DIGEST_BYTES);
  readonly #writer: PackWriter;
  readonly #index: PageIndex;
  readonly #packs: PackSet;
  readonly #directory: SegmentDirectory;
  readonly #recent = new RecentPages();
  readonly #leaves = new LeafBuilder();
  readonly #recipe = new RecipeBuilder();
  /** Identities by manifest-local number; the capture's own segment is 0. */
  readonly #segments: Uint8Array[];
  /** Manifest-local numbers of the segments of each pack, by their numbers there. */
  readonly #localNumbers = new Map<string, number[]>();
  #foundSegment = 0;
  #foundSlot = 0;
  #newPages = 0;

  /** @param ownSegment identity of the segment that this capture adds. */
  constructor(context: StoreContext, writer: PackWriter, ownSegment: Uint8Array) {
    this.#writer = writer;
    this.#index = context.index;
    this.#packs = context.packs;
    this.#directory = context.segments;
    context.segments.refresh();
    this.#segments = [ownSegment];
  }

  /** Pages that this capture added to the store. */
  get newPages(): number {
    return this.#newPages;
  }

  /** Identities of the segments that the recipes refer to, by local number. */
  get segments(): readonly Uint8Array[] {
    return this.#segments;
  }

  /** Adds the first `length` bytes of the slice to the current space. */
  addSlice(length: number): void {
    const whole = Math.floor(length / PAGE_BYTES);
    for (let i = 0; i < whole; i++) this.#addPage(this.#pages[i] as Buffer);
    if (length > whole * PAGE_BYTES) {
      this.#addPage(this.slice.subarray(whole * PAGE_BYTES, length));
    }
  }

  /** Ends the current space; the next page begins another. */
  endSpace(): StoredSpace {
    return { leaves: this.#leaves.finish(), recipe: this.#recipe.finish() };
  }

  #addPage(page: Buffer): void {
    if (page.equals(ZERO_PAGE)) {
      this.#leaves.add(ZERO_PAGE_DIGEST, 0);
      this.#recipe.addZero();
      return;
    }
    const digest = this.#digest;
    sha256Into(page, digest, 0);
    this.#leaves.add(digest, 0);
    const recent = this.#recent.find(digest, 0);
    if (recent >= 0) this.#recipe.addSlot(0, recent);
    else if (this.#index.find(digest, 0, this.#confirm)) {
      this.#recipe.addSlot(this.#foundSegment, this.#foundSlot);
    } else this.#addNewPage(page);
  }

  #addNewPage(page: Buffer): void {
    const slot = this.#writer.addPage(page, this.#digest, 0);
    this.#recent.add(this.#digest, 0, slot);
    this.#recipe.addSlot(0, slot);
    this.#newPages += 1;
  }

  /** Made once: a closure a page would be 100,000 objects a second. */
  readonly #confirm: ConfirmHit = (pack, segment, slot) => {
    try {
      const local = this.#localNumber(pack, segment);
      if (local < 0) return false;
      if (!this.#packs.reader(pack).hasDigest(segment, slot, this.#digest, 0)) return false;
      this.#foundSegment = local;
    } catch (error) {
      // A capture never fails because old data is damaged: what cannot be read does not match.
      if (isDamage(error)) return false;
      throw error;
    }
    this.#foundSlot = slot;
    return true;
  };

  /** The number of a segment in this manifest; -1 for one that the catalog does not know. */
  #localNumber(pack: string, segment: number): number {
    let numbers = this.#localNumbers.get(pack);
    if (numbers === undefined) this.#localNumbers.set(pack, (numbers = []));
    let number = numbers[segment];
    if (number === undefined) {
      const reader = this.#packs.reader(pack);
      const identity = reader.footer.references[segment];
      if (identity === undefined) throw reader.corrupt(`no segment ${segment} in this pack`);
      number = this.#isCommitted(identity, pack) ? this.#segments.push(identity) - 1 : -1;
      numbers[segment] = number;
    }
    return number;
  }

  /** A page counts as stored only where a restore will look for it. */
  #isCommitted(identity: Uint8Array, pack: string): boolean {
    return this.#directory.find(identity)?.packName === pack;
  }
}

function pageViews(slice: Buffer): Buffer[] {
  const viewOf = (_: unknown, i: number) => slice.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
  return Array.from({ length: SLICE_PAGES }, viewOf);
}
