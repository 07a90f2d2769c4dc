/** Which segments runs cover, and how many times: by the catalog's numbers, a byte for each. */
import type { RunFile } from './run-file.ts';

const MAX_COUNT = 255;

/** Counts the runs that cover a segment. */
export class Coverage {
  readonly #counts: Uint8Array;

  /** @param runs whose resolved segments count. */
  constructor(runs: readonly Pick<RunFile, 'segments' | 'newest'>[]) {
    const greatest = runs.reduce((most, { newest }) => Math.max(most, newest), -1);
    this.#counts = new Uint8Array(greatest + 1);
    for (const { segments } of runs) {
      for (const segment of segments) if (segment >= 0) this.#add(segment, 1);
    }
  }

  #add(segment: number, difference: number): void {
    const count = (this.#counts[segment] as number) + difference;
    this.#counts[segment] = Math.min(MAX_COUNT, count);
  }

  /** How many runs cover a segment; 255 stands for that and more. */
  countOf(segment: number): number {
    return this.#counts[segment] ?? 0;
  }

  /** Takes a run away, if others cover all that it covers. */
  removeIfRedundant({ segments }: Pick<RunFile, 'segments'>): boolean {
    if (segments.some((segment) => segment < 0 || this.countOf(segment) < 2)) return false;
    for (const segment of segments) this.#add(segment, -1);
    return true;
  }
}
