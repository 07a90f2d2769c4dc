/**
 * Whether a backup may take the place of the former one, and what of that may go then: it must be a
 * later state of the same store.
 *
 * Within one era (catalog/era.ts) numbers tell: the generation, the changes of states, the
 * greatest sequences; and the store knows every backup that was made of it. Between two eras
 * something was repaired, the store or the backup itself, and only what was captured counts: a
 * snapshot at a place that this store never gave, or gave to another, is one that it never had.
 * Then nothing of the former backup goes: what a repair of the store has not found may be there.
 */
import type { Catalog } from '../catalog/catalog.ts';
import { eraOf } from '../catalog/era.ts';
import type { LostFrameRow } from '../catalog/pack-records.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { StoreError } from '../errors.ts';

/** A pack by its name. */
export interface NamedPack {
  readonly name: string;
  readonly sizeBytes: number;
}

/** What a catalog knows. */
export interface Knowledge {
  readonly packs: readonly NamedPack[];
  /** Packs that it has let go of, and whose files may still be there. */
  readonly retired: readonly NamedPack[];
  readonly lostFrames: readonly LostFrameRow[];
  /** Names of packs that were found damaged when they were last read. */
  readonly damagedPacks: readonly string[];
  readonly snapshots: readonly SnapshotRow[];
  /** Ids of snapshots that are gone. */
  readonly tombstones: readonly string[];
  readonly lastSequences: ReadonlyMap<string, number>;
  /** Whether some of them are not known, because their rows are damaged. */
  readonly lacksTimelines: boolean;
  /** Tokens of the backups that were made, the oldest first. */
  readonly backups: readonly string[];
  readonly generation: number;
  readonly statesChanged: number;
  /** Rows that cannot be read, and are in none of the lists. */
  readonly damage: readonly StoreError[];
}

/** Reads it. @throws StoreError CORRUPT when not even the generation can be read. */
export function readKnowledge(catalog: Catalog): Knowledge {
  const damage: StoreError[] = [];
  const timelines = catalog.intactTimelines(damage);
  const lacksTimelines = damage.length > 0;
  return {
    packs: catalog.packs(0, damage),
    retired: catalog.collections.retired(),
    lostFrames: catalog.lostFrames(),
    damagedPacks: [...catalog.packRecords.damagedTimes(Infinity).keys()],
    snapshots: catalog.snapshots.all(damage),
    tombstones: catalog.collections.tombstones(),
    lastSequences: new Map(timelines.map(({ name, lastSequence }) => [name, lastSequence])),
    lacksTimelines,
    backups: catalog.backupRecords.all(),
    generation: catalog.generation,
    statesChanged: catalog.statesChanged,
    damage,
  };
}

/**
 * A backup that was captured into has what the store does not, and so has one that was made before
 * an older catalog was put back: it is not written over.
 *
 * @throws StoreError EXISTS.
 */
export function checkMayReplace(former: Knowledge, own: Knowledge, file: string): void {
  const what = newerTimeline(former, own) ?? otherSnapshot(former, own) ?? laterChange(former, own);
  if (what === undefined) return;
  throw new StoreError('EXISTS', `the target has what the store does not: ${what}`, { file });
}

/** A timeline that went on there. */
function newerTimeline(former: Knowledge, own: Knowledge): string | undefined {
  const unknown = own.lacksTimelines ? Infinity : 0;
  const isNewer = ([name, last]: [string, number]) =>
    last > (own.lastSequences.get(name) ?? unknown);
  return [...former.lastSequences].find(isNewer)?.[0];
}

/** A snapshot whose place this store has given to another: this one was never its own. */
function otherSnapshot(former: Knowledge, own: Knowledge): string | undefined {
  const placeOf = (row: SnapshotRow) => `${row.timelineName}@${row.sequence}`;
  const taken = new Set(own.snapshots.map(placeOf));
  return unknownSnapshots(former, own)
    .map(placeOf)
    .find((place) => taken.has(place));
}

function laterChange(former: Knowledge, own: Knowledge): string | undefined {
  if (!isOfOneEra(former, own)) return undefined;
  const newest = former.backups.at(-1);
  if (newest !== undefined && !own.backups.includes(newest)) return 'a later backup';
  if (former.generation > own.generation) return 'a later collection';
  // A collection begins to count anew.
  const isLater = former.generation === own.generation && former.statesChanged > own.statesChanged;
  return isLater ? 'later changes of pins, notes or removals' : undefined;
}

function isOfOneEra(former: Knowledge, own: Knowledge): boolean {
  return eraOf(former.generation) === eraOf(own.generation);
}

/** Snapshots that only the former backup knows, by their ids: a repair may change their places. */
function unknownSnapshots(former: Knowledge, own: Knowledge): SnapshotRow[] {
  const known = new Set([...own.snapshots.map(({ id }) => id), ...own.tombstones]);
  return former.snapshots.filter(({ id, condemned }) => !condemned && !known.has(id));
}

/** Packs of the former backup that a whole one in its place does not need. */
export function unneededPacks(former: Knowledge, own: Knowledge): NamedPack[] {
  // Within an era, rows go by collections alone.
  if (!isOfOneEra(former, own) || former.damage.length > 0 || own.damage.length > 0) return [];
  const known = new Set(own.packs.map(({ name }) => name));
  return [...former.packs, ...former.retired].filter(({ name }) => !known.has(name));
}
