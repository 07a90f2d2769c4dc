/**
 * Frames that were found damaged, by pack file and offset: their pages equal nothing, so that the
 * next capture that meets the same content stores it again. What is new waits to be recorded by
 * whoever owns a catalog; what is on record there may be taken off it, when a pack was put back.
 */

/** A frame that cannot be read, or does not hold what was written. */
export interface LostFrame {
  /** Path of the pack. */
  readonly file: string;
  /** Where the frame's block starts; WHOLE_PACK when the pack's own tables are lost. */
  readonly offset: number;
}

/** The offset that stands for all frames of a pack: no block starts there. */
export const WHOLE_PACK = 0;

/** The damaged frames of a store, as far as they are known. */
export class LostFrames {
  /** By file and offset: whether somebody has it on record, as opposed to found here. */
  readonly #offsets = new Map<string, Map<number, boolean>>();
  #unrecorded: LostFrame[] = [];
  #found = 0;

  /** Whether any frame of a pack is lost. */
  mayHave(file: string): boolean {
    return this.#offsets.size > 0 && this.#offsets.has(file);
  }

  /** Whether a frame is known to be lost. */
  has(file: string, offset: number): boolean {
    return this.#offsets.get(file)?.has(offset) === true;
  }

  /** Whether tables of a pack are known to be lost, so that whoever opens it now lacks them. */
  hasPack(file: string): boolean {
    return this.mayHave(file) && this.has(file, WHOLE_PACK);
  }

  /** Offsets of the frames of a pack that are lost. */
  offsetsOf(file: string): number[] {
    return [...(this.#offsets.get(file)?.keys() ?? [])];
  }

  /** Remembers a frame that has just been found damaged. */
  report(frame: LostFrame): void {
    if (this.has(frame.file, frame.offset)) return;
    this.#put(frame, false);
    this.#unrecorded.push(frame);
    this.#found += 1;
  }

  /** Remembers a frame that was recorded earlier. */
  restore(frame: LostFrame): void {
    this.#put(frame, true);
  }

  #put({ file, offset }: LostFrame, isRecorded: boolean): void {
    const known = this.#offsets.get(file);
    if (known === undefined) this.#offsets.set(file, new Map([[offset, isRecorded]]));
    else known.set(offset, isRecorded);
  }

  /**
   * Remembers what is on record, and forgets what was on record and is so no more: somebody has
   * read it, and found it right. What was found here and is on no record stays.
   *
   * @returns the files of which something was forgotten, or whose tables are now known to be lost:
   * what was read of them before says nothing about the disk.
   */
  restoreAll(frames: readonly LostFrame[]): string[] {
    const recorded = new Map<string, Set<number>>();
    const other = new Set<string>();
    for (const frame of frames) {
      if (frame.offset === WHOLE_PACK && !this.hasPack(frame.file)) other.add(frame.file);
      this.restore(frame);
      const offsets = recorded.get(frame.file);
      if (offsets === undefined) recorded.set(frame.file, new Set([frame.offset]));
      else offsets.add(frame.offset);
    }
    for (const [file, offsets] of [...this.#offsets]) {
      for (const [offset, isRecorded] of [...offsets]) {
        if (!isRecorded || recorded.get(file)?.has(offset) === true) continue;
        this.forget({ file, offset });
        other.add(file);
      }
    }
    return [...other];
  }

  /** Forgets a frame that was read again, and found right. */
  forget({ file, offset }: LostFrame): void {
    const known = this.#offsets.get(file);
    known?.delete(offset);
    if (known?.size === 0) this.#offsets.delete(file);
    const isOther = (frame: LostFrame) => frame.file !== file || frame.offset !== offset;
    this.#unrecorded = this.#unrecorded.filter(isOther);
  }

  /** How many have been found so far. */
  get found(): number {
    return this.#found;
  }

  /** Whether none is known. */
  get isEmpty(): boolean {
    return this.#offsets.size === 0;
  }

  /** All of them. */
  all(): LostFrame[] {
    return [...this.#offsets].flatMap(([file, offsets]) =>
      [...offsets.keys()].map((offset) => ({ file, offset })),
    );
  }

  /** The frames that have not been recorded yet; they count as recorded from here on. */
  takeUnrecorded(): readonly LostFrame[] {
    const frames = this.#unrecorded;
    this.#unrecorded = [];
    return frames;
  }
}
