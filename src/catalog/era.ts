/**
 * Eras: a repair that writes a catalog anew cannot know which generation a lost one had, so it
 * begins where none can have been: with the second in which it runs, in front of a count. Which of
 * two generations is the later one can be told only when they are of one era.
 */

/** Generations of an era: more than a store has collections. */
const GENERATIONS = 2 ** 20;

const MS_PER_SECOND = 1000;
/** Clocks of the year 2242 and later are not believed: generations must stay exact numbers. */
const MAX_SECONDS = 2 ** 33 - 2 ** 20;

/** The era of a generation: of a store that was never repaired, 0. */
export function eraOf(generation: number): number {
  return Math.floor(generation / GENERATIONS);
}

/**
 * The first generation of a new era, whatever the clock says.
 *
 * @param known the greatest generation that is known.
 */
export function nextEra(known: number, nowMs: number): number {
  const seconds = Math.floor(nowMs / MS_PER_SECOND);
  return Math.max(eraOf(known) + 1, seconds < MAX_SECONDS ? seconds : 0) * GENERATIONS;
}
