/**
 * Frames on their way into the pack: compressed on any thread, written in the order in which they
 * were filled. A fixed number of buffers bounds how many are on the way.
 */
import { BLOCK } from '../pack/format.ts';
import type { RawFrame } from '../pack/frame-builder.ts';
import type { PackWriter } from '../pack/writer.ts';
import { BLOCK_OFFSET } from '../slices/encode.ts';
import type { Crew } from '../slices/threads.ts';
import { FRAMES_OF_SLICE } from './capture-buffers.ts';

/**
 * Deltas are small and similar: level 3 keeps 2 to 40 % less than 1, and takes 10 us a frame more.
 */
const DELTA_LEVEL = 3;

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
    const buffer = this.#free.pop();
    if (buffer === undefined) throw new RangeError('no room for a frame');
    new Uint8Array(buffer).set(frame.raw);
    const encoded = this.#encode(buffer, frame);
    const { pages, digests, shortPages } = frame;
    const line = { frame: frame.frame, pages, digests, shortPages };
    this.#written = this.#write(this.#written, encoded, (length) => {
      this.#writer.addFrame(line, new Uint8Array(buffer, BLOCK_OFFSET, length));
      this.#free.push(buffer);
    });
  }

  /** A frame of deltas is compressed in less time than it takes to send it away. */
  async #encode(buffer: SharedArrayBuffer, { type, raw }: RawFrame): Promise<number> {
    const request = { buffer, type, rawBytes: raw.length, level: this.#level };
    if (type !== BLOCK.deltaFrame) return await this.#crew.run('encode', request);
    const level = Math.max(DELTA_LEVEL, this.#level);
    return this.#crew.runHere('encode', { ...request, level });
  }

  async #write(
    before: Promise<void>,
    encoded: Promise<number>,
    write: (length: number) => void,
  ): Promise<void> {
    const [result] = await Promise.allSettled([encoded, before]);
    try {
      if (result.status === 'rejected') throw result.reason;
      if (!this.#hasFailed) write(result.value);
    } catch (error) {
      // Reported by whoever waits next: nobody may be waiting for this one.
      if (!this.#hasFailed) this.#failure = error;
      this.#hasFailed = true;
    }
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
