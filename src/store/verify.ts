/**
 * Verify: reads what the store promises and reports everything that is not so, as a list; it never
 * changes what is stored and stops at no damage.
 *
 * - `quick` the catalog, all manifests, and of each pack the size, footer, tables, digests, states
 * - `packs` also every frame: each page against its digest, and the pack's name against its bytes
 * - `snapshots` also every page of every snapshot through its recipe, against its leaves
 *
 * With a budget, those packs and snapshots come first that have waited longest for it: packs before
 * snapshots, unless one of these has waited longer than all packs, and the newest of snapshots that
 * never were read. What was begun is read to its end, so that every run gets somewhere, and many
 * runs everywhere; the report says what was left out. When each pack was last found right or
 * damaged, and each snapshot last read, is kept in the catalog.
 */
import type { PackRow } from '../catalog/rows.ts';
import { now, Pacer } from './clock.ts';
import type { OperationOptions, StoreContext } from './context.ts';
import { withCrew } from './crew.ts';
import { loadLostFrames } from './lost-frames.ts';
import { checkIsUpToDate } from './outdated.ts';
import { unknownPacks } from './unknown-packs.ts';
import { Budget } from './verify-budget.ts';
import { Findings, type DamagedPack, type VerifyProblem } from './verify-findings.ts';
import { packsInOrder, snapshotsInOrder } from './verify-order.ts';
import { checkPacks } from './verify-packs.ts';
import { checkSnapshots, type LostSnapshot } from './verify-snapshots.ts';

/** How much is read. */
export type VerifyLevel = 'quick' | 'packs' | 'snapshots';

/** What verify takes. */
export interface VerifyOptions extends OperationOptions {
  /** `snapshots`, unless given. */
  readonly level?: VerifyLevel | undefined;
  /**
   * No pack and no snapshot is begun once so many bytes were read: of packs their own, of snapshots
   * those of their image directories. Level `quick`, which reads no pages, is not bounded by it.
   */
  readonly maxBytes?: number | undefined;
  /**
   * No pack and no snapshot is begun after so much time. Level `quick`, of which nothing is noted,
   * begins with the same ones each time.
   */
  readonly maxMilliseconds?: number | undefined;
}

/** What the budget did not reach. */
export interface VerifyLeftOut {
  readonly packs: number;
  /** Bytes of these packs. */
  readonly packBytes: number;
  readonly snapshots: number;
}

/** What was read, and what was wrong. */
export interface VerifyReport {
  readonly level: VerifyLevel;
  /** How many packs, and snapshots, were checked. */
  readonly packs: number;
  readonly snapshots: number;
  readonly leftOut: VerifyLeftOut;
  /**
   * When the pack that has waited longest was last read and found right, as far as this store can
   * remember; undefined when some pack never was.
   */
  readonly oldestVerifiedAt: Date | undefined;
  /** Packs that the catalog does not know: of a capture cut off, or of a catalog that was lost. */
  readonly unknownPacks: readonly string[];
  /** Packs that something is wrong with, those that are on record as damaged included. */
  readonly damagedPacks: readonly DamagedPack[];
  /** Snapshots of which something is lost; which pages those are, only level `snapshots` knows. */
  readonly lostSnapshots: readonly LostSnapshot[];
  /** Empty when all is well; the first 10,000 of them. */
  readonly problems: readonly VerifyProblem[];
  readonly problemCount: number;
}

const NONE: ReadonlyMap<string, number> = new Map();
const LEVELS: readonly VerifyLevel[] = ['quick', 'packs', 'snapshots'];

/** Checks the store, as far as the budget goes. */
export async function verify(
  context: StoreContext,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const level = options.level ?? 'snapshots';
  if (!LEVELS.includes(level)) throw new RangeError(`level is one of ${LEVELS.join(', ')}`);
  const budget = new Budget(options.maxBytes, options.maxMilliseconds);
  const findings = new Findings();
  const pacer = new Pacer(options.signal);
  const damage = findings.collect(() => context.catalog.check()) ?? [];
  for (const error of damage) findings.add(error);
  const packRows = findings.collect(() => context.catalog.packs()) ?? [];
  const rows = findings.collect(() => context.catalog.snapshots.all()) ?? [];
  findings.collect(() => loadLostFrames(context));
  const records = context.catalog.packRecords;
  const verified = findings.collect(() => records.verifiedTimes(now())) ?? NONE;
  const damaged = findings.collect(() => records.damagedTimes(now())) ?? NONE;
  const checked = findings.collect(() => records.checkedTimes(now())) ?? NONE;
  const isDamaged = ({ name }: PackRow) =>
    context.packs.lostFrames.mayHave(context.layout.packFile(name));
  const packTimes = { verified, damaged };
  const packOrder = packsInOrder(packRows, packTimes, isDamaged);
  const order = snapshotsInOrder(rows, checked);
  const { packs, snapshots } = await withCrew(context, { fresh: true }, async (crew) => {
    const progress = (phase: 'packs' | 'snapshots', total: number) => (done: number) =>
      options.onProgress?.({ phase, done, total });
    const parts = { context, level, budget, findings, crew, pacer };
    const ofPacks = { ...parts, onDone: progress('packs', packRows.length) };
    const ofSnapshots = { ...parts, onDone: progress('snapshots', rows.length) };
    const hasWaitedLonger = level === 'snapshots' && order.sinceMs < packOrder.sinceMs;
    const first = budget.isBounded && hasWaitedLonger;
    const before = first ? await checkSnapshots(ofSnapshots, order.rows) : undefined;
    const packs = await checkPacks(ofPacks, packOrder.rows, packTimes);
    return { packs, snapshots: before ?? (await checkSnapshots(ofSnapshots, order.rows)) };
  });
  if (findings.problemCount > 0) checkIsUpToDate(context);
  const { leftOut, oldestMs } = packs;
  return {
    level,
    packs: packs.packs,
    snapshots: snapshots.snapshots,
    leftOut: {
      packs: leftOut.length,
      packBytes: leftOut.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      snapshots: snapshots.leftOut,
    },
    oldestVerifiedAt: oldestMs === undefined ? undefined : new Date(oldestMs),
    unknownPacks: findings.collect(() => unknownPacks(context)) ?? [],
    damagedPacks: findings.damagedPacks(),
    lostSnapshots: snapshots.lost,
    problems: findings.problems,
    problemCount: findings.problemCount,
  };
}
