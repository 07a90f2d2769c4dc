/**
 * The table of segments, kept in step with the catalog: brought up to date before each operation,
 * and shared with the threads that read pages.
 *
 * Rows are checked when they are first used, not when they are read: of 2,000 segments a capture
 * uses a few, and to check all of them took a new process 20 of 110 ms. A row that is damaged is
 * one that is not there. Threads find segments by themselves, where one page is the base of
 * another; what they find, they hold against the footer of its pack.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { SegmentRow } from '../catalog/rows.ts';
import { sameBytes } from '../bytes/hex.ts';
import type { StoreError } from '../errors.ts';
import { SegmentTable } from '../pack/segment-table.ts';
import type { Pacer } from './clock.ts';

/** Some 3 ms. */
const ROWS_IN_ONE_GO = 200;

/** A row with a number so far above the one before is checked at once: room is made up to it. */
const MAX_GAP = 2 ** 20;

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
    const segments = this.#catalog
      .uncheckedSegments(this.#lastNumber)
      .filter(([number], i, all) => {
        const before = all[i - 1]?.[0] ?? this.#lastNumber;
        return number <= before + MAX_GAP || this.#catalog.segmentsAmong([number]).length > 0;
      });
    this.table.reserve(segments.at(-1)?.[0] ?? 0);
    for (const [number, names, local] of segments) {
      this.table.addNamed(number, names, local);
      this.#lastNumber = number;
    }
  }

  /** The number of the segment with this identity; 0 when the catalog does not know it. */
  find(identity: Uint8Array): number {
    const number = this.table.find(identity);
    return number !== 0 && this.#isIntact(number) ? number : 0;
  }

  /** The same of several, whose rows are read at once. */
  findAll(identities: readonly Uint8Array[]): number[] {
    const numbers = identities.map((identity) => this.table.find(identity));
    this.#check(numbers.filter((number) => number !== 0 && !this.#isChecked(number)));
    return numbers.map((number) => (this.table.has(number) ? number : 0));
  }

  /** Where the segment with this number of the catalog is. */
  at(number: number): PlacedSegment | undefined {
    if (!this.table.has(number) || !this.#isIntact(number)) return undefined;
    return this.#read(number);
  }

  #read(number: number): PlacedSegment {
    // A copy: the table may move.
    const identity = this.table.identity(number).slice();
    return { identity, packName: this.table.packName(number), local: this.table.local(number) };
  }

  /** Whether the row of a segment in the table is what was written; drops it otherwise. */
  #isIntact(number: number): boolean {
    if (!this.#isChecked(number)) this.#check([number]);
    return this.table.has(number);
  }

  #isChecked(number: number): boolean {
    return number <= this.#checkedUpTo || this.#checked.has(number);
  }

  #check(numbers: readonly number[]): void {
    if (numbers.length === 0) return;
    const rows = this.#catalog.segmentsAmong(numbers);
    const intact = new Set(rows.filter((row) => this.#isRow(row)).map(({ number }) => number));
    for (const number of numbers) {
      if (intact.has(number)) this.#checked.add(number);
      else this.table.drop(number);
    }
  }

  /** Whether the table has this very row. */
  #isRow(row: SegmentRow): boolean {
    const { identity, packName, local } = this.#read(row.number);
    if (!sameBytes(row.identity, identity)) return false;
    // It may have moved since it was read, and with it the generation.
    const isInPlace = row.packName === packName && row.local === local;
    return isInPlace || this.#catalog.generation !== this.generation;
  }

  /** The numbers of all segments, ascending. */
  *numbers(): Generator<number> {
    for (let number = 1; number <= this.#lastNumber; number++) {
      if (this.table.has(number)) yield number;
    }
  }
}
