/**
 * Warm pages against a plain model, over random histories of captures of several timelines, two at
 * a time: what a cell is said to hold is what was put there, and no page loses its cell before it
 * has been compared.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_CELL } from '../../src/slices/page-cells.ts';
import { type WarmCapture, WarmPages } from '../../src/store/warm-pages.ts';

const CELL_BYTES = 4097;
/** A snapshot is remembered for so many captures. */
const REMEMBERED = 4;

/** What a page of a capture is; `skipped` are pages of the base before it that are gone. */
interface MadePage {
  readonly kind: 'same' | 'changed' | 'known' | 'fresh';
  readonly skipped: number;
}

interface MadeCapture {
  readonly timeline: number;
  readonly hasBase: boolean;
  readonly pages: readonly MadePage[];
  readonly fails: boolean;
}

const madePages = fc.record({
  kind: fc.constantFrom('same' as const, 'changed' as const, 'known' as const, 'fresh' as const),
  skipped: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(3)),
});
const captures = fc.record({
  timeline: fc.nat(2),
  hasBase: fc.nat(6).map((number) => number > 0),
  pages: fc.array(madePages, { maxLength: 12 }),
  fails: fc.nat(5).map((number) => number === 0),
});
/** Captures two by two, which run at the same time where they are of two timelines. */
const histories = fc.array(fc.tuple(captures, captures), { maxLength: 10, size: 'max' });

/** A page of a snapshot: which one it is, and where it lies. */
interface ModelPage {
  readonly label: number;
  readonly cell: number;
}

interface ModelSnapshot {
  readonly id: string;
  readonly pages: readonly ModelPage[];
  /** The number of captures when it was made. */
  readonly madeAt: number;
}

/** Takes captures as a store does, beside what must be true. */
class Model {
  readonly warm: WarmPages;
  /** What lies in each cell, and who has it. */
  readonly content: (number | undefined)[];
  readonly owner: (object | undefined)[];
  readonly last = new Map<number, ModelSnapshot>();
  begun = 0;
  found = 0;
  #labels = 0;

  constructor(cells: number) {
    this.content = Array<number | undefined>(cells).fill(undefined);
    this.owner = Array<object | undefined>(cells).fill(undefined);
    this.warm = new WarmPages(cells * CELL_BYTES + 100);
    expect(this.warm.cells).toBe(cells);
  }

  capture(made: MadeCapture): void {
    const running = new ModelCapture(this, made);
    while (running.step());
  }

  /** Two captures, a page of each in turn. */
  both(first: MadeCapture, second: MadeCapture): void {
    const running = [new ModelCapture(this, first), new ModelCapture(this, second)];
    while (running.map((capture) => capture.step()).includes(true));
  }

  label(): number {
    return ++this.#labels;
  }

  /** Fails unless each cell can be had once, by somebody who comes long after the others. */
  expectAllFree(): void {
    for (let i = 0; i <= REMEMBERED; i++) this.warm.begin(undefined).abandon();
    const { length } = this.content;
    const last = this.warm.begin(undefined);
    const taken = Array.from({ length }, () => last.take(NO_CELL));
    expect(taken.sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, cell) => cell));
    expect(last.take(NO_CELL)).toBe(NO_CELL);
  }
}

/** One capture on its way. */
class ModelCapture {
  readonly #model: Model;
  readonly #made: MadeCapture;
  readonly #warm: WarmCapture;
  readonly #base: readonly ModelPage[];
  readonly #cells: readonly number[];
  readonly #added: ModelPage[] = [];
  #next = 0;
  #at = 0;
  #isDone = false;

  constructor(model: Model, made: MadeCapture) {
    this.#model = model;
    this.#made = made;
    const base = made.hasBase ? model.last.get(made.timeline) : undefined;
    this.#warm = model.warm.begin(base?.id);
    model.begun += 1;
    this.#base = base?.pages ?? [];
    this.#cells = this.#lookUp();
    const isRecent = base !== undefined && base.madeAt + REMEMBERED > model.begun;
    if (isRecent) expect(this.#cells).toEqual([...this.#base.map(({ cell }) => cell)]);
    for (const cell of this.#cells) if (cell !== NO_CELL) this.#own(cell);
    model.last.delete(made.timeline);
  }

  /** Nobody else who still counts may have it. */
  #own(cell: number): void {
    const owner = this.#model.owner[cell];
    if (owner instanceof ModelCapture) expect(owner === this || owner.#isDone).toBe(true);
    this.#model.owner[cell] = this;
    this.#model.found += 1;
  }

  /** The cells of all pages of the base, and none for those that it does not have. */
  #lookUp(): number[] {
    const { length } = this.#base;
    const target = new Int32Array(length + 30).fill(77);
    this.#warm.cellsOf(0, length + 20, target, 5);
    const found = [...target.subarray(5, 5 + length)];
    const isKnown = found.some((cell) => cell !== NO_CELL);
    expect(found).toEqual(this.#base.map(({ cell }) => (isKnown ? cell : NO_CELL)));
    const none = Array<number>(20).fill(NO_CELL);
    const around = Array<number>(5).fill(77);
    expect([...target]).toEqual([...around, ...found, ...none, ...around]);
    const middle = new Int32Array(3);
    this.#warm.cellsOf(2, 3, middle, 0);
    expect([...middle]).toEqual([...found, ...none].slice(2, 5));
    return found;
  }

  /** Visits the next page, or ends; false when there is nothing more to do. */
  step(): boolean {
    if (this.#isDone) return false;
    const page = this.#made.pages[this.#next++];
    if (page === undefined) {
      this.#end();
      return false;
    }
    this.#at += page.skipped;
    const own = page.kind === 'fresh' ? -1 : this.#at++;
    const cell = this.#cells[own] ?? NO_CELL;
    // It is compared before anything takes its place.
    if (cell !== NO_CELL) expect(this.#model.content[cell]).toBe(this.#base[own]?.label);
    this.#added.push(this.#visit(page.kind, cell, this.#base[own]));
    return true;
  }

  #visit(kind: MadePage['kind'], cell: number, known: ModelPage | undefined): ModelPage {
    if (kind === 'same') {
      this.#warm.addSame(cell);
      return { label: known?.label ?? 0, cell };
    }
    if (kind === 'known') {
      this.#warm.give(cell);
      this.#warm.add(NO_CELL);
      return { label: 0, cell: NO_CELL };
    }
    const taken = this.#warm.take(cell);
    if (cell !== NO_CELL) expect(taken).toBe(cell);
    else if (taken !== NO_CELL) expect(this.#cells.slice(this.#at)).not.toContain(taken);
    const label = this.#model.label();
    if (taken !== NO_CELL) {
      this.#model.owner[taken] = this;
      this.#model.content[taken] = label;
    }
    this.#warm.add(taken);
    return { label, cell: taken };
  }

  #end(): void {
    this.#isDone = true;
    const { begun, last } = this.#model;
    if (this.#made.fails) this.#warm.abandon();
    else {
      const id = `snapshot ${this.#model.label()}`;
      this.#warm.end(id);
      const pages = this.#kept(id);
      last.set(this.#made.timeline, { id, pages, madeAt: begun });
    }
    // As a store does, whatever happened.
    this.#warm.abandon();
  }

  /** Pages that are the same again may have lost their cells: looks, and puts all back. */
  #kept(id: string): ModelPage[] {
    const target = new Int32Array(this.#added.length);
    const look = this.#model.warm.begin(id);
    this.#model.begun += 1;
    look.cellsOf(0, target.length, target, 0);
    for (const cell of target) look.add(cell);
    look.end(id);
    return this.#added.map(({ label, cell }, i) => {
      const now = target[i] as number;
      expect([cell, NO_CELL]).toContain(now);
      return { label, cell: now };
    });
  }
}

describe('warm pages', () => {
  it('are where they were put, one page to a cell, whatever is captured and fails', () => {
    let found = 0;
    const property = fc.property(fc.nat(9), histories, (cells, pairs) => {
      const model = new Model(cells);
      for (const [first, second] of pairs) {
        if (first.timeline !== second.timeline) model.both(first, second);
        else {
          model.capture(first);
          model.capture(second);
        }
      }
      found += model.found;
      model.expectAllFree();
    });
    fc.assert(property, { numRuns: 150 });
    expect(found).toBeGreaterThan(100);
  });

  it('are remembered of snapshots of any number of pages', () => {
    const model = new Model(3);
    const same = { kind: 'same' as const, skipped: 0 };
    const fresh = { kind: 'fresh' as const, skipped: 0 };
    const pages = [...Array<MadePage>(2500).fill(fresh), ...Array<MadePage>(2500).fill(same)];
    const common = { timeline: 0, fails: false };
    model.capture({ ...common, hasBase: false, pages });
    for (const count of [1, 5000, 4000]) {
      model.capture({ ...common, hasBase: true, pages: Array<MadePage>(count).fill(same) });
    }
    model.expectAllFree();
  });

  it('give their cells to pages that change, where there are too few', () => {
    const warm = new WarmPages(8 * CELL_BYTES);
    const first = warm.begin(undefined);
    for (let page = 0; page < 8; page++) first.add(first.take(NO_CELL));
    first.end('snapshot 0');
    const cells = new Int32Array(8);
    let taken = 0;
    for (let number = 1; number <= 8; number++) {
      const capture = warm.begin(`snapshot ${number - 1}`);
      capture.cellsOf(0, 8, cells, 0);
      for (const cell of cells) capture.addSame(cell);
      const cell = capture.take(NO_CELL);
      if (cell !== NO_CELL) taken += 1;
      capture.add(cell);
      capture.end(`snapshot ${number}`);
    }
    // At first there are none, and every page may change again.
    expect(taken).toBeGreaterThanOrEqual(3);
  });

  it('are none of nothing: before the first capture, after a failure, without memory', () => {
    const warm = new WarmPages(10 * CELL_BYTES);
    const cells = new Int32Array(1);
    const first = warm.begin('a');
    first.add(first.take(NO_CELL));
    first.end('b');
    const failed = warm.begin('b');
    failed.add(failed.take(NO_CELL));
    failed.abandon();
    // What its base was does not count any more.
    warm.begin('b').cellsOf(0, 1, cells, 0);
    expect([...cells]).toEqual([NO_CELL]);
    const none = new WarmPages(CELL_BYTES - 1);
    expect([none.memory.byteLength, none.begin(undefined).take(NO_CELL)]).toEqual([0, NO_CELL]);
  });
});
