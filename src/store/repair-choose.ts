/**
 * What a repair makes of what it found, without looking at a disk: which pack holds a segment,
 * which manifest is a snapshot's, what its state is, and so what a catalog is to hold.
 *
 * A snapshot's state is what the old catalog says, unless a states block of a pack is newer, or its
 * row is lost.
 */
import { toHex } from '../bytes/hex.ts';
import { idToText } from '../bytes/id.ts';
import { nextEra } from '../catalog/era.ts';
import type { CatalogContent, SegmentToWrite, SnapshotToWrite } from '../catalog/rebuild.ts';
import { REMOVED } from '../catalog/snapshot-rows.ts';
import type { SalvagedCatalog, SalvagedSnapshot } from '../catalog/salvage.ts';
import type { StateOfSnapshot } from '../pack/states.ts';
import type { ScannedManifest, ScannedPack, ScannedSegment } from './repair-scan.ts';

/** All that was found. */
export interface Findings {
  readonly storeId: Uint8Array;
  readonly salvage: SalvagedCatalog;
  /** Whether the old catalog is whole, and has every pack that it knows. */
  readonly isCurrent: boolean;
  readonly packs: readonly ScannedPack[];
  readonly lostFrames: readonly { readonly pack: string; readonly offset: number }[];
  /** When they were found: a new catalog begins an era then. */
  readonly nowMs: number;
}

/** A manifest that may be a snapshot's. */
export interface Candidate {
  readonly manifest: ScannedManifest;
  readonly pack: ScannedPack;
}

/** What is known of a snapshot beside its manifest. */
export interface KnownState {
  readonly removed: boolean;
  /** Whether a collection has taken it away. */
  readonly gone: boolean;
  readonly pinned: boolean;
  readonly note: string;
}

/** The manifests of each snapshot, those that count most first. */
export function candidatesOf(packs: readonly ScannedPack[]): Map<string, Candidate[]> {
  const found = new Map<string, Candidate[]>();
  for (const pack of packs) {
    for (const manifest of pack.manifests) {
      const { id } = manifest.facts;
      const others = found.get(id);
      if (others === undefined) found.set(id, [{ manifest, pack }]);
      else others.push({ manifest, pack });
    }
  }
  for (const list of found.values()) {
    // Of the same manifest in two packs, the one that is whole.
    list.sort(
      (a, b) =>
        b.manifest.facts.revision - a.manifest.facts.revision ||
        a.pack.problems.length - b.pack.problems.length,
    );
  }
  return found;
}

/** The states of all snapshots, as far as anything says them. */
export class StateBook {
  readonly #rows: ReadonlyMap<string, SalvagedSnapshot>;
  readonly #told = new Map<string, StateOfSnapshot>();
  readonly #tombstones: ReadonlySet<string>;
  readonly #isCatalogNewer: boolean;
  /** Of the newest states block; 0 without one. */
  readonly generation: number;

  constructor({ salvage, isCurrent, packs }: Findings) {
    this.#rows = new Map(salvage.snapshots.map((row) => [row.id, row]));
    const blocks = packs.flatMap(({ states }) => states ?? []);
    this.generation = blocks.reduce((newest, block) => Math.max(newest, block.generation), 0);
    this.#isCatalogNewer = isCurrent || salvage.generation >= this.generation;
    this.#tombstones = new Set(this.#isCatalogNewer ? salvage.tombstones : []);
    const newest = blocks
      .filter(({ generation }) => generation === this.generation)
      .map(({ snapshots }) => new Map(snapshots.map((state) => [toHex(state.id), state])));
    const ids = new Set(newest.flatMap((block) => [...block.keys()]));
    for (const key of ids) {
      // One of several was not committed: what only some of them call removed is not lost.
      const says = newest.flatMap((block) => block.get(key) ?? []);
      const [{ id }] = says as [StateOfSnapshot];
      this.#told.set(idToText(id), {
        id,
        removed: says.length === newest.length && says.every(({ removed }) => removed),
        pinned: says.some(({ pinned }) => pinned),
        note: says.find(({ note }) => note !== '')?.note ?? '',
      });
    }
  }

  /** Whether a collection has taken a snapshot since the old catalog was written. */
  isCollected(id: string): boolean {
    return !this.#isCatalogNewer && this.#told.get(id)?.removed === true;
  }

  /** Whether pages of a snapshot are still needed: not when it can never be seen again. */
  isNeeded(id: string): boolean {
    const row = this.#isCatalogNewer ? this.#rows.get(id) : undefined;
    return row === undefined ? !this.of(id).removed : row.removed !== REMOVED.condemned;
  }

  /** What is known of a snapshot. */
  of(id: string): KnownState {
    const row = this.#rows.get(id);
    const { pinned = false, note = '' } = row ?? {};
    const gone = this.#tombstones.has(id);
    if (row !== undefined && this.#isCatalogNewer) {
      return { removed: row.removed > 0, gone: false, pinned, note };
    }
    const told = this.#told.get(id);
    return {
      removed: gone || (told?.removed ?? false),
      gone,
      pinned: pinned || (told?.pinned ?? false),
      note: told?.note === undefined || told.note === '' ? note : told.note,
    };
  }
}

/** The place in a timeline that a manifest says is its snapshot's: no two may have the same. */
export function placeOf({ manifest }: Candidate): string {
  return JSON.stringify([manifest.facts.timelineName, manifest.facts.sequence]);
}

/** What a snapshot is in a catalog: one of REMOVED; snapshots that are not named are not in it. */
export type Roles = ReadonlyMap<string, number>;

/** What a catalog is to hold. */
export function contentOf(
  findings: Findings,
  states: StateBook,
  picks: ReadonlyMap<string, Candidate>,
  roles: Roles,
): CatalogContent {
  const { salvage, packs, storeId, nowMs } = findings;
  const here = new Set(packs.map(({ name }) => name));
  const generation = nextEra(Math.max(salvage.generation, states.generation), nowMs);
  const born = new Map(salvage.packs.map((pack) => [pack.name, pack.generation]));
  const segments = segmentsOf(packs);
  const stored = new Map(salvage.snapshots.map((row) => [row.id, row.storedBytes]));
  const snapshots = [...roles]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([id, removed]) => {
      const { manifest, pack } = picks.get(id) as Candidate;
      const { pinned, note } = states.of(id);
      const storedBytes = stored.get(id) ?? storedBytesOf(manifest, pack, segments);
      const facts = { ...manifest.facts, storedBytes };
      return { facts, packName: pack.name, removed, pinned, note };
    });
  const tombstones = [...picks.keys()].filter((id) => !roles.has(id) && states.of(id).removed);
  const isTold = ({ removed, pinned, note }: SnapshotToWrite) =>
    removed > 0 || pinned || note !== '';
  return {
    storeId,
    generation,
    statesChanged: snapshots.some(isTold) || tombstones.length > 0,
    timelines: timelinesOf(findings),
    packs: packs.map(({ name, sizeBytes }) => ({
      name,
      sizeBytes,
      generation: born.get(name) ?? generation,
    })),
    segments: [...segments.values()],
    snapshots,
    tombstones,
    retired: salvage.retired.filter(({ pack }) => !here.has(pack)),
    lostFrames: findings.lostFrames.filter(({ pack }) => here.has(pack)),
    verified: salvage.verified.filter(({ pack }) => here.has(pack)),
    damagedPacks: salvage.damagedPacks.filter(({ pack }) => here.has(pack)),
  };
}

/** A segment, and the pack that it is in. */
export interface SegmentCopy {
  readonly pack: ScannedPack;
  readonly segment: ScannedSegment;
}

/**
 * Of each segment, by its identity in hex, the copy where readers are to look for it: where they do
 * already, or else the one of which most can be read.
 */
export function bestCopies(packs: readonly ScannedPack[]): Map<string, SegmentCopy> {
  const best = new Map<string, SegmentCopy>();
  for (const pack of packs) {
    for (const segment of pack.segments) {
      const key = toHex(segment.identity);
      const [copy, other] = [{ pack, segment }, best.get(key)];
      if (other === undefined || isBetter(key, copy, other)) best.set(key, copy);
    }
  }
  return best;
}

/** Whether readers rather look for a segment in one copy than in the other. */
export function isBetter(key: string, copy: SegmentCopy, other: SegmentCopy): boolean {
  if (copy.pack.isReplaced !== other.pack.isReplaced) return other.pack.isReplaced;
  const isListed = copy.pack.listed.has(key);
  if (isListed !== other.pack.listed.has(key)) return isListed;
  return readablePages(copy) > readablePages(other);
}

function readablePages({ segment: { pages, lostPages } }: SegmentCopy): number {
  return pages - lostPages;
}

function segmentsOf(packs: readonly ScannedPack[]): Map<string, SegmentToWrite> {
  return new Map(
    [...bestCopies(packs)].map(([key, { pack, segment }]) => {
      const { identity, local, pages, frameBytes } = segment;
      return [key, { identity, packName: pack.name, local, pages, frameBytes }];
    }),
  );
}

/** What a capture added to the store, as far as its pack tells. */
function storedBytesOf(
  manifest: ScannedManifest,
  pack: ScannedPack,
  segments: ReadonlyMap<string, SegmentToWrite>,
): number {
  if (pack.manifests.length === 1 && pack.segments.length === 1) return pack.sizeBytes;
  const own = manifest.ownSegment === undefined ? undefined : segments.get(manifest.ownSegment);
  return manifest.storedBytes + (own?.frameBytes ?? 0);
}

/** All timelines that anything is known of, with the greatest sequences that were ever seen. */
export function timelinesOf({ packs, salvage }: Findings): CatalogContent['timelines'] {
  const last = new Map<string, number>();
  const see = (name: string, sequence: number) => {
    last.set(name, Math.max(last.get(name) ?? 0, sequence));
  };
  for (const { name, lastSequence } of salvage.timelines) see(name, lastSequence);
  for (const { timelineName, sequence } of salvage.snapshots) {
    if (timelineName !== undefined) see(timelineName, sequence);
  }
  for (const { manifests, states } of packs) {
    for (const { facts } of manifests) see(facts.timelineName, facts.sequence);
    for (const { name, lastSequence } of states?.timelines ?? []) see(name, lastSequence);
  }
  return [...last].map(([name, lastSequence]) => ({ name, lastSequence }));
}
