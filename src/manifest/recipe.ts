/**
 * A recipe: how the pages of a file are put together, as runs in the order of the pages
 * (FORMAT.md, section 4).
 *
 * A run is zero pages, consecutive slots of one segment, or pages that are the same as in the base:
 * the file of the base snapshot that this recipe is a difference to. Runs are kept in columns of
 * varints, because like bytes beside like bytes compress.
 */
import { ByteReader } from '../bytes/reader.ts';
import { areInSeries, segmentOf, SlotSeries } from '../bytes/slot.ts';
import { ByteWriter } from '../bytes/writer.ts';
import { unzigzag, zigzag } from '../bytes/zigzag.ts';

/** Kinds of runs. */
export const RUN = { zero: 0, slots: 1, same: 2 } as const;

/** A kind of run. */
export type RunKind = (typeof RUN)[keyof typeof RUN];

/** Builds a recipe page by page; memory is some 3 bytes a run. */
export class RecipeBuilder {
  readonly #heads = new ByteWriter(64);
  readonly #segments = new ByteWriter(64);
  readonly #gaps = new ByteWriter(64);
  readonly #series = new SlotSeries();
  #runs = 0;
  /** The run that still grows. */
  #kind: RunKind = RUN.zero;
  #segment = 0;
  #slot = 0;
  #pages = 0;

  /** Appends a page of zeros. */
  addZero(): void {
    if (this.#kind !== RUN.zero) this.#endRun(RUN.zero, 0, 0);
    this.#pages += 1;
  }

  /** Appends a page that is the same as in the base. */
  addSame(): void {
    if (this.#kind !== RUN.same) this.#endRun(RUN.same, 0, 0);
    this.#pages += 1;
  }

  /** Appends the page in a slot; `segment` is its local number in the manifest. */
  addSlot(segment: number, slot: number): void {
    const goesOn =
      this.#kind === RUN.slots && segment === this.#segment && slot === this.#slot + this.#pages;
    if (!goesOn) this.#endRun(RUN.slots, segment, slot);
    this.#pages += 1;
  }

  #endRun(nextKind: RunKind, nextSegment: number, nextSlot: number): void {
    const [kind, segment, slot, pages] = [this.#kind, this.#segment, this.#slot, this.#pages];
    this.#kind = nextKind;
    this.#segment = nextSegment;
    this.#slot = nextSlot;
    this.#pages = 0;
    if (pages === 0) return;
    this.#runs += 1;
    this.#heads.varint(pages * 4 + kind);
    if (kind !== RUN.slots) return;
    const series = this.#series.seriesOf(segment, slot);
    this.#segments.varint(series);
    this.#gaps.varint(zigzag(slot - this.#series.expected(series)));
    this.#series.follow(series, slot + pages);
  }

  /** Ends the recipe and returns its bytes; the builder starts again, empty. */
  finish(): Uint8Array {
    this.#endRun(RUN.zero, 0, 0);
    const writer = new ByteWriter(16 + this.#heads.length * 3);
    writer.varint(this.#runs);
    writer.varint(this.#heads.length);
    writer.varint(this.#segments.length);
    for (const column of [this.#heads, this.#segments, this.#gaps]) {
      writer.raw(column.bytes());
      column.clear();
    }
    this.#runs = 0;
    this.#series.clear();
    return writer.bytes();
  }
}

/** Walks the runs of a recipe without allocating for each of them. */
export class RecipeCursor {
  /** Kind of the current run. */
  kind: RunKind = RUN.zero;
  /** Of a run of slots: local number of the segment in the manifest, and the first slot. */
  segment = 0;
  slot = 0;
  /** Pages of the current run. */
  pages = 0;
  readonly #heads: ByteReader;
  readonly #segments: ByteReader;
  readonly #gaps: ByteReader;
  readonly #segmentCount: number;
  readonly #series = new SlotSeries();
  #runsLeft: number;
  #pagesLeft: number;

  /**
   * @param pageCount pages of the space: the runs must add up to it.
   * @param segmentCount segments that the manifest refers to.
   * @throws StoreError CORRUPT, here and in `next`.
   */
  constructor(recipe: Uint8Array, pageCount: number, segmentCount: number, file: string) {
    const place = { code: 'CORRUPT', file } as const;
    const reader = new ByteReader(recipe, place);
    this.#runsLeft = reader.varint();
    const headsBytes = reader.varint();
    const segmentsBytes = reader.varint();
    this.#heads = new ByteReader(reader.bytes(headsBytes), place);
    this.#segments = new ByteReader(reader.bytes(segmentsBytes), place);
    this.#gaps = new ByteReader(reader.bytes(reader.remaining), place);
    this.#segmentCount = segmentCount;
    this.#pagesLeft = pageCount;
  }

  /** Moves to the next run; false after the last. */
  next(): boolean {
    if (this.#runsLeft === 0) return this.#end();
    this.#runsLeft -= 1;
    const head = this.#heads.varint();
    this.pages = Math.floor(head / 4);
    if (this.pages === 0 || this.pages > this.#pagesLeft) {
      throw this.#heads.fail('recipe has other pages than its space');
    }
    this.#pagesLeft -= this.pages;
    const kind = head % 4;
    if (kind > RUN.same) throw this.#heads.fail(`run of unknown kind ${kind}`);
    this.kind = kind as RunKind;
    if (kind === RUN.slots) this.#readSlot();
    return true;
  }

  #readSlot(): void {
    const series = this.#segments.varint();
    this.segment = segmentOf(series);
    if (this.segment >= this.#segmentCount) {
      throw this.#segments.fail(`recipe refers to unknown segment ${this.segment}`);
    }
    this.slot = this.#series.expected(series) + unzigzag(this.#gaps.varint());
    if (!areInSeries(series, this.slot, this.pages)) {
      throw this.#gaps.fail(`recipe refers to slot ${this.slot}`);
    }
    this.#series.follow(series, this.slot + this.pages);
  }

  #end(): false {
    this.#heads.end();
    this.#segments.end();
    this.#gaps.end();
    if (this.#pagesLeft > 0) throw this.#heads.fail('recipe has fewer pages than its space');
    return false;
  }
}
