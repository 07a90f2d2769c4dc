/**
 * Which packs a collection drops, and which it writes once more: pure, from what is needed of each.
 *
 * A pack is dropped when nothing of it is needed. It is compacted when more of it is waste than the
 * threshold says. Small packs, of which every capture makes one, are merged when there are many:
 * each byte is then written again as often as packs of one size grow into larger ones.
 */
import { sumOf } from './collect-tally.ts';
import { newestStatesIn, type PackSurvey } from './survey.ts';

/** What is to be done. */
export interface CollectPlan {
  readonly drop: readonly PackSurvey[];
  /** Packs that become one. */
  readonly compact: readonly (readonly PackSurvey[])[];
  /** Whether there are more packs to compact than may be written. */
  readonly leavesOut: boolean;
}

/** How it is decided. */
export interface CollectThresholds {
  /** Waste that is tolerated, as a part of a pack: 0 for none. */
  readonly wasteThreshold: number;
  /** Bytes that may be written. */
  readonly maxBytes: number;
}

/** Packs below this are merged... */
const SMALL_BYTES = 4 * 1024 * 1024;
/** ...when there are so many... */
const MANY = 32;
/** ...into packs of about this size: what is lost with one, and what one compaction writes. */
const MERGED_BYTES = 32 * 1024 * 1024;

/** Decides what is to be done. */
export function planCollection(
  surveys: readonly PackSurvey[],
  { wasteThreshold, maxBytes }: CollectThresholds,
): CollectPlan {
  const states = newestStatesIn(surveys);
  const isToGo = (survey: PackSurvey) => survey !== states && isUnneeded(survey);
  const drop = surveys.filter(isToGo);
  const kept = surveys.filter((survey) => !isToGo(survey));
  const isWasteful = (survey: PackSurvey) => {
    const waste = survey.sizeBytes - survey.liveBytes;
    const isTooMuch = waste > survey.sizeBytes * wasteThreshold;
    return survey.deadBytes > 0 && (isTooMuch || survey.hasDamagedStates);
  };
  const isSmall = ({ liveBytes }: PackSurvey) => liveBytes < SMALL_BYTES;
  const areMany = kept.filter(isSmall).length >= MANY;
  const chosen = kept.filter((survey) => isWasteful(survey) || (areMany && isSmall(survey)));
  const groups = grouped(chosen);
  const compact = withinBudget(groups, maxBytes, isWasteful);
  const all = withinBudget(groups, Infinity, isWasteful);
  return { drop, compact, leavesOut: compact.flat().length < all.flat().length };
}

function isUnneeded({ segments, manifests }: PackSurvey): boolean {
  return manifests.length === 0 && segments.every(({ livePages }) => livePages === 0);
}

/** Neighbours by age together: what was captured together is mostly needed together. */
function grouped(packs: readonly PackSurvey[]): PackSurvey[][] {
  const groups: PackSurvey[][] = [];
  let bytes = Infinity;
  for (const pack of packs) {
    if (bytes + pack.liveBytes > MERGED_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(pack);
    bytes += pack.liveBytes;
  }
  return groups;
}

/**
 * Of each group what fits: a whole one may be more than is ever allowed. Waste comes first, since
 * merging frees next to nothing, and there may be something to merge each time.
 */
function withinBudget(
  groups: readonly PackSurvey[][],
  maxBytes: number,
  isWasteful: (survey: PackSurvey) => boolean,
): PackSurvey[][] {
  const chosen = new Set<PackSurvey>();
  let left = maxBytes;
  const choose = (packs: readonly PackSurvey[]) => {
    for (const pack of packs) chosen.add(pack);
    left -= sumOf(packs, ({ liveBytes }) => liveBytes);
  };
  choose(fitting(groups.flat().filter(isWasteful), left));
  for (const group of groups) {
    // The smallest first: the bytes may be enough for two of them, or for one large one.
    const others = group.filter((survey) => !isWasteful(survey));
    const merged = fitting(
      others.toSorted((a, b) => a.liveBytes - b.liveBytes),
      left,
    );
    const isAlone = merged.length + group.filter((survey) => chosen.has(survey)).length < 2;
    // Without waste, it would only become itself again.
    if (!isAlone) choose(merged);
  }
  const kept = groups.map((group) => group.filter((survey) => chosen.has(survey)));
  return kept.filter((group) => group.length > 0);
}

/** As many of them, one after the other, as so many bytes are enough for. */
function fitting(packs: readonly PackSurvey[], maxBytes: number): PackSurvey[] {
  const chosen: PackSurvey[] = [];
  let left = maxBytes;
  for (const pack of packs) {
    if (pack.liveBytes > left) continue;
    chosen.push(pack);
    left -= pack.liveBytes;
  }
  return chosen;
}
