/**
 * The table of segments, kept in step with the catalog: brought up to date before each operation,
 * and shared with the threads that read pages.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { StoreError } from '../errors.ts';
import { SegmentTable } from '../pack/segment-table.ts';
import type { Pacer } from './clock.ts';

/** Some 3 ms. */
const ROWS_IN_ONE_GO = 200;

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

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Reads everything once more: segments have moved, or are gone. */
  reload(generation: number): void {
    const segments = this.#catalog.segments();
    const table = new SegmentTable();
    table.reserve(segments.at(-1)?.number ?? 0);
    for (const { number, identity, packName, local } of segments) {
      table.add(number, identity, packName, local);
      this.#lastNumber = number;
    }
    this.table = table;
    this.generation = generation;
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
    };
  }

  /** Reads what has been committed since the last time. */
  refresh(): void {
    const segments = this.#catalog.segments(this.#lastNumber);
    this.table.reserve(segments.at(-1)?.number ?? 0);
    for (const { number, identity, packName, local } of segments) {
      this.table.add(number, identity, packName, local);
      this.#lastNumber = number;
    }
  }

  /** The number of the segment with this identity; 0 when the catalog does not know it. */
  find(identity: Uint8Array): number {
    return this.table.find(identity);
  }

  /** Where the segment with this number of the catalog is. */
  at(number: number): PlacedSegment | undefined {
    if (!this.table.has(number)) return undefined;
    // A copy: the table may move.
    const identity = this.table.identity(number).slice();
    return { identity, packName: this.table.packName(number), local: this.table.local(number) };
  }

  /** The numbers of all segments, ascending. */
  *numbers(): Generator<number> {
    for (let number = 1; number <= this.#lastNumber; number++) {
      if (this.table.has(number)) yield number;
    }
  }
}
