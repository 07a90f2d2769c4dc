/**
 * Decides for each page of a capture whether the store has it already, and puts those that it has
 * not into this capture's segment. Slices come twice, in order both times: once scanned, to find
 * what is new; and once compared with their base, to keep it as full or delta pages.
 *
 * Equality is the full SHA-256, always: a hint of the index counts only when the digest in the
 * pack agrees. A pack that cannot be read never matches.
 */
import { DIGEST_BYTES } from '#digest';
import { PAGE_BYTES } from '../bytes/page.ts';
import { isDamage } from '../errors.ts';
import type { ConfirmHit, PageIndex } from '../index/page-index.ts';
import { LeafBuilder } from '../manifest/leaves.ts';
import { ZERO_SEGMENT } from '../manifest/page-runs.ts';
import { RecipeBuilder } from '../manifest/recipe.ts';
import { FRAME_PAGES } from '../pack/format.ts';
import { DeltaFrames, FullFrames } from '../pack/frame-builder.ts';
import type { PackSet } from '../pack/pack-set.ts';
import { newRecord, readRecord } from '../pack/page-diff.ts';
import type { PackWriter } from '../pack/writer.ts';
import { NO_CELL } from '../slices/page-cells.ts';
import { KEPT, PAGE, PAGES_OF_STEP, SLICE_PAGES, type Slice } from '../slices/slice.ts';
import type { Pacer } from './clock.ts';
import type { CondemnedThen } from './condemned.ts';
import type { StoreContext } from './context.ts';
import type { FrameOfSlice, FrameQueue } from './frame-queue.ts';
import { NewSlots } from './new-slots.ts';
import type { RecentPages } from './recent-pages.ts';
import type { PlannedSlice } from './slice-plan.ts';
import type { PlacedSegment, SegmentDirectory } from './segment-directory.ts';
import type { WarmCapture } from './warm-pages.ts';

/** What is known of a slice between its two visits. */
export interface SliceFindings {
  /** Pages that are new to the store. */
  newPages: number;
  /** Those of them that get a cell. */
  newCells: number;
  /** Of each page: local number of a segment, or one of FOUND. */
  readonly segment: Int32Array;
  /** Of each page: the slot, or the number of the new page. */
  readonly slot: Uint32Array;
}

/** What a page is that is in no known segment. */
const FOUND = { zero: -1, same: -2, new: -3 } as const;

/** Findings for one slice at a time. */
export function newFindings(): SliceFindings {
  return {
    newPages: 0,
    newCells: 0,
    segment: new Int32Array(SLICE_PAGES),
    slot: new Uint32Array(SLICE_PAGES),
  };
}

/** A file that has been stored: what the manifest says of it. */
export interface StoredContent {
  readonly leaves: Uint8Array;
  readonly recipe: Uint8Array;
}

/** How a capture stores its pages. */
export interface PageStoreOptions {
  readonly writer: PackWriter;
  readonly frames: FrameQueue;
  /** Identity of the capture's own segment. */
  readonly identity: Uint8Array;
  /** Whether recipes are differences to the base's. */
  readonly differs: boolean;
  /** Empty. */
  readonly recent: RecentPages;
  readonly warm: WarmCapture;
  readonly pacer: Pacer;
}

/** Stores the pages of one capture. */
export class PageStore {
  readonly #packs: PackSet;
  readonly #index: PageIndex;
  readonly #directory: SegmentDirectory;
  /** As it was when this began: what is collected meanwhile waits for this operation. */
  readonly #condemned: CondemnedThen;
  readonly #options: PageStoreOptions;
  readonly #full = new FullFrames();
  readonly #delta = new DeltaFrames();
  readonly #record = newRecord();
  /**
   * Whether the pages of the current full frame are all in one slice, and which of them they are:
   * they need not be copied here. Of a first capture all but a tenth are.
   */
  #isGathering = false;
  readonly #gathered = new Uint16Array(FRAME_PAGES);
  /** Full pages of the slice that is being kept that have not been yet. */
  #fullLeft = 0;
  /** The frames that are all in the slice that is being kept. */
  readonly #whole: FrameOfSlice[] = [];
  readonly #recent: RecentPages;
  readonly #warm: WarmCapture;
  readonly #newSlots = new NewSlots();
  readonly #leaves = new LeafBuilder();
  readonly #recipe = new RecipeBuilder();
  /** Identities of the segments that the recipes refer to; the capture's own is the first. */
  readonly #segments: Uint8Array[];
  /** The catalog's numbers of segments to local ones, in the manifest and in the pack. */
  readonly #inManifest = new Map<number, number>();
  readonly #inPack = new Map<number, number>();
  /** Where the segments are that hits of the index were in. */
  readonly #places = new Map<number, PlacedSegment>();
  /** Where the digest that is looked for is, and what `#confirm` found. */
  #digests: Buffer = Buffer.alloc(0);
  #digestOffset = 0;
  #foundSegment = 0;
  #foundSlot = 0;

  constructor(context: StoreContext, options: PageStoreOptions) {
    this.#packs = context.packs;
    this.#index = context.index;
    this.#directory = context.segments;
    this.#condemned = context.condemned.now;
    this.#options = options;
    this.#recent = options.recent;
    this.#warm = options.warm;
    this.#segments = [options.identity];
  }

  /** Pages that this capture has added so far. */
  get newPages(): number {
    return this.#newSlots.length;
  }

  /** Identities of the segments that the recipes refer to, by local number. */
  get segments(): readonly Uint8Array[] {
    return this.#segments;
  }

  /** First visit: says of each page of a scanned slice where it is, and lists the new ones. */
  findNew(slice: Slice, pages: number, findings: SliceFindings): void {
    findings.newPages = 0;
    findings.newCells = 0;
    for (let i = 0; i < pages; i++) {
      const kind = slice.kinds[i];
      const base = slice.basePage[i] as number;
      const cell = base < 0 ? NO_CELL : (slice.baseCell[base] as number);
      if (kind === PAGE.same && cell === NO_CELL && this.#options.differs) {
        const end = endOfSame(slice, i, pages);
        findings.segment.fill(FOUND.same, i, end);
        this.#warm.skip(end - i);
        i = end - 1;
      } else if (kind === PAGE.same) {
        this.#findSame(slice, i, findings);
        this.#warm.addSame(cell);
      } else if (kind === PAGE.changed && this.#isNew(slice, i, findings)) {
        this.#addNew(slice, i, findings, this.#warm.take(cell));
      } else {
        if (kind === PAGE.zero) this.#findZero(slice, i, findings);
        this.#warm.give(cell);
        this.#warm.add(NO_CELL);
      }
    }
  }

  #findSame(slice: Slice, i: number, findings: SliceFindings): void {
    if (this.#options.differs) {
      findings.segment[i] = FOUND.same;
      return;
    }
    const base = slice.basePage[i] as number;
    const number = slice.baseSegment[base] as number;
    findings.segment[i] = number === ZERO_SEGMENT ? FOUND.zero : this.#numberInManifest(number);
    findings.slot[i] = slice.baseSlot[base] as number;
  }

  /** Where the base has zeros as well, the run of pages that are the same goes on. */
  #findZero(slice: Slice, i: number, findings: SliceFindings): void {
    const base = slice.basePage[i] as number;
    const isSame = this.#options.differs && base >= 0 && slice.baseSegment[base] === ZERO_SEGMENT;
    findings.segment[i] = isSame ? FOUND.same : FOUND.zero;
  }

  /** Whether a page that has changed is nowhere in the store; otherwise it says where. */
  #isNew({ digests, digestWords }: Slice, i: number, findings: SliceFindings): boolean {
    const recent = this.#recent.find(digestWords, i);
    if (recent >= 0) {
      findings.segment[i] = FOUND.new;
      findings.slot[i] = recent;
      return false;
    }
    if (!this.#isInIndex(digests, i * DIGEST_BYTES)) return true;
    findings.segment[i] = this.#foundSegment;
    findings.slot[i] = this.#foundSlot;
    return false;
  }

  #addNew(slice: Slice, i: number, findings: SliceFindings, cell: number): void {
    const number = this.#newSlots.reserve();
    this.#recent.add(slice.digestWords, i, number);
    this.#warm.add(cell);
    findings.segment[i] = FOUND.new;
    findings.slot[i] = number;
    slice.newCell[findings.newPages] = cell;
    if (cell !== NO_CELL) findings.newCells += 1;
    slice.newPages[findings.newPages++] = i;
  }

  #isInIndex(digests: Buffer, offset: number): boolean {
    this.#digests = digests;
    this.#digestOffset = offset;
    return this.#index.find(digests, offset, this.#confirm);
  }

  /**
   * Second visit: keeps the new pages, and writes the recipe and the leaves of all of them.
   *
   * @returns what ends when nothing of the slice is needed any more, wrapped, because the next
   * slice need not wait for it.
   */
  async keep(
    slice: Slice,
    { pages, bytes }: PlannedSlice,
    { newPages, ...findings }: SliceFindings,
  ): Promise<{ readonly encoded: Promise<void> }> {
    this.#whole.length = 0;
    this.#fullLeft = 0;
    for (let i = 0; i < newPages; i++) if (slice.kept[i] === KEPT.full) this.#fullLeft += 1;
    for (let first = 0; first < newPages; first += PAGES_OF_STEP) {
      if (first > 0) await this.#options.pacer.pause();
      this.#keepNew(slice, first, Math.min(newPages, first + PAGES_OF_STEP), bytes);
    }
    this.#leaves.addAll(slice.digests, pages);
    this.#addToRecipe(findings, pages);
    return { encoded: this.#options.frames.addFrom(slice.handle, this.#whole) };
  }

  #keepNew(slice: Slice, first: number, end: number, bytes: number): void {
    for (let i = first; i < end; i++) {
      const page = slice.newPages[i] as number;
      const length = Math.min(PAGE_BYTES, bytes - page * PAGE_BYTES);
      let slot: number;
      if (slice.kept[i] === KEPT.delta) slot = this.#keepDelta(slice, page, length);
      else {
        if (this.#full.isEmpty) this.#isGathering = this.#fullLeft >= FRAME_PAGES;
        slot = this.#keepFull(slice, page, length);
        this.#fullLeft -= 1;
        if (this.#full.isFull) this.#endFullFrame();
      }
      this.#newSlots.settle(slot);
    }
  }

  #addToRecipe(findings: Pick<SliceFindings, 'segment' | 'slot'>, pages: number): void {
    for (let i = 0; i < pages; i++) {
      const segment = findings.segment[i] as number;
      const slot = findings.slot[i] as number;
      if (segment >= 0) this.#recipe.addSlot(segment, slot);
      else if (segment === FOUND.zero) this.#recipe.addZero();
      else if (segment === FOUND.same) this.#recipe.addSame();
      else this.#recipe.addSlot(0, this.#newSlots.slotOf(slot));
    }
  }

  #keepFull(slice: Slice, page: number, length: number): number {
    const start = page * DIGEST_BYTES;
    const digest = slice.digests.subarray(start, start + DIGEST_BYTES);
    if (this.#isGathering) {
      const slot = this.#full.note(length, digest);
      this.#gathered[slot % FRAME_PAGES] = page;
      return slot;
    }
    const view = slice.view(page);
    return this.#full.add(length === PAGE_BYTES ? view : view.subarray(0, length), digest);
  }

  #endFullFrame(): void {
    if (!this.#isGathering) {
      this.#endFrame(this.#full);
      return;
    }
    this.#whole.push({ frame: this.#full.takeNoted(), from: this.#gathered.slice() });
    this.#isGathering = false;
  }

  #keepDelta(slice: Slice, page: number, length: number): number {
    readRecord(slice.pages, page * PAGE_BYTES, this.#record);
    const slot = this.#delta.add(this.#record, this.#numberInPack(this.#record.segment), length);
    if (this.#delta.isFull) this.#endFrame(this.#delta);
    return slot;
  }

  #endFrame(frames: FullFrames | DeltaFrames): void {
    const frame = frames.take();
    if (frame !== undefined) this.#options.frames.add(frame);
  }

  /** Ends the current file; the next page begins another. */
  endFile(): StoredContent {
    return { leaves: this.#leaves.finish(), recipe: this.#recipe.finish() };
  }

  /** Ends the capture's pages: what has been begun goes into the last frames. */
  end(): void {
    this.#endFrame(this.#full);
    this.#endFrame(this.#delta);
  }

  #numberInManifest(number: number): number {
    let local = this.#inManifest.get(number);
    if (local === undefined) {
      local = this.#segments.push(this.#directory.table.identity(number).slice()) - 1;
      this.#inManifest.set(number, local);
    }
    return local;
  }

  #numberInPack(number: number): number {
    let local = this.#inPack.get(number);
    if (local === undefined) {
      local = this.#options.writer.reference(this.#directory.table.identity(number).slice());
      this.#inPack.set(number, local);
    }
    return local;
  }

  /** Made once: a closure a page would be 100,000 objects a second. */
  readonly #confirm: ConfirmHit = (number, slot) => {
    try {
      if (this.#condemned.has(number, slot)) return false;
      const segment = this.#place(number);
      if (segment === undefined) return false;
      const reader = this.#packs.reader(segment.packName);
      if (!reader.hasDigest(segment.local, slot, this.#digests, this.#digestOffset)) return false;
    } catch (error) {
      // A capture never fails because old data is damaged: what cannot be read does not match.
      if (isDamage(error)) return false;
      throw error;
    }
    this.#foundSegment = this.#numberInManifest(number);
    this.#foundSlot = slot;
    return true;
  };

  #place(number: number): PlacedSegment | undefined {
    let segment = this.#places.get(number);
    if (segment === undefined) {
      segment = this.#directory.at(number);
      if (segment !== undefined) this.#places.set(number, segment);
    }
    return segment;
  }
}

/** Up to which page all are the same as in the base, and lie in no cell. */
function endOfSame({ kinds, basePage, baseCell }: Slice, first: number, pages: number): number {
  let i = first + 1;
  while (i < pages && kinds[i] === PAGE.same && baseCell[basePage[i] as number] === NO_CELL) i += 1;
  return i;
}
