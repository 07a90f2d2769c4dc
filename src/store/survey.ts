/**
 * Looks at all packs of the catalog, and counts what is needed of each: from footers and frame
 * tables only. What a collection will do, and what `dryRun` says it would do, follows from this.
 */
import type { PackRow, SegmentRow, SnapshotRow } from '../catalog/rows.ts';
import { DIGEST_BYTES } from '#digest';
import { toHex } from '../bytes/hex.ts';
import { isDamage, StoreError } from '../errors.ts';
import { countBits } from '../pack/frame-table.ts';
import type { PackReader } from '../pack/reader.ts';
import { SlotSet } from '../pack/slot-set.ts';
import type { States } from '../pack/states.ts';
import type { Pacer } from './clock.ts';
import type { CondemnedThen } from './condemned.ts';
import type { StoreContext } from './context.ts';
import { groupBy } from './group-by.ts';
import type { KnownSurveys } from './known-surveys.ts';
import type { LiveSlots } from './live-slots.ts';
import { readInPieces } from './read-in-pieces.ts';
import type { TimeLimit } from './time-limit.ts';

/** A segment in its pack. */
export interface SegmentSurvey {
  /** The catalog's number. */
  readonly number: number;
  readonly identity: Uint8Array;
  readonly local: number;
  /** Slots that are there, and that nobody needs. */
  readonly dead: SlotSet;
  readonly deadPages: number;
  readonly livePages: number;
}

/** A pack, and what is needed of it. */
export interface PackSurvey {
  readonly number: number;
  readonly name: string;
  readonly sizeBytes: number;
  readonly segments: readonly SegmentSurvey[];
  /** Snapshots whose manifests are needed. */
  readonly manifests: readonly SnapshotRow[];
  /** Generation of the states in it, if it has any that can be read. */
  readonly statesGeneration: number | undefined;
  /** Whether it has some that cannot: then it is written once more, without them. */
  readonly hasDamagedStates: boolean;
  /** Of pages and manifests that nobody needs, about: pages of a frame share its bytes. */
  readonly deadBytes: number;
  /** Of those that are needed. */
  readonly liveBytes: number;
}

/** What the catalog has, read before the snapshots are: so the snapshots of all of it are known. */
export interface Inventory {
  readonly packs: readonly PackRow[];
  readonly segments: readonly SegmentRow[];
}

/** Reads the packs and segments of the catalog. @throws StoreError CORRUPT. */
export async function takeInventory({ catalog }: StoreContext, pacer: Pacer): Promise<Inventory> {
  // In this order: a pack that is listed has all of its segments in the other list.
  const packs = await readInPieces(pacer, (after, limit, damage) =>
    catalog.packs(after, damage, limit),
  );
  const segments = await readInPieces(pacer, (after, limit, damage) =>
    catalog.segments(after, damage, limit),
  );
  return { packs, segments };
}

/** What was found. */
export interface Survey {
  readonly packs: readonly PackSurvey[];
  /** The newest states that can be read. */
  readonly states: States | undefined;
  /** Names of those of the packs that cannot be read, and need not be. */
  readonly unreadable: readonly string[];
  /** Of packs that cannot be read, and stay as they are. */
  readonly damage: readonly StoreError[];
}

/** What is needed. */
export interface Needs {
  readonly live: LiveSlots;
  /** Slots that may be dead: those that are condemned; undefined for all. */
  readonly condemned: CondemnedThen | undefined;
  /**
   * Names of packs that may be unneeded though nobody can list their slots: those of which nothing
   * new is referred to any more; undefined for all.
   */
  readonly lostPacks: ReadonlySet<string> | undefined;
  /** The snapshots whose manifests are needed. */
  readonly rows: readonly SnapshotRow[];
}

/** How packs are looked at. */
export interface SurveyOptions {
  readonly pacer: Pacer;
  readonly time: TimeLimit;
  /** What was found before: used where it would be found again. */
  readonly known: KnownSurveys;
  /** Gets the packs that have been looked at, also when the time is over before all have been. */
  readonly packs: PackSurvey[];
}

/** Looks at every pack that was listed before its needs were known. @throws TimeIsOver. */
export async function surveyPacks(
  context: StoreContext,
  inventory: Inventory,
  needs: Needs,
  { pacer, time, known, packs }: SurveyOptions,
): Promise<Survey> {
  const segments = groupBy(inventory.segments, ({ packName }) => packName);
  const manifests = groupBy(needs.rows, ({ packName }) => packName);
  const unreadable: string[] = [];
  const damage: StoreError[] = [];
  known.keepOnly(new Set(inventory.packs.map(({ name }) => name)));
  for (const row of inventory.packs) {
    const inIt = segments.get(row.name) ?? [];
    const needed = manifests.get(row.name) ?? [];
    const inputs = inputsOf(row, needs, inIt, needed);
    const before = known.find(row.name, inputs);
    if (before === undefined) time.check();
    try {
      const survey = before ?? lookAt(context, row, needs, { inIt, needed, damage });
      packs.push(survey);
      if (before === undefined && !survey.hasDamagedStates) {
        known.put(row.name, inputs, survey);
        time.worked();
      }
    } catch (error) {
      if (!(error instanceof StoreError && isDamage(error))) throw error;
      const isNeeded = needed.length > 0 || inIt.some(({ number }) => needs.live.hasAny(number));
      if (isNeeded || needs.lostPacks?.has(row.name) === false) damage.push(error);
      else {
        packs.push(unneededPack(row, inIt));
        unreadable.push(row.name);
      }
    }
    await pacer.pause();
  }
  return { packs, states: newestStates(context, packs), unreadable, damage };
}

/** All that a survey of a pack depends on, for as long as the pack can be read. */
function inputsOf(
  { number }: PackRow,
  { live, condemned }: Needs,
  inIt: readonly SegmentRow[],
  needed: readonly SnapshotRow[],
): unknown[] {
  const inputs: unknown[] = [number, condemned === undefined];
  for (const segment of inIt) {
    const set = live.of(segment.number);
    inputs.push(segment.number, segment.local, set, set.changes, live.isWhole(segment.number));
    inputs.push(condemned?.of(segment.number));
  }
  for (const { manifestDigest } of needed) inputs.push(toHex(manifestDigest));
  return inputs;
}

function lookAt(
  context: StoreContext,
  row: PackRow,
  needs: Needs,
  { damage, ...rest }: Pick<PackNeeds, 'inIt' | 'needed'> & { readonly damage: StoreError[] },
): PackSurvey {
  const reader = context.packs.reader(row.name);
  const states = unlessDamaged(damage, () => reader.readStates());
  return surveyPack(reader, row, needs, { ...rest, states });
}

/** Read once more: of many collections, only the last one's states are of interest. */
function newestStates(context: StoreContext, packs: readonly PackSurvey[]): States | undefined {
  const newest = newestStatesIn(packs);
  return newest && unlessDamaged([], () => context.packs.reader(newest.name).readStates());
}

/** The pack with the states of the highest generation: what a repair believes. */
export function newestStatesIn(surveys: readonly PackSurvey[]): PackSurvey | undefined {
  let newest: PackSurvey | undefined;
  for (const survey of surveys) {
    const generation = survey.statesGeneration;
    if (generation !== undefined && generation >= (newest?.statesGeneration ?? 0)) newest = survey;
  }
  return newest;
}

function unlessDamaged<T>(damage: StoreError[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof StoreError && isDamage(error))) throw error;
    damage.push(error);
    return undefined;
  }
}

/** What the catalog has of a pack, and what its states say. */
interface PackNeeds {
  readonly inIt: readonly SegmentRow[];
  readonly needed: readonly SnapshotRow[];
  readonly states: States | undefined;
}

function surveyPack(
  reader: PackReader,
  { number, name, sizeBytes }: PackRow,
  needs: Needs,
  { inIt, needed, states }: PackNeeds,
): PackSurvey {
  const found = inIt.map((segment) => surveySegment(reader, segment, needs));
  const manifests = surveyManifests(reader, needed);
  const statesParts = reader.footer.entries.filter(({ type }) => type === 'states');
  const damagedStates = states === undefined ? statesParts : [];
  const others = damagedStates.reduce(
    (sum, { blockBytes }) => sum + blockBytes,
    bytesElsewhere(reader, inIt),
  );
  const dead = manifests.deadBytes + others;
  return {
    number,
    name,
    sizeBytes,
    segments: found.map(({ survey }) => survey),
    manifests: needed,
    statesGeneration: states?.generation,
    hasDamagedStates: damagedStates.length > 0,
    deadBytes: found.reduce((sum, { deadBytes }) => sum + deadBytes, dead),
    liveBytes: found.reduce((sum, { liveBytes }) => sum + liveBytes, manifests.liveBytes),
  };
}

/** Bytes of frames of segments that the catalog has in other packs: after a repair, or a crash. */
function bytesElsewhere(reader: PackReader, inIt: readonly SegmentRow[]): number {
  const known = new Set(inIt.map(({ local }) => local));
  let bytes = 0;
  for (const local of reader.footer.references.keys()) {
    if (known.has(local)) continue;
    for (const table of reader.frameTables(local)) {
      for (let index = 0; index < table.length; index++) bytes += table.entryAt(index).blockBytes;
    }
  }
  return bytes;
}

/** A pack that cannot be read, and need not be. */
function unneededPack(
  { number, name, sizeBytes }: PackRow,
  inIt: readonly SegmentRow[],
): PackSurvey {
  const nothing = { dead: new SlotSet(), deadPages: 0, livePages: 0 };
  const segments = inIt.map((segment) => ({ ...segment, ...nothing }));
  const rest = { manifests: [], statesGeneration: undefined, hasDamagedStates: false };
  return { number, name, sizeBytes, segments, ...rest, deadBytes: sizeBytes, liveBytes: 0 };
}

function surveySegment(
  reader: PackReader,
  { number, identity, local }: SegmentRow,
  needs: Needs,
): { survey: SegmentSurvey; deadBytes: number; liveBytes: number } {
  const dead = new SlotSet();
  const live = needs.live.of(number);
  // Where nobody can list what is needed, nothing is dead.
  const may = needs.live.isWhole(number) ? 0 : -1;
  const condemned = needs.condemned && (needs.condemned.of(number) ?? new SlotSet());
  let [deadPages, livePages, deadBytes, liveBytes] = [0, 0, 0, 0];
  for (const table of reader.frameTables(local)) {
    for (let index = 0; index < table.length; index++) {
      const { frame, slotsLow, slotsHigh, blockBytes } = table.entryAt(index);
      const low = slotsLow & ~live.lowOf(frame) & (condemned?.lowOf(frame) ?? -1) & may;
      const high = slotsHigh & ~live.highOf(frame) & (condemned?.highOf(frame) ?? -1) & may;
      const pages = table.pagesAt(index);
      const unneeded = countBits(low) + countBits(high);
      if (unneeded > 0) dead.addFrame(frame, low, high);
      const digestBytes = table.isDelta(index) ? 0 : DIGEST_BYTES;
      const bytes = blockBytes + digestBytes * pages;
      deadPages += unneeded;
      livePages += pages - unneeded;
      deadBytes += Math.round((bytes * unneeded) / pages);
      liveBytes += Math.round((bytes * (pages - unneeded)) / pages);
    }
  }
  const survey = { number, identity, local, dead, deadPages, livePages };
  return { survey, deadBytes, liveBytes };
}

function surveyManifests(
  reader: PackReader,
  needed: readonly SnapshotRow[],
): { deadBytes: number; liveBytes: number } {
  const digests = new Set(needed.map(({ manifestDigest }) => toHex(manifestDigest)));
  let [deadBytes, liveBytes] = [0, 0];
  for (const entry of reader.footer.entries) {
    if (entry.type !== 'manifest') continue;
    if (digests.has(toHex(entry.digest))) liveBytes += entry.blockBytes;
    else deadBytes += entry.blockBytes;
  }
  return { deadBytes, liveBytes };
}
