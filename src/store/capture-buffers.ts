/**
 * The memory of a capture: 4.2 MiB for each slice on its way, half a MiB for each frame, 19 MB for
 * the pages that are new. Kept from one capture to the next: to allocate and clear it anew took a
 * tenth of the time of a capture of 90 MB. Captures at the same time have one set each.
 */
import { FRAME_BUFFER_BYTES } from '../slices/encode.ts';
import { FRAME_PAGES } from '../pack/format.ts';
import { newSliceBuffer, Slice, SLICE_PAGES } from '../slices/slice.ts';
import { newFindings, type SliceFindings } from './page-store.ts';
import { RecentPages } from './recent-pages.ts';
import { WarmPages } from './warm-pages.ts';

/** A place for a slice on its way. */
export interface SlicePlace {
  /** The thread that works on it. */
  lane: number;
  readonly slice: Slice;
  readonly findings: SliceFindings;
}

/** The buffers of one capture. */
export interface CaptureBuffers {
  readonly places: readonly SlicePlace[];
  readonly frames: readonly SharedArrayBuffer[];
  readonly recent: RecentPages;
  readonly warm: WarmPages;
}

/** Frames that a slice can fill: those of its own pages, and one of each kind begun before. */
export const FRAMES_OF_SLICE: number = SLICE_PAGES / FRAME_PAGES + 2;

/** Sets of buffers, for captures one after the other. */
export class BufferPool {
  readonly #width: number;
  readonly #warmBytes: number;
  readonly #spare: CaptureBuffers[] = [];
  #nextSlice = 1;

  /**
   * @param workers that take part in a capture.
   * @param warmBytes of pages that are kept for the next capture.
   */
  constructor(workers: number, warmBytes: number) {
    this.#width = workers;
    this.#warmBytes = warmBytes;
  }

  /** A set that nobody uses: the one with pages of this snapshot, if there is one. */
  take(base: string | undefined): CaptureBuffers {
    const warm = this.#spare.findIndex((buffers) => buffers.warm.has(base));
    return this.#spare.splice(warm, 1)[0] ?? this.#make();
  }

  #make(): CaptureBuffers {
    // Two for each thread, so that it finds its next one ready, and one that is being kept.
    const places = this.#width === 0 ? 1 : 2 * this.#width + 1;
    const frames = FRAMES_OF_SLICE + 2 * this.#width;
    return {
      places: Array.from({ length: places }, () => ({
        lane: 0,
        slice: new Slice({ number: this.#nextSlice++, buffer: newSliceBuffer() }),
        findings: newFindings(),
      })),
      frames: Array.from({ length: frames }, () => new SharedArrayBuffer(FRAME_BUFFER_BYTES)),
      recent: new RecentPages(),
      warm: new WarmPages(this.#warmBytes),
    };
  }

  /** Takes a set back that nothing uses any more. */
  give(buffers: CaptureBuffers): void {
    buffers.recent.clear();
    this.#spare.push(buffers);
  }
}
