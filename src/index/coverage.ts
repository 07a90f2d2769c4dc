/** Which segments runs cover, and how many times: by the catalog's numbers, a byte for each. */
import type { RunFile } from './run-file.ts';

const MAX_COUNT = 255;

/** Counts the runs that cover a segment. */
export class Coverage {
  readonly #counts: Uint8Array;

  /** @param runs whose resolved segments count. */
  constructor(runs: readonly Pick<RunFile, 'segments' | 'newest'>[]) {
    const greatest = runs.reduce((most, { newest }) => Math.max(most, newest), 0);
    this.#counts = new Uint8Array(greatest + 1);
    for (const { segments } of runs) this.#addAll(segments, 1);
    // 0 stands for segments that are not known.
    this.#counts[0] = 0;
  }

  /** By number, because iterators are slow before they are compiled: every capture does this. */
  #addAll(segments: Int32Array, difference: number): void {
    const counts = this.#counts;
    for (let i = 0; i < segments.length; i++) {
      const segment = segments[i] as number;
      counts[segment] = Math.min(MAX_COUNT, (counts[segment] as number) + difference);
    }
  }

  /** How many runs cover a segment; 255 stands for that and more. */
  countOf(segment: number): number {
    return this.#counts[segment] ?? 0;
  }

  /** Takes a run away, if others cover all that it covers. */
  removeIfRedundant({ segments }: Pick<RunFile, 'segments'>): boolean {
    if (segments.some((segment) => segment === 0 || this.countOf(segment) < 2)) return false;
    this.#addAll(segments, -1);
    return true;
  }
}
