/** What a repair says of what it found and did: plain data, for printing as JSON. */
import { basename } from 'node:path';
import { REMOVED } from '../catalog/snapshot-rows.ts';
import { groupBy } from './group-by.ts';
import { isComplete, type UnrepairedSpace } from './repair-evaluate.ts';
import type { HealedPack } from './repair-heal.ts';
import type { MisnamedPack } from './repair-names.ts';
import type { RepairPlan } from './repair-plan.ts';
import type { RenumberedSnapshot } from './repair-renumber.ts';

/** A pack that is damaged or gone. */
export interface SetAsidePack {
  /** Its name; the path of a file in packs/ that has no pack's name. */
  readonly name: string;
  readonly problem: string;
  /** What became of it: in its place, taken away to damaged/, or missing to begin with. */
  readonly now: 'kept' | 'taken away' | 'missing';
  /** Ids of the snapshots whose manifests it held, as far as anything says so. */
  readonly heldSnapshots: readonly string[];
  /** Segments that it held. */
  readonly heldSegments: number;
}

/** A snapshot that cannot be restored as it was captured. */
export interface UnrepairedSnapshot {
  readonly id: string;
  /** Undefined when nothing says it. */
  readonly timeline: string | undefined;
  readonly sequence: number;
  /** Partly: what is left can be restored with `partial`. */
  readonly lost: 'whole' | 'partly';
  /** Why, for one that is lost as a whole. */
  readonly problem: string | undefined;
  /** What is lost of which space. */
  readonly spaces: readonly UnrepairedSpace[];
}

/** What a repair found, and what it did or would do. */
export interface RepairReport {
  readonly dryRun: boolean;
  /** Whether the catalog was whole and stays, or is built anew from the packs. */
  readonly catalog: 'kept' | 'rebuilt';
  /** Why it is built anew. */
  readonly reasons: readonly string[];
  readonly packs: {
    readonly read: number;
    /** Names of packs that the old catalog did not know. */
    readonly adopted: readonly string[];
    readonly damaged: readonly SetAsidePack[];
    /** Those that were found under other names, and renamed. */
    readonly renamed: readonly MisnamedPack[];
    /** Those that were written once more, with lost pages that were found elsewhere. */
    readonly healed: readonly HealedPack[];
  };
  /** How many lost pages were found elsewhere. */
  readonly healedPages: number;
  readonly snapshots: {
    /** How many can be restored as they were captured, those marked as removed too. */
    readonly whole: number;
    /** Ids of those that the old catalog did not have. */
    readonly restored: readonly string[];
    readonly lost: readonly UnrepairedSnapshot[];
    /** Those that have another sequence number now, because two had the same. */
    readonly renumbered: readonly RenumberedSnapshot[];
  };
  /** What is done, in order. */
  readonly changes: readonly string[];
}

/** Describes a plan. */
export function reportOf(
  plan: RepairPlan,
  dryRun: boolean,
  changes: readonly string[],
): RepairReport {
  const { old, findings, reasons, snapshots, roles, renumbered } = plan;
  const known = new Set(old.salvage.packs.map(({ name }) => name));
  const written = new Set([
    ...plan.healed.map(({ newName }) => newName),
    ...renumbered.map(({ pack }) => pack.name),
  ]);
  const rows = new Set(old.salvage.snapshots.map(({ id }) => id));
  const kept = [...roles].filter(([, role]) => role !== REMOVED.condemned).map(([id]) => id);
  const isWhole = (id: string) => {
    const finding = snapshots.get(id);
    return finding !== undefined && isComplete(finding);
  };
  return {
    dryRun,
    catalog: reasons.length === 0 ? 'kept' : 'rebuilt',
    reasons,
    packs: {
      read: findings.packs.length,
      adopted: findings.packs
        .map(({ name }) => name)
        .filter((name) => !known.has(name) && !written.has(name)),
      damaged: damagedPacks(plan),
      renamed: plan.misnamed,
      healed: plan.healed,
    },
    healedPages: plan.healed.reduce((sum, { pages }) => sum + pages, 0),
    snapshots: {
      whole: kept.filter(isWhole).length,
      restored: kept.filter((id) => !rows.has(id)).sort(),
      lost: lostSnapshots(plan),
      renumbered: renumbered.map(({ id, timeline, formerSequence, sequence }) => {
        return { id, timeline, formerSequence, sequence };
      }),
    },
    changes,
  };
}

function damagedPacks({ old, findings, unreadable, missing }: RepairPlan): SetAsidePack[] {
  const { salvage } = old;
  const snapshotsBy = groupBy(salvage.snapshots, ({ packName }) => packName);
  const segmentsBy = groupBy(salvage.segments, ({ packName }) => packName);
  const heldBy = (name: string) => ({
    heldSnapshots: (snapshotsBy.get(name) ?? []).map(({ id }) => id),
    heldSegments: segmentsBy.get(name)?.length ?? 0,
  });
  const inPlace = findings.packs.filter(({ problems }) => problems.length > 0);
  return [
    ...inPlace.map(({ name, problems, manifests, segments }) => ({
      name,
      problem: problems.join('; '),
      now: 'kept' as const,
      heldSnapshots: [
        ...new Set([...heldBy(name).heldSnapshots, ...manifests.map(({ facts }) => facts.id)]),
      ],
      heldSegments: segments.length,
    })),
    ...unreadable.map(({ name, problem }) => ({
      name,
      problem,
      now: 'taken away' as const,
      ...heldBy(basename(name, '.pack')),
    })),
    ...missing.map((name) => ({
      name,
      problem: 'the file is missing',
      now: 'missing' as const,
      ...heldBy(name),
    })),
  ];
}

function lostSnapshots(plan: RepairPlan): UnrepairedSnapshot[] {
  const { old, picks, snapshots } = plan;
  const rows = new Map(old.salvage.snapshots.map((row) => [row.id, row]));
  const found: UnrepairedSnapshot[] = [];
  for (const [id, finding] of snapshots) {
    const facts = picks.get(id)?.manifest.facts;
    if (isComplete(finding) || facts === undefined) continue;
    const isKept = plan.catalog === undefined || plan.roles.get(id) === REMOVED.no;
    const { removed } = rows.get(id) ?? { removed: undefined };
    // Of those that were removed nobody misses more than what a collection would have taken.
    if (!isKept && plan.collected.has(id)) continue;
    if (removed === REMOVED.condemned || (removed === undefined && isGone(plan, id))) continue;
    const gone = isKept ? undefined : 'it was removed, and not all of it is left';
    const problem = finding.problem ?? gone;
    const lost = problem === undefined ? 'partly' : 'whole';
    const { timelineName: timeline, sequence } = facts;
    found.push({ id, timeline, sequence, lost, problem, spaces: finding.spaces });
  }
  for (const { id, timelineName: timeline, sequence, removed } of rows.values()) {
    if (snapshots.has(id) || plan.collected.has(id) || removed === REMOVED.condemned) continue;
    const problem = 'no manifest of it is left';
    found.push({ id, timeline, sequence, lost: 'whole', problem, spaces: [] });
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Whether a snapshot that is there in part is not in the catalog, because it was removed. */
function isGone({ roles, snapshots }: RepairPlan, id: string): boolean {
  return roles.get(id) !== REMOVED.no && snapshots.get(id)?.problem === undefined;
}
