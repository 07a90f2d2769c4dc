/**
 * Frames that were found damaged, by pack file and offset: their pages equal nothing, so that the
 * next capture that meets the same content stores it again. What is new waits to be recorded by
 * whoever owns a catalog.
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
  readonly #offsets = new Map<string, Set<number>>();
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

  /** Remembers a frame that has just been found damaged. */
  report(frame: LostFrame): void {
    if (this.has(frame.file, frame.offset)) return;
    this.restore(frame);
    this.#unrecorded.push(frame);
    this.#found += 1;
  }

  /** Remembers a frame that was recorded earlier. */
  restore({ file, offset }: LostFrame): void {
    const known = this.#offsets.get(file);
    if (known === undefined) this.#offsets.set(file, new Set([offset]));
    else known.add(offset);
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
      [...offsets].map((offset) => ({ file, offset })),
    );
  }

  /** The frames that have not been recorded yet; they count as recorded from here on. */
  takeUnrecorded(): readonly LostFrame[] {
    const frames = this.#unrecorded;
    this.#unrecorded = [];
    return frames;
  }
}
