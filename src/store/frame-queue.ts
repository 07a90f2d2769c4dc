/**
 * Frames on their way into the pack: compressed on any thread, written in the order in which they
 * were filled. A fixed number of buffers bounds how many are on the way.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import { BLOCK, FRAME_PAGES } from '../pack/format.ts';
import type { RawFrame } from '../pack/frame-builder.ts';
import type { CollectedFrame, PackWriter } from '../pack/writer.ts';
import { BLOCK_OFFSET } from '../slices/encode.ts';
import { SLICE_PAGES, type SliceHandle } from '../slices/slice.ts';
import type { EncodeRequest, FrameToEncode } from '../slices/tasks.ts';
import type { Crew } from '../slices/threads.ts';

/**
 * Deltas are small and similar: level 3 keeps 2 to 40 % less than 1, and takes 10 us a frame more.
 */
const DELTA_LEVEL = 3;

/** Frames that a slice can fill: those of its own pages, and one of each kind begun before. */
export const FRAMES_OF_SLICE: number = SLICE_PAGES / FRAME_PAGES + 2;

/** Frames that are sent away together: a millisecond or two of work, for 50 us of messages. */
const FRAMES_OF_TASK = 4;

/** A frame whose pages are all in a slice. */
export interface FrameOfSlice {
  readonly frame: CollectedFrame;
  /** The pages, by their numbers there. */
  readonly from: Uint16Array;
}

/** What frames go through, and into. */
export interface FrameQueueOptions {
  readonly writer: PackWriter;
  /** Of zstd, for full pages. */
  readonly level: number;
  readonly buffers: readonly SharedArrayBuffer[];
}

/** Compresses and writes frames. */
export class FrameQueue {
  readonly #crew: Crew;
  readonly #writer: PackWriter;
  readonly #level: number;
  readonly #free: SharedArrayBuffer[];
  /** Ends when all frames so far are written. */
  #written: Promise<void> = Promise.resolve();
  #failure: unknown;
  #hasFailed = false;

  constructor(crew: Crew, options: FrameQueueOptions) {
    this.#crew = crew;
    this.#writer = options.writer;
    this.#level = options.level;
    this.#free = [...options.buffers];
  }

  /** Waits until there is room for the frames of a slice. @throws what went wrong before. */
  async room(): Promise<void> {
    while (this.#free.length < FRAMES_OF_SLICE && !this.#hasFailed) await this.#written;
    this.#check();
  }

  /** Takes a frame over; there must be room. */
  add(frame: RawFrame): void {
    const { type, raw } = frame;
    const buffer = this.#buffer();
    new Uint8Array(buffer).set(raw);
    const toEncode = { buffer, rawBytes: raw.length, pages: undefined };
    const request = { frames: [toEncode], slice: undefined, type, level: this.#level };
    this.#add(frame, toEncode, this.#encode(request), 0);
  }

  /**
   * Takes frames over whose pages are still in a slice; there must be room. Nobody may write to
   * them before the promise is fulfilled, which it is whatever happens.
   */
  async addFrom(slice: SliceHandle, frames: readonly FrameOfSlice[]): Promise<void> {
    const encoded: Promise<readonly number[]>[] = [];
    try {
      this.#addGroups(slice, frames, encoded);
    } catch (error) {
      this.#fail(error);
    }
    await Promise.allSettled(encoded);
  }

  #addGroups(
    slice: SliceHandle,
    frames: readonly FrameOfSlice[],
    encoded: Promise<readonly number[]>[],
  ): void {
    for (let first = 0; first < frames.length; first += FRAMES_OF_TASK) {
      const group = frames.slice(first, first + FRAMES_OF_TASK);
      const toEncode = group.map(({ from }) => ({
        buffer: this.#buffer(),
        rawBytes: from.length * PAGE_BYTES,
        pages: from,
      }));
      const request = { frames: toEncode, slice, type: BLOCK.frame, level: this.#level };
      const task = this.#encode(request);
      encoded.push(task);
      group.forEach(({ frame }, i) => this.#add(frame, toEncode[i] as FrameToEncode, task, i));
    }
  }

  #buffer(): SharedArrayBuffer {
    const buffer = this.#free.pop();
    if (buffer === undefined) throw new RangeError('no room for a frame');
    return buffer;
  }

  /** Has a frame written when its turn has come, and it is the `index`-th that was encoded. */
  #add(
    { frame, pages, digests, shortPages }: CollectedFrame,
    { buffer }: FrameToEncode,
    encoded: Promise<readonly number[]>,
    index: number,
  ): void {
    const line = { frame, pages, digests, shortPages };
    this.#written = this.#write(this.#written, encoded, (lengths) => {
      const block = new Uint8Array(buffer, BLOCK_OFFSET, lengths[index]);
      this.#writer.addFrame(line, block);
      this.#free.push(buffer);
    });
  }

  /** A frame of deltas is compressed in less time than it takes to send it away. */
  async #encode(request: EncodeRequest): Promise<readonly number[]> {
    if (request.type !== BLOCK.deltaFrame) return await this.#crew.run('encode', request);
    const level = Math.max(DELTA_LEVEL, this.#level);
    return this.#crew.runHere('encode', { ...request, level });
  }

  async #write(
    before: Promise<void>,
    encoded: Promise<readonly number[]>,
    write: (lengths: readonly number[]) => void,
  ): Promise<void> {
    const [result] = await Promise.allSettled([encoded, before]);
    try {
      if (result.status === 'rejected') throw result.reason;
      if (!this.#hasFailed) write(result.value);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Reported by whoever waits next: nobody may be waiting for this one. */
  #fail(error: unknown): void {
    if (!this.#hasFailed) this.#failure = error;
    this.#hasFailed = true;
  }

  #check(): void {
    if (this.#hasFailed) throw this.#failure;
  }

  /** Waits until all frames are written. @throws what went wrong. */
  async end(): Promise<void> {
    await this.#written;
    this.#check();
  }
}
