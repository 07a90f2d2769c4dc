/**
 * The memory of a capture: 4.2 MiB for each slice on its way, half a MiB for each frame, 19 MB at
 * most for the pages that are new. Kept from one capture to the next: to allocate and clear it anew
 * took a tenth of the time of a capture of 90 MB. Captures at the same time have one set each.
 */
import { FRAME_BUFFER_BYTES } from '../slices/encode.ts';
import { newSliceBuffer, Slice } from '../slices/slice.ts';
import { FRAMES_OF_SLICE } from './frame-queue.ts';
import { newFindings, type SliceFindings } from './page-store.ts';
import { RecentPages } from './recent-pages.ts';

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
}

/** Sets that wait for the next captures: the rest of many at once is given back. */
const MAX_SPARE = 2;

/** Sets of buffers, for captures one after the other. */
export class BufferPool {
  readonly #width: number;
  readonly #spare: CaptureBuffers[] = [];
  #nextSlice = 1;

  /** @param workers that take part in a capture. */
  constructor(workers: number) {
    this.#width = workers;
  }

  /** A set that nobody uses. */
  take(): CaptureBuffers {
    return this.#spare.pop() ?? this.#make();
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
    };
  }

  /** Takes a set back that nothing uses any more. */
  give(buffers: CaptureBuffers): void {
    buffers.recent.clear();
    if (this.#spare.length < MAX_SPARE) this.#spare.push(buffers);
  }
}
