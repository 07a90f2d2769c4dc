/**
 * Finds out what of each snapshot can be restored, without reading its pages: its recipe is put
 * together, and each slot is looked up.
 */
import { PAGE_BYTES } from '../bytes/page.ts';
import type { SnapshotRow } from '../catalog/rows.ts';
import { isDamage, StoreError } from '../errors.ts';
import { ZERO_SEGMENT, type PageRuns } from '../manifest/page-runs.ts';
import type { Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { SlotFinder } from './slot-finder.ts';
import { findPagesLeft } from './snapshot-pages.ts';

/** What is lost of one file of a snapshot. */
export interface UnrepairedSpace {
  /** Name of the image; empty for the container's files. */
  readonly image: string;
  /** Name of the space whose pages it holds; undefined when it holds none. */
  readonly space: string | undefined;
  readonly lostBytes: number;
}

/** What was found out about a snapshot. */
export interface SnapshotFinding {
  /** Why nothing of it can be restored; undefined when something can. */
  readonly problem: string | undefined;
  /** Empty when it is whole. */
  readonly spaces: readonly UnrepairedSpace[];
}

/** Whether nothing of a snapshot is lost. */
export function isComplete({ problem, spaces }: SnapshotFinding): boolean {
  return problem === undefined && spaces.length === 0;
}

/** Bytes that a finding says are lost. */
export function lostBytesOf({ problem, spaces }: SnapshotFinding): number {
  if (problem !== undefined) return Infinity;
  return spaces.reduce((sum, { lostBytes }) => sum + lostBytes, 0);
}

/**
 * Looks at snapshots of a catalog.
 *
 * @param deep ids of snapshots whose deltas are followed in any case.
 */
export async function evaluate(
  context: StoreContext,
  rows: readonly SnapshotRow[],
  deep: ReadonlySet<string>,
  pacer: Pacer,
  onProgress: OperationOptions['onProgress'],
): Promise<Map<string, SnapshotFinding>> {
  context.segments.refresh();
  const slots = new SlotFinder(context);
  const findings = new Map<string, SnapshotFinding>();
  for (const [i, row] of rows.entries()) {
    findings.set(row.id, await evaluateOne(context, row, slots, deep.has(row.id), pacer));
    onProgress?.({ phase: 'snapshots', done: i + 1, total: rows.length });
    await pacer.pause();
  }
  return findings;
}

async function evaluateOne(
  context: StoreContext,
  row: SnapshotRow,
  slots: SlotFinder,
  deep: boolean,
  pacer: Pacer,
): Promise<SnapshotFinding> {
  try {
    const { files } = await findPagesLeft(context, row, pacer);
    const spaces: UnrepairedSpace[] = [];
    for (const { name, content, role, runs } of files) {
      const lost = await countLost(runs, slots, deep, pacer);
      if (lost === 0) continue;
      const image = Buffer.from(name).toString();
      spaces.push({ image, space: content.addresses?.name ?? role, lostBytes: lost * PAGE_BYTES });
    }
    return { problem: undefined, spaces };
  } catch (error) {
    if (!isDamage(error)) throw error;
    const problem = error instanceof StoreError ? error.message : String(error);
    return { problem, spaces: [] };
  }
}

async function countLost(
  runs: PageRuns,
  slots: SlotFinder,
  deep: boolean,
  pacer: Pacer,
): Promise<number> {
  let lost = 0;
  for (let run = 0; run < runs.length; run++) {
    const segment = runs.segment[run] as number;
    if (segment === ZERO_SEGMENT) continue;
    const first = runs.slot[run] as number;
    const start = run === 0 ? 0 : (runs.end[run - 1] as number);
    const end = first + (runs.end[run] as number) - start;
    for (let slot = first; slot < end;) {
      const { count, isLost } = slots.look(segment, slot, end - slot, deep);
      if (isLost) lost += count;
      slot += count;
      await pacer.pause();
    }
  }
  return lost;
}
