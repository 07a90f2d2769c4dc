/**
 * Tries out what could be: catalogs that say where manifests and segments are, each with all that
 * was found, to take those with which least is lost. Nothing of the store is changed.
 */
import { REMOVED } from '../catalog/snapshot-rows.ts';
import type { StoreContext } from './context.ts';
import {
  bestCopies,
  candidatesOf,
  contentOf,
  placeOf,
  StateBook,
  type Candidate,
  type Findings,
} from './repair-choose.ts';
import { withDraft } from './repair-draft.ts';
import { evaluate, isComplete, lostBytesOf, type SnapshotFinding } from './repair-evaluate.ts';
import type { RepairWork } from './repair-plan.ts';
import { renumber } from './repair-renumber.ts';
import type { ScannedPack } from './repair-scan.ts';

/** Tries out packs with the manifests of all snapshots that count most. */
export async function tryOutNewest<T>(
  work: RepairWork,
  packs: readonly ScannedPack[],
  findingsOf: (packs: readonly ScannedPack[]) => Findings,
  use: (draft: StoreContext) => Promise<T>,
): Promise<T> {
  const states = new StateBook(findingsOf(packs));
  const candidates = candidatesOf(packs);
  const numbered = await renumber(work, findingsOf(packs), states, candidates);
  const all = findingsOf([...packs, ...numbered.map(({ pack }) => pack)]);
  const picks = new Map([...candidates].map(([id, list]) => [id, list[0] as Candidate]));
  const roles = new Map([...picks.keys()].map((id) => [id, REMOVED.no]));
  return await withDraft(work, contentOf(all, states, picks, roles), use);
}

/**
 * Where several packs have a segment, such as one that was put back, readers look where they did
 * before, unless more comes out of the copies of which most can be read, and nothing less.
 */
export async function chooseCopies(
  work: RepairWork,
  packs: readonly ScannedPack[],
  findingsOf: (packs: readonly ScannedPack[]) => Findings,
): Promise<readonly ScannedPack[]> {
  const others = packs.map((pack) => ({ ...pack, listed: new Set<string>() }));
  const most = bestCopies(others);
  const isSame = [...bestCopies(packs)].every(
    ([key, { pack }]) => most.get(key)?.pack.name === pack.name,
  );
  if (isSame) return packs;
  const findings = (copies: readonly ScannedPack[]): Promise<Map<string, SnapshotFinding>> =>
    tryOutNewest(work, copies, findingsOf, async (draft) => {
      const rows = draft.catalog.snapshots.all();
      // All deltas are followed: that of a copy may stand on what only the other one had.
      const deep = new Set(rows.map(({ id }) => id));
      return await evaluate(draft, rows, deep, work.pacer, undefined);
    });
  const [before, after] = [await findings(packs), await findings(others)];
  const gains = [...before].map(([id, finding]) => {
    return lostBytesOf(finding) - lostBytesOf(after.get(id) ?? finding);
  });
  return gains.every((gain) => !(gain < 0)) && gains.some((gain) => gain > 0) ? others : packs;
}

/**
 * The manifest of each snapshot: the newest, unless more can be restored with an older one. All are
 * tried at once, since recipes differ from one another's.
 */
export async function pickManifests(
  work: RepairWork,
  findings: Findings,
  states: StateBook,
  candidates: ReadonlyMap<string, readonly Candidate[]>,
): Promise<{ picks: Map<string, Candidate>; snapshots: Map<string, SnapshotFinding> }> {
  let rounds = 1;
  for (const list of candidates.values()) rounds = Math.max(rounds, list.length);
  let picks = new Map([...candidates].map(([id, list]) => [id, list[0] as Candidate]));
  let snapshots = await tryOut(work, findings, states, picks);
  for (let round = 1; round < rounds; round++) {
    const others = new Map(picks);
    const holders = new Map([...picks].map(([id, pick]) => [placeOf(pick), id]));
    for (const [id, finding] of snapshots) {
      const other = candidates.get(id)?.[round];
      if (isComplete(finding) || other === undefined) continue;
      const holder = holders.get(placeOf(other));
      // One that was renumbered: its former place is another one's.
      if (holder !== undefined && holder !== id) continue;
      holders.set(placeOf(other), id);
      others.set(id, other);
    }
    if ([...others].every(([id, candidate]) => picks.get(id) === candidate)) continue;
    const tried = await tryOut(work, findings, states, others);
    if (lossOf(tried) >= lossOf(snapshots)) continue;
    [picks, snapshots] = [others, tried];
  }
  return { picks, snapshots };
}

/** How much is lost: snapshots of which nothing is left count most. */
function lossOf(snapshots: ReadonlyMap<string, SnapshotFinding>): number {
  let loss = 0;
  for (const finding of snapshots.values()) loss += Math.min(lostBytesOf(finding), 2 ** 40);
  return loss;
}

async function tryOut(
  work: RepairWork,
  findings: Findings,
  states: StateBook,
  picks: ReadonlyMap<string, Candidate>,
): Promise<Map<string, SnapshotFinding>> {
  const { pacer, onProgress } = work;
  const roles = new Map([...picks.keys()].map((id) => [id, REMOVED.no]));
  const content = contentOf(findings, states, picks, roles);
  const deep = new Set([...picks.keys()].filter((id) => states.of(id).removed));
  return await withDraft(work, content, async (draft) => {
    const rows = draft.catalog.snapshots.all();
    return await evaluate(draft, rows, deep, pacer, onProgress);
  });
}
