/**
 * What a repair is going to do: everything is read, the catalog that there should be is written to
 * a private file and tried out on every snapshot, and nothing of the store is changed.
 */
import { toHex } from '../bytes/hex.ts';
import type { Zstd } from '../bytes/zstd.ts';
import { writeCatalog } from '../catalog/rebuild.ts';
import { REMOVED } from '../catalog/snapshot-rows.ts';
import { isDamage } from '../errors.ts';
import type { Files } from '../files/files.ts';
import { WHOLE_PACK } from '../pack/lost-frames.ts';
import type { PackSet } from '../pack/pack-set.ts';
import { newIdentity, now, type Pacer } from './clock.ts';
import type { OperationOptions } from './context.ts';
import type { StoreLayout } from './layout.ts';
import { readOldCatalog, type OldCatalog } from './repair-catalog.ts';
import {
  candidatesOf,
  contentOf,
  StateBook,
  type Candidate,
  type Findings,
} from './repair-choose.ts';
import { newCatalogFile } from './repair-draft.ts';
import { healPacks, type HealedPack, type Healing } from './repair-heal.ts';
import { findNames, type MisnamedPack } from './repair-names.ts';
import { findRedundant } from './repair-redundant.ts';
import { renumber, type Renumbering } from './repair-renumber.ts';
import { isComplete, type SnapshotFinding } from './repair-evaluate.ts';
import {
  packNameOf,
  scanPack,
  stillLost,
  type ScannedPack,
  type UnreadablePack,
} from './repair-scan.ts';
import type { StagedPacks } from './repair-staged.ts';
import { chooseCopies, pickManifests, tryOutNewest } from './repair-try.ts';

/** What a plan is made with. */
export interface RepairWork {
  readonly files: Files;
  readonly layout: StoreLayout;
  readonly zstd: Zstd;
  readonly packs: PackSet;
  /** Packs that are not in their places yet. */
  readonly staged: StagedPacks;
  readonly pacer: Pacer;
  /** Names a new private file. */
  readonly newPath: (suffix: string) => string;
  readonly everyFrame: boolean;
  readonly onProgress: OperationOptions['onProgress'];
}

/** What there is, and what there should be. */
export interface RepairPlan {
  readonly old: OldCatalog;
  readonly findings: Findings;
  readonly unreadable: readonly UnreadablePack[];
  /** Packs that are there under other names. */
  readonly misnamed: readonly MisnamedPack[];
  /** Second names of packs, and the name that each keeps. */
  readonly secondNames: ReadonlyMap<string, string>;
  /** Packs that were written once more, with lost pages that were found elsewhere. */
  readonly healed: readonly HealedPack[];
  /** Packs that the old catalog knows and that are not there. */
  readonly missing: readonly string[];
  /** Why the catalog is written anew; empty when it stays. */
  readonly reasons: readonly string[];
  /** Path of the new catalog; undefined when the old one stays. */
  readonly catalog: string | undefined;
  readonly picks: ReadonlyMap<string, Candidate>;
  /** Of every snapshot that has a manifest. */
  readonly snapshots: ReadonlyMap<string, SnapshotFinding>;
  /** What each snapshot of the new catalog is there; see REMOVED. */
  readonly roles: ReadonlyMap<string, number>;
  /** Ids of snapshots that were removed since the old catalog was written. */
  readonly collected: ReadonlySet<string>;
  /** Snapshots whose places in their timelines others have. */
  readonly renumbered: readonly Renumbering[];
}

/** Whose store it is, as format.json says; undefined when that is lost. */
export type StoreIdentity = Uint8Array | undefined;

/** Makes the plan. @throws StoreError UNSUPPORTED_VERSION, STORAGE. */
export async function planRepair(work: RepairWork, storeId: StoreIdentity): Promise<RepairPlan> {
  const ownId = newIdentity();
  const nowMs = now();
  const old = await readOldCatalog(work.files, work.layout, storeId, work.newPath);
  const found = await findNames(work, old.salvage);
  const { names, misnamed, secondNames, unreadable: strange } = found;
  const { scanned: all, unopened } = await scanAll(work, old, names);
  const findingsOf = (packs: readonly ScannedPack[], missing: readonly string[]): Findings => ({
    storeId: storeId ?? old.salvage.storeId ?? ownId,
    salvage: old.salvage,
    isCurrent: old.whole !== undefined && missing.length === 0,
    packs,
    lostFrames: lostFramesOf(work),
    nowMs,
  });
  const scanned = await chooseCopies(work, all, (packs) => findingsOf(packs, []));
  const healing = await heal(work, scanned, (packs) => findingsOf(packs, []));
  const { needed: packs, redundant } = await findRedundant(work, healing.packs, healing.healed);
  const needed = new Set(packs.map(({ name }) => name));
  const healed = healing.healed.filter(({ newName }) => needed.has(newName));
  // What was written now, and is not needed, is not in packs/.
  const scannedNames = new Set(scanned.map(({ name }) => name));
  const here = redundant.filter(({ name }) => scannedNames.has(name));
  const unneeded = here.map(({ name }) => {
    const path = work.layout.packFile(name);
    return { path, name, problem: 'damaged, and all that is left of it is in other packs' };
  });
  // A file in the place of what was written is replaced by it.
  const written = new Set(healed.map(({ newName }) => work.layout.packFile(newName)));
  const aside = [...strange, ...unopened, ...unneeded];
  const unreadable = aside.filter(({ path }) => !written.has(path));
  const missing = missingPacks(old, packs, unreadable);
  const findings = findingsOf(packs, missing);
  return await decide(work, {
    ...{ old, findings, unreadable, misnamed, secondNames, missing, healed },
  });
}

/** Heals, with a catalog of all snapshots by the manifests that count most. */
async function heal(
  work: RepairWork,
  scanned: readonly ScannedPack[],
  findingsOf: (packs: readonly ScannedPack[]) => Findings,
): Promise<Healing> {
  const states = new StateBook(findingsOf(scanned));
  return await healPacks(work, scanned, {
    isNeeded: (id) => states.isNeeded(id),
    tryOut: (packs, use) => tryOutNewest(work, packs, findingsOf, use),
  });
}

async function scanAll(
  work: RepairWork,
  { salvage }: OldCatalog,
  names: readonly string[],
): Promise<{ scanned: ScannedPack[]; unopened: UnreadablePack[] }> {
  const { layout, pacer } = work;
  const scanned: ScannedPack[] = [];
  const unopened: UnreadablePack[] = [];
  // What the catalog knows of lost frames counts, whether or not frames are read.
  for (const { pack, offset } of await stillLost(work, salvage.lostFrames, pacer)) {
    work.packs.lostFrames.restore({ file: layout.packFile(pack), offset });
  }
  const known = new Set(salvage.packs.map(({ name }) => name));
  const listed = listedSegments(salvage);
  // One that is not known may have been written by a repair that was cut off, with what is lost.
  const hasLost = salvage.lostFrames.length > 0;
  // Of one that was lost as a whole nobody has read the frames, though its tables may be back.
  const whole = salvage.lostFrames.filter(({ offset }) => offset === WHOLE_PACK);
  const unread = new Set(whole.map(({ pack }) => pack));
  // Of copies that have as much, the one that counts is the one of the catalog: what stands on it,
  // and what it stands on, is known to be there.
  const inOrder = [...names].sort((a, b) => Number(known.has(b)) - Number(known.has(a)));
  for (const [i, name] of inOrder.entries()) {
    try {
      const isUnread = unread.has(name) || (hasLost && !known.has(name));
      const everyFrame = work.everyFrame || isUnread;
      const pack = await scanPack(work, name, everyFrame, pacer);
      scanned.push({ ...pack, listed: listed.get(name) ?? new Set() });
    } catch (error) {
      if (!isDamage(error)) throw error;
      unopened.push({ path: layout.packFile(name), name, problem: (error as Error).message });
    }
    work.onProgress?.({ phase: 'packs', done: i + 1, total: names.length });
  }
  return { scanned, unopened };
}

/** Identities of segments in hex, by the pack that the old catalog says they are in. */
function listedSegments({ segments }: OldCatalog['salvage']): Map<string, Set<string>> {
  const listed = new Map<string, Set<string>>();
  for (const { identity, packName } of segments) {
    if (packName === undefined) continue;
    const others = listed.get(packName);
    if (others === undefined) listed.set(packName, new Set([toHex(identity)]));
    else others.add(toHex(identity));
  }
  return listed;
}

/** The frames that are lost, those that were known and those that have been found since. */
function lostFramesOf(work: RepairWork): LostFrameRow[] {
  const { layout, packs } = work;
  return packs.lostFrames.all().flatMap(({ file, offset }) => {
    const pack = packNameOf(layout, file);
    return pack === undefined ? [] : [{ pack, offset }];
  });
}

/** A frame that is lost: the name of its pack, and where its block starts. */
export interface LostFrameRow {
  readonly pack: string;
  readonly offset: number;
}

function missingPacks(
  { salvage }: OldCatalog,
  scanned: readonly ScannedPack[],
  unreadable: readonly UnreadablePack[],
): string[] {
  const there = new Set([...scanned, ...unreadable].map(({ name }) => name));
  return salvage.packs.map(({ name }) => name).filter((name) => !there.has(name));
}

type Found = Pick<
  RepairPlan,
  'old' | 'findings' | 'unreadable' | 'misnamed' | 'secondNames' | 'missing' | 'healed'
>;

async function decide(work: RepairWork, found: Found): Promise<RepairPlan> {
  const { findings, old } = found;
  const states = new StateBook(findings);
  const candidates = candidatesOf(findings.packs);
  const numbered = await renumber(work, findings, states, candidates);
  const numberedPacks = numbered.map(({ pack }) => pack);
  const all = { ...findings, packs: [...findings.packs, ...numberedPacks] };
  const { picks, snapshots } = await pickManifests(work, all, states, candidates);
  const roles = rolesOf(picks, snapshots, states);
  const reasons = reasonsOf(found, picks);
  const renumbered = numbered.filter(({ id }) => roles.has(id));
  const packs = [...findings.packs, ...renumbered.map(({ pack }) => pack)];
  const late = { ...findings, packs, lostFrames: lostFramesOf(work) };
  const ids = [...picks.keys(), ...old.salvage.snapshots.map(({ id }) => id)];
  const collected = new Set(ids.filter((id) => states.isCollected(id)));
  const made = { reasons, picks, snapshots, roles, renumbered, collected };
  const plan = { ...found, ...made, findings: late };
  if (reasons.length === 0) return { ...plan, catalog: undefined };
  const content = contentOf(late, states, picks, roles);
  const tombstones = [...new Set([...content.tombstones, ...goneOf(old, picks, roles)])];
  const catalog = newCatalogFile(work);
  await writeCatalog(catalog, { ...content, tombstones }, () => work.pacer.pause());
  return { ...plan, catalog };
}

/** What was gone stays so as long as a pack has a manifest of it. */
function goneOf(
  { salvage }: OldCatalog,
  candidates: ReadonlyMap<string, Candidate>,
  roles: ReadonlyMap<string, number>,
): string[] {
  return salvage.tombstones.filter((id) => candidates.has(id) && !roles.has(id));
}

/** What each snapshot is to be. */
function rolesOf(
  picks: ReadonlyMap<string, Candidate>,
  snapshots: ReadonlyMap<string, SnapshotFinding>,
  states: StateBook,
): Map<string, number> {
  const roles = new Map<string, number>();
  for (const [id, finding] of snapshots) {
    const { removed, gone } = states.of(id);
    if (!removed && finding.problem === undefined) roles.set(id, REMOVED.no);
    if (removed && !gone && isComplete(finding)) roles.set(id, REMOVED.marked);
  }
  // What is there only because recipes differ from it; a Map goes on over what is added.
  for (const id of roles.keys()) {
    const baseId = picks.get(id)?.manifest.facts.baseId;
    if (baseId === undefined || roles.has(baseId) || !picks.has(baseId)) continue;
    roles.set(baseId, REMOVED.condemned);
  }
  return roles;
}

/** Why the old catalog cannot stay. */
function reasonsOf(found: Found, picks: ReadonlyMap<string, Candidate>): string[] {
  const { old, findings, missing } = found;
  const { salvage } = old;
  if (old.whole === undefined) {
    const damage = salvage.damage.map(({ summary }) => summary);
    return [...new Set(damage)].slice(0, 10);
  }
  const known = new Map(salvage.packs.map((pack) => [pack.name, pack]));
  const reasons = missing.map((name) => `pack ${name} is missing`);
  for (const { name, newName } of found.healed) {
    const what = name === undefined ? 'segments that no pack had are' : `pack ${name} is`;
    reasons.push(`${what} written once more, as ${newName}`);
  }
  const held = new Map<string, Set<string>>();
  const manifestsIn = new Map<string, Set<string>>();
  for (const { name, sizeBytes, segments, manifests } of findings.packs) {
    const row = known.get(name);
    if (row === undefined) reasons.push(`pack ${name} is not in the catalog`);
    else if (row.sizeBytes !== sizeBytes) reasons.push(`pack ${name} is not the one it was`);
    held.set(name, new Set(segments.map(({ identity }) => toHex(identity))));
    manifestsIn.set(name, new Set(manifests.map(({ facts }) => facts.id)));
  }
  for (const { name } of found.unreadable) {
    if (known.has(name) && !held.has(name)) reasons.push(`pack ${name} is taken away`);
  }
  for (const { identity, packName } of salvage.segments) {
    const segments = packName === undefined ? undefined : held.get(packName);
    if (segments === undefined || segments.has(toHex(identity))) continue;
    reasons.push(`pack ${packName} does not hold what the catalog says`);
  }
  for (const { id, packName } of salvage.snapshots) {
    const manifests = packName === undefined ? undefined : manifestsIn.get(packName);
    if (manifests === undefined || manifests.has(id)) continue;
    reasons.push(`the manifest of snapshot ${id} ${picks.has(id) ? 'has moved' : 'is lost'}`);
  }
  return [...new Set(reasons)];
}
