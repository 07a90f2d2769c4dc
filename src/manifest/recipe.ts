/**
 * A recipe: how the pages of a file are put together, as runs in the order of the pages
 * (FORMAT.md, section 4).
 *
 * A run is either zero pages, or consecutive slots of one segment. Runs are kept in columns of
 * varints, because like bytes beside like bytes compress: a redis dump of 20,000 pages takes 17 KB,
 * and 7 KB after zstd. A slot is written as its distance from where the previous run of
 * the same segment ended, which is small because capture stores and restore reads in page order.
 */
import { ByteReader } from '../bytes/reader.ts';
import { ByteWriter } from '../bytes/writer.ts';

/** Slots of a segment, at most. */
const MAX_SLOTS = 2 ** 32;

/** Builds a recipe page by page; memory is some 3 bytes a run. */
export class RecipeBuilder {
  readonly #heads = new ByteWriter(64);
  readonly #segments = new ByteWriter(64);
  readonly #gaps = new ByteWriter(64);
  readonly #expectedSlots: number[] = [];
  #runs = 0;
  /** The run that still grows: its segment (-1 for zero pages), first slot and pages. */
  #segment = -1;
  #slot = 0;
  #pages = 0;

  /** Appends a page of zeros. */
  addZero(): void {
    if (this.#segment !== -1) this.#endRun(-1, 0);
    this.#pages += 1;
  }

  /** Appends the page in a slot; `segment` is its local number in the manifest. */
  addSlot(segment: number, slot: number): void {
    if (segment !== this.#segment || slot !== this.#slot + this.#pages) this.#endRun(segment, slot);
    this.#pages += 1;
  }

  #endRun(nextSegment: number, nextSlot: number): void {
    const [segment, slot, pages] = [this.#segment, this.#slot, this.#pages];
    this.#segment = nextSegment;
    this.#slot = nextSlot;
    this.#pages = 0;
    if (pages === 0) return;
    this.#runs += 1;
    this.#heads.varint(pages * 2 + (segment < 0 ? 0 : 1));
    if (segment < 0) return;
    this.#segments.varint(segment);
    this.#gaps.varint(zigzag(slot - (this.#expectedSlots[segment] ?? 0)));
    this.#expectedSlots[segment] = slot + pages;
  }

  /** Ends the recipe and returns its bytes; the builder starts again, empty. */
  finish(): Uint8Array {
    this.#endRun(-1, 0);
    const writer = new ByteWriter(16 + this.#heads.length * 3);
    writer.varint(this.#runs);
    writer.varint(this.#heads.length);
    writer.varint(this.#segments.length);
    for (const column of [this.#heads, this.#segments, this.#gaps]) {
      writer.raw(column.bytes());
      column.clear();
    }
    this.#runs = 0;
    this.#expectedSlots.length = 0;
    return writer.bytes();
  }
}

/** Walks the runs of a recipe without allocating for each of them. */
export class RecipeCursor {
  /** Local number of the current run's segment, or -1 for zero pages. */
  segment = -1;
  /** First slot of the current run. */
  slot = 0;
  /** Pages of the current run. */
  pages = 0;
  readonly #heads: ByteReader;
  readonly #segments: ByteReader;
  readonly #gaps: ByteReader;
  readonly #segmentCount: number;
  readonly #expectedSlots: number[] = [];
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
    this.pages = Math.floor(head / 2);
    if (this.pages === 0 || this.pages > this.#pagesLeft) {
      throw this.#heads.fail('recipe has other pages than its space');
    }
    this.#pagesLeft -= this.pages;
    if (head % 2 === 0) this.segment = -1;
    else this.#readSlot();
    return true;
  }

  #readSlot(): void {
    this.segment = this.#segments.varint();
    if (this.segment >= this.#segmentCount) {
      throw this.#segments.fail(`recipe refers to unknown segment ${this.segment}`);
    }
    this.slot = (this.#expectedSlots[this.segment] ?? 0) + unzigzag(this.#gaps.varint());
    if (this.slot < 0 || this.slot + this.pages > MAX_SLOTS) {
      throw this.#gaps.fail(`recipe refers to slot ${this.slot}`);
    }
    this.#expectedSlots[this.segment] = this.slot + this.pages;
  }

  #end(): false {
    this.#heads.end();
    this.#segments.end();
    this.#gaps.end();
    if (this.#pagesLeft > 0) throw this.#heads.fail('recipe has fewer pages than its space');
    return false;
  }
}

/** Small numbers of either sign as small numbers without one. */
function zigzag(value: number): number {
  return value < 0 ? -value * 2 - 1 : value * 2;
}

function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
