/**
 * The table of segments, kept in step with the catalog: brought up to date before each operation,
 * and shared with the threads that read pages.
 *
 * Rows are checked when they are first used, not when they are read: of 2,000 segments a capture
 * uses a few, and to check all of them took a new process 20 of 110 ms. A row that is damaged is
 * one that is not there, and takes no other with it: SQLite finds rows by their numbers, which may
 * be what is damaged, so at the first sign of damage all are read one after the other, and checked.
 *
 * Threads find segments by themselves, where one page is the base of another; what they find, they
 * hold against the footer of its pack.
 */
import type { Catalog } from '../catalog/catalog.ts';
import { sameBytes } from '../bytes/hex.ts';
import type { SegmentRow } from '../catalog/rows.ts';
import type { StoreError } from '../errors.ts';
import { SEGMENT_ROW_BYTES, SegmentTable } from '../pack/segment-table.ts';
import type { Pacer } from './clock.ts';

/** Some 3 ms. */
const ROWS_IN_ONE_GO = 200;

/** Room is made up to the last number: where more than these have no rows, it may be damaged. */
const MAX_MISSING = 2 ** 20;

/** Where a segment is: in a pack, under a local number there. */
export interface PlacedSegment {
  readonly identity: Uint8Array;
  /** Name of the pack. */
  readonly packName: string;
  readonly local: number;
}

/** Finds segments by identity and by number. */
export class SegmentDirectory {
  /** Another one after `reload`: whoever works with the old one goes on with it. */
  table: SegmentTable = new SegmentTable();
  /** Of the catalog, when the table was read from the beginning. */
  generation = 0;
  readonly #catalog: Catalog;
  #lastNumber = 0;
  /** Segments up to this number were checked when they were read. */
  #checkedUpTo = 0;
  /** Others that have been checked. */
  readonly #checked = new Set<number>();
  /** Whether a row was found to be damaged: then all are checked when they are read. */
  #isDamaged = false;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Reads everything once more: segments have moved, or are gone. */
  reload(generation: number): void {
    this.table = new SegmentTable();
    this.generation = generation;
    this.#lastNumber = 0;
    this.#checkedUpTo = 0;
    this.#checked.clear();
    this.refresh();
  }

  /**
   * Reads everything once more, some rows at a time.
   *
   * @returns what puts it in place, for as long as the generation is the same as before; undefined
   * where rows are damaged.
   */
  async readInPieces(pacer: Pacer): Promise<((generation: number) => void) | undefined> {
    const table = new SegmentTable();
    let lastNumber = 0;
    for (let isLeft = true; isLeft;) {
      const damage: StoreError[] = [];
      const segments = this.#catalog.segments(lastNumber, damage, ROWS_IN_ONE_GO);
      if (damage.length > 0) return undefined;
      table.reserve(segments.at(-1)?.number ?? 0);
      for (const { number, identity, packName, local } of segments) {
        table.add(number, identity, packName, local);
        lastNumber = number;
      }
      isLeft = segments.length === ROWS_IN_ONE_GO;
      await pacer.pause();
    }
    return (generation) => {
      this.table = table;
      this.generation = generation;
      this.#lastNumber = lastNumber;
      this.#checkedUpTo = lastNumber;
      this.#checked.clear();
    };
  }

  /** Reads what has been committed since the last time. */
  refresh(): void {
    if (this.#isDamaged || !this.#addUnchecked()) this.#addChecked(this.#lastNumber);
  }

  /** @returns false, with nothing added, where numbers are not what they must be. */
  #addUnchecked(): boolean {
    const rows = this.#catalog.uncheckedSegments(this.#lastNumber);
    const last = lastNumberOf(rows, this.#lastNumber);
    if (last === undefined) return false;
    this.table.addRows(rows);
    this.#lastNumber = last;
    return true;
  }

  /** Adds the rows after one, each held against its checksum. */
  #addChecked(after: number): readonly SegmentRow[] {
    const damage: StoreError[] = [];
    const rows = this.#catalog.segments(after, damage);
    if (damage.length > 0) this.#isDamaged = true;
    this.#lastNumber = rows.at(-1)?.number ?? after;
    this.table.reserve(this.#lastNumber);
    for (const row of rows) {
      const { number, identity, packName, local } = row;
      if (!this.#isKnown(row)) this.table.add(number, identity, packName, local);
      this.#checked.add(number);
    }
    return rows;
  }

  /** The number of the segment with this identity; 0 when the catalog does not know it. */
  find(identity: Uint8Array): number {
    const number = this.table.find(identity);
    if (number === 0 || this.#isChecked(number)) return number;
    this.#check([number]);
    return this.table.find(identity);
  }

  /** The same of several, whose rows are read at once. */
  findAll(identities: readonly Uint8Array[]): number[] {
    const numbers = this.#findAll(identities);
    const unchecked = numbers.filter((number) => number !== 0 && !this.#isChecked(number));
    if (unchecked.length === 0) return numbers;
    this.#check(unchecked);
    return this.#findAll(identities);
  }

  #findAll(identities: readonly Uint8Array[]): number[] {
    const numbers = new Int32Array(identities.length);
    this.table.findAll(Buffer.concat(identities), numbers);
    return [...numbers];
  }

  /** Where the segment with this number of the catalog is. */
  at(number: number): PlacedSegment | undefined {
    if (this.table.has(number) && !this.#isChecked(number)) this.#check([number]);
    return this.table.has(number) ? this.#read(number) : undefined;
  }

  #read(number: number): PlacedSegment {
    // A copy: the table may move.
    const identity = this.table.identity(number).slice();
    return { identity, packName: this.table.packName(number), local: this.table.local(number) };
  }

  #isChecked(number: number): boolean {
    return number <= this.#checkedUpTo || this.#checked.has(number);
  }

  /** Holds rows of the table against their checksums. */
  #check(numbers: readonly number[]): void {
    for (const row of this.#catalog.segmentsAmong(numbers)) {
      if (this.#isKnown(row)) this.#checked.add(row.number);
    }
    if (numbers.some((number) => !this.#isChecked(number))) this.#checkAll();
  }

  /** Drops all rows that are damaged or gone; SQLite may have missed one beside a damaged one. */
  #checkAll(): void {
    const numbers = [...this.numbers()];
    const intact = new Set(this.#addChecked(0).map(({ number }) => number));
    for (const number of numbers) if (!intact.has(number)) this.table.drop(number);
  }

  /** Whether the table has this very row. */
  #isKnown({ number, identity, packName, local }: SegmentRow): boolean {
    if (!this.table.has(number)) return false;
    const known = this.#read(number);
    if (!sameBytes(known.identity, identity)) return false;
    // It may have moved since it was read, and with it the generation.
    const isInPlace = known.packName === packName && known.local === local;
    return isInPlace || this.#catalog.generation !== this.generation;
  }

  /** The numbers of those for which `isWanted` says so, ascending. */
  filter(isWanted: (number: number) => boolean): number[] {
    const numbers: number[] = [];
    for (let number = 1; number <= this.#lastNumber; number++) {
      if (this.table.has(number) && isWanted(number)) numbers.push(number);
    }
    return numbers;
  }

  /** The numbers of all segments, ascending. */
  *numbers(): Generator<number> {
    for (let number = 1; number <= this.#lastNumber; number++) {
      if (this.table.has(number)) yield number;
    }
  }
}

/** The last number of rows that follow one, if all ascend, and none is far ahead. */
function lastNumberOf(rows: Uint8Array, after: number): number | undefined {
  const view = new DataView(rows.buffer, rows.byteOffset, rows.length);
  let last = after;
  let most = after + MAX_MISSING;
  for (let end = SEGMENT_ROW_BYTES; end <= rows.length; end += SEGMENT_ROW_BYTES, most++) {
    const number = view.getUint32(end - 4);
    if (number <= last || number > most) return undefined;
    last = number;
  }
  return last;
}
