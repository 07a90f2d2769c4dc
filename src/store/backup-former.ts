/**
 * Whether a backup may take the place of the former one, and what of that may go then: it must be a
 * later state of the same store.
 *
 * Within one era (catalog/era.ts) numbers tell: the generation, the changes of states, the greatest
 * sequences. Between two eras something was repaired, the store or the backup itself, and only what
 * was captured counts: a snapshot at a place that this store never gave, or gave to another, is one
 * that it never had. Any other that it does not know may be collected, or lost in a repair, so that
 * its packs stay.
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
  readonly snapshots: readonly SnapshotRow[];
  /** Ids of snapshots that are gone. */
  readonly tombstones: readonly string[];
  readonly lastSequences: ReadonlyMap<string, number>;
  readonly generation: number;
  readonly statesChanged: number;
}

/** Reads it. Damaged rows of packs and snapshots are passed over. @throws StoreError CORRUPT. */
export function readKnowledge(catalog: Catalog): Knowledge {
  return {
    packs: catalog.packs(),
    retired: catalog.collections.retired(),
    lostFrames: catalog.lostFrames(),
    snapshots: catalog.snapshots.all([]),
    tombstones: catalog.collections.tombstones(),
    lastSequences: catalog.lastSequences(),
    generation: catalog.generation,
    statesChanged: catalog.statesChanged,
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
  const isNewer = ([name, last]: [string, number]) => last > (own.lastSequences.get(name) ?? 0);
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
  const mayBeLost = !isOfOneEra(former, own) && unknownSnapshots(former, own).length > 0;
  if (mayBeLost) return [];
  const known = new Set(own.packs.map(({ name }) => name));
  return [...former.packs, ...former.retired].filter(({ name }) => !known.has(name));
}
