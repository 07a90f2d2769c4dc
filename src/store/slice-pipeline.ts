/**
 * The way of slices into the store: scanned on any thread, looked up in order, compared with their
 * base on any thread, kept in order. Several are on the way at once, a fixed number of them: that
 * bounds memory whatever the size of the process.
 *
 * After a failure nothing is kept any more; what is on the way still comes to its end, because
 * threads may be using its memory. The first failure is the one that is thrown.
 */
import type { Tasks } from '../slices/tasks.ts';
import { HERE, type Crew } from '../slices/threads.ts';
import type { Pacer } from './clock.ts';
import { KEPT, PAGES_OF_STEP, SLICE_PAGES, type Slice } from '../slices/slice.ts';
import type { SlicePlace } from './capture-buffers.ts';
import type { FrameQueue } from './frame-queue.ts';
import type { PageStore } from './page-store.ts';
import type { PlannedSlice } from './slice-plan.ts';

/** What is done with a slice when it has been kept. */
export type OnKept = (slice: Slice, planned: PlannedSlice) => void;

/** What slices go through. */
export interface PipelineParts {
  readonly crew: Crew;
  readonly pages: PageStore;
  readonly frames: FrameQueue;
  readonly places: readonly SlicePlace[];
  readonly pacer: Pacer;
}

/** Slices of so few pages, of small images, are done before they would be sent away. */
const SMALL_PAGES = 8;

/** Takes slices through all steps. */
export class SlicePipeline {
  readonly #crew: Crew;
  readonly #pages: PageStore;
  readonly #frames: FrameQueue;
  readonly #onKept: OnKept;
  readonly #pacer: Pacer;
  readonly #free: SlicePlace[];
  /** Called when a place becomes free. */
  #wake: (() => void) | undefined;
  /** End when all slices so far have been looked up, and have been kept. */
  #found: Promise<void> = Promise.resolve();
  #kept: Promise<void> = Promise.resolve();
  #failure: unknown;
  #hasFailed = false;

  constructor({ crew, pages, frames, places, pacer }: PipelineParts, onKept: OnKept) {
    this.#crew = crew;
    this.#pages = pages;
    this.#frames = frames;
    this.#onKept = onKept;
    this.#free = [...places];
    this.#pacer = pacer;
  }

  /** Waits for a free place. @throws what went wrong with any slice before. */
  async place(): Promise<SlicePlace> {
    for (;;) {
      if (this.#hasFailed) throw this.#failure;
      const place = this.#free.shift();
      if (place !== undefined) return place;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Gives a place back. */
  release(place: SlicePlace): void {
    this.#free.push(place);
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Sends a slice on its way. */
  send(place: SlicePlace, planned: PlannedSlice, source: number, offset: number): void {
    const { handle } = place.slice;
    const isSmall = planned.pages <= SMALL_PAGES;
    place.lane = isSmall ? HERE : this.#crew.laneOf(Math.floor(planned.first / SLICE_PAGES));
    const { bytes, baseLeaves } = planned;
    const request = { slice: handle, source, offset, bytes, baseLeaves };
    const scanned = this.#run(place, 'scan', planned.pages, request);
    const found = this.#step(this.#found, scanned, () =>
      this.#pages.findNew(place.slice, planned.pages, place.findings),
    );
    this.#found = found;
    const compared = found.then(() => this.#compare(place, planned));
    this.#kept = this.#keep(this.#kept, compared, place, planned);
  }

  async #compare(place: SlicePlace, planned: PlannedSlice): Promise<void> {
    const { slice, findings } = place;
    const { newPages, newCells } = findings;
    if (this.#hasFailed || newPages === 0) return;
    if (planned.baseLeaves === 0 && newCells === 0) {
      slice.kept.fill(KEPT.full, 0, newPages);
      return;
    }
    await this.#run(place, 'diff', newPages, { slice: slice.handle });
  }

  /** Runs a task over `pages` pages: on a worker in one go, on the calling thread in steps. */
  async #run<Kind extends 'scan' | 'diff'>(
    { lane }: SlicePlace,
    kind: Kind,
    pages: number,
    request: Omit<Tasks[Kind]['request'], 'first' | 'end'>,
  ): Promise<void> {
    const step = lane === HERE ? PAGES_OF_STEP : pages;
    for (let first = 0; first < pages; first += step) {
      if (first > 0) await this.#pacer.pause();
      const range = { first, end: Math.min(pages, first + step) };
      await this.#crew.run(kind, { ...request, ...range }, lane);
    }
  }

  async #keep(
    before: Promise<void>,
    compared: Promise<void>,
    place: SlicePlace,
    planned: PlannedSlice,
  ): Promise<void> {
    let kept: { readonly encoded: Promise<void> } | undefined;
    await this.#step(before, compared, async () => {
      await this.#frames.room();
      kept = await this.#pages.keep(place.slice, planned, place.findings);
      this.#onKept(place.slice, planned);
    });
    // The next slice is kept meanwhile.
    if (kept === undefined) this.release(place);
    else void kept.encoded.then(() => this.release(place));
  }

  /** Does something in order, once `ready`; after a failure, nothing. */
  async #step(
    before: Promise<void>,
    ready: Promise<unknown>,
    work: () => void | Promise<void>,
  ): Promise<void> {
    const [result] = await Promise.allSettled([ready, before]);
    if (this.#hasFailed) return;
    try {
      if (result.status === 'rejected') throw result.reason;
      // Several slices may become ready in one turn of the event loop.
      await this.#pacer.pause();
      await work();
    } catch (error) {
      this.#failure = error;
      this.#hasFailed = true;
    }
  }

  /** Does something when all slices so far have been kept. */
  afterSlices(work: () => void): void {
    this.#kept = this.#step(this.#kept, Promise.resolve(), work);
  }

  /** Waits for everything. @throws what went wrong. */
  async end(): Promise<void> {
    await this.settle();
    if (this.#hasFailed) throw this.#failure;
  }

  /** Waits until nothing is on the way any more, whatever happened. */
  async settle(): Promise<void> {
    await this.#found;
    await this.#kept;
  }
}
