/**
 * What surveys have found of packs, for as long as it would be found again: packs never change, so
 * that what is needed of them decides. Memory: the sets of slots that nobody needs, a bit a slot.
 */
import type { PackSurvey } from './survey.ts';

/** Remembers surveys of packs. */
export class KnownSurveys {
  readonly #known = new Map<string, { inputs: readonly unknown[]; survey: PackSurvey }>();

  /** @param inputs all that the survey of a pack depends on. */
  find(name: string, inputs: readonly unknown[]): PackSurvey | undefined {
    const known = this.#known.get(name);
    if (known?.inputs.length !== inputs.length) return undefined;
    return known.inputs.every((input, i) => input === inputs[i]) ? known.survey : undefined;
  }

  /** Remembers what was found. */
  put(name: string, inputs: readonly unknown[], survey: PackSurvey): void {
    this.#known.set(name, { inputs, survey });
  }

  /** Forgets packs that are gone. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
  }
}
