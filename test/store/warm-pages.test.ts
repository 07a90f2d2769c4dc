/**
 * Warm pages against a plain model, over random histories of captures: what a cell is said to hold
 * is what was put there, and no page loses its cell before it has been compared.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_CELL } from '../../src/slices/page-cells.ts';
import { WarmPages } from '../../src/store/warm-pages.ts';

const CELL_BYTES = 4097;

/** What a page of a capture is; `skipped` are pages of the base before it that are gone. */
interface MadePage {
  readonly kind: 'same' | 'changed' | 'known' | 'fresh';
  readonly skipped: number;
}

interface MadeCapture {
  readonly base: 'last' | 'other' | 'none';
  readonly pages: readonly MadePage[];
  readonly fails: boolean;
}

const madePages = fc.record({
  kind: fc.constantFrom('same' as const, 'changed' as const, 'known' as const, 'fresh' as const),
  skipped: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(3)),
});
const histories = fc.array(
  fc.record({
    base: fc.oneof(
      { weight: 6, arbitrary: fc.constant('last' as const) },
      fc.constantFrom('other' as const, 'none' as const),
    ),
    pages: fc.array(madePages, { maxLength: 12 }),
    fails: fc.nat(5).map((number) => number === 0),
  }),
  { maxLength: 12, size: 'max' },
);

/** A page of a snapshot: which one it is, and where it lies. */
interface ModelPage {
  readonly label: number;
  readonly cell: number;
}

/** Takes captures as a store does, beside what must be true. */
class Model {
  readonly warm: WarmPages;
  readonly #cells: number;
  /** What lies in each cell. */
  readonly #content: (number | undefined)[];
  #last: { readonly id: string; readonly pages: readonly ModelPage[] } | undefined;
  #labels = 0;
  #captures = 0;

  constructor(cells: number) {
    this.#cells = cells;
    this.#content = Array<number | undefined>(cells).fill(undefined);
    this.warm = new WarmPages(cells * CELL_BYTES + 100);
  }

  capture({ base, pages, fails }: MadeCapture): void {
    const last = this.#last;
    const asked = { last: last?.id, other: 'another one', none: undefined }[base];
    this.warm.begin(asked);
    this.#last = undefined;
    const basePages = base === 'last' ? (last?.pages ?? []) : [];
    const found = this.#lookUp(basePages);
    /** Cells that nobody may get: of the base, and of the new snapshot. */
    const owned = new Set(found.filter((cell) => cell !== NO_CELL));
    const added: ModelPage[] = [];
    let at = 0;
    for (const { kind, skipped } of pages) {
      at += skipped;
      const own = kind === 'fresh' ? -1 : at++;
      const known = basePages[own];
      const cell = found[own] ?? NO_CELL;
      // Slices are planned while pages before them are added: that changes nothing.
      if (own >= 0) this.#expectCell(own, cell);
      // It is compared before anything takes its place.
      if (cell !== NO_CELL) expect(this.#content[cell]).toBe(known?.label);
      added.push(this.#visit(kind, cell, known, owned));
    }
    expect(this.warm.has(last?.id)).toBe(false);
    const id = `snapshot ${++this.#captures}`;
    if (fails) return;
    this.warm.end(id);
    this.#last = { id, pages: added };
    expect([this.warm.has(id), this.warm.has('another one')]).toEqual([true, false]);
    expect(this.warm.has(undefined)).toBe(false);
  }

  /** The cells of all pages of the base, and of some that it does not have. */
  #lookUp(basePages: readonly ModelPage[]): number[] {
    const target = new Int32Array(basePages.length + 30).fill(77);
    this.warm.cellsOf(0, basePages.length + 20, target, 5);
    const expected = basePages.map(({ cell }) => cell);
    const none = Array<number>(20).fill(NO_CELL);
    const around = Array<number>(5).fill(77);
    expect([...target]).toEqual([...around, ...expected, ...none, ...around]);
    const middle = new Int32Array(3);
    this.warm.cellsOf(2, 3, middle, 0);
    expect([...middle]).toEqual([...expected, ...none].slice(2, 5));
    return [...expected, ...none];
  }

  #expectCell(page: number, cell: number): void {
    const target = new Int32Array(1);
    this.warm.cellsOf(page, 1, target, 0);
    expect(target[0]).toBe(cell);
  }

  #visit(
    kind: MadePage['kind'],
    cell: number,
    known: ModelPage | undefined,
    owned: Set<number>,
  ): ModelPage {
    if (kind === 'same') {
      this.warm.add(cell);
      return { label: known?.label ?? 0, cell };
    }
    if (kind === 'known') {
      this.warm.give(cell);
      owned.delete(cell);
      this.warm.add(NO_CELL);
      return { label: 0, cell: NO_CELL };
    }
    const taken = this.warm.take(cell);
    if (cell !== NO_CELL) expect(taken).toBe(cell);
    else if (owned.size === this.#cells) expect(taken).toBe(NO_CELL);
    else {
      expect(taken).toBeGreaterThanOrEqual(0);
      expect(taken).toBeLessThan(this.#cells);
      expect(owned).not.toContain(taken);
    }
    const label = ++this.#labels;
    if (taken !== NO_CELL) {
      owned.add(taken);
      this.#content[taken] = label;
    }
    this.warm.add(taken);
    return { label, cell: taken };
  }

  /** Fails unless each cell can be had once. */
  expectAllFree(): void {
    this.warm.begin(undefined);
    const taken = Array.from({ length: this.#cells }, () => this.warm.take(NO_CELL));
    const all = Array.from({ length: this.#cells }, (_, cell) => cell);
    expect(taken.sort((a, b) => a - b)).toEqual(all);
    expect(this.warm.take(NO_CELL)).toBe(NO_CELL);
  }
}

describe('warm pages', () => {
  it('are where they were put, one page to a cell, whatever is captured and fails', () => {
    const property = fc.property(fc.nat(9), histories, (cells, captures) => {
      const model = new Model(cells);
      for (const capture of captures) model.capture(capture);
      model.expectAllFree();
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('are remembered of snapshots of any number of pages', () => {
    const model = new Model(3);
    const same = { kind: 'same' as const, skipped: 0 };
    const fresh = { kind: 'fresh' as const, skipped: 0 };
    const pages = [...Array<MadePage>(2500).fill(fresh), ...Array<MadePage>(2500).fill(same)];
    model.capture({ base: 'none', pages, fails: false });
    // What was remembered of the one before serves for the next one, whatever its length.
    for (const count of [1, 5000, 4000]) {
      const all = Array<MadePage>(count).fill(same);
      model.capture({ base: 'last', pages: all, fails: false });
    }
  });

  it('are none of nothing: before the first capture, after a failure, without memory', () => {
    const warm = new WarmPages(10 * CELL_BYTES);
    expect([warm.has(undefined), warm.has('a')]).toEqual([false, false]);
    warm.begin('a');
    warm.add(warm.take(NO_CELL));
    warm.end('b');
    warm.begin('b');
    warm.add(warm.take(NO_CELL));
    // It failed; what its base was does not count any more.
    warm.begin('b');
    const cells = new Int32Array(1);
    warm.cellsOf(0, 1, cells, 0);
    expect([...cells]).toEqual([NO_CELL]);
    const none = new WarmPages(CELL_BYTES - 1);
    none.begin(undefined);
    expect([none.memory.byteLength, none.take(NO_CELL)]).toEqual([0, NO_CELL]);
  });
});
