/**
 * Collect: gives back the space of what has been removed, beside captures and restores of this and
 * other processes, in steps that are each a transaction: a kill at any point loses nothing, and the
 * next collection goes on.
 *
 * 1. mark what is needed, exactly                         4. drop packs that nobody needs
 * 2. condemn the rest, and raise the generation           5. compact packs with waste, merge small
 * 3. wait for older work, mark what it has committed      6. unlink when older work has ended
 *
 * Packs that the catalog does not know are never touched: they may be all that is left of
 * acknowledged snapshots whose catalog was lost. They are reported, and `repair` adopts them.
 */
import type { SnapshotRow } from '../catalog/rows.ts';
import type { Activity, RunningOperation } from './activity.ts';
import type { Pacer } from './clock.ts';
import { carryOut } from './collect-carry-out.ts';
import { checkCollectOptions, type CollectOptions, type CollectReport } from './collect-options.ts';
import { planCollection, type CollectPlan } from './collect-plan.ts';
import { sumOf } from './collect-tally.ts';
import { tidy } from './collect-tidy.ts';
import { CollectWork } from './collect-work.ts';
import { condemn, condemnable } from './condemn.ts';
import type { CondemnedThen } from './condemned.ts';
import { writableStaging, type StoreContext } from './context.ts';
import { lockCollection } from './locks.ts';
import { awaitOlderWork, hasOlderWork } from './older-work.ts';
import { clearDeadStaging } from './staging.ts';
import {
  takeInventory,
  type Inventory,
  type Needs,
  type PackSurvey,
  type Survey,
} from './survey.ts';
import { TimeIsOver } from './time-limit.ts';
import type { Findings } from './unfinished.ts';
import { findUnknownNeeds } from './unknown-needs.ts';
import { refreshViewInPieces } from './view.ts';

/** Before anything is condemned, all that is not live may go. */
const ANY = { condemned: undefined, lostPacks: undefined } as const;
/** Snapshots that are undeleted in between begin it again: at most. */
const MAX_ATTEMPTS = 10;
/** Rows of snapshots: more are no faster, since what is needed is found out each time. */
const BURIED_IN_ONE_GO = 200;

/**
 * Collects.
 *
 * @param waiting the operation as which this was begun; it ends here.
 * @throws StoreError CORRUPT when the catalog is damaged; LOCKED.
 */
export async function collect(
  context: StoreContext,
  waiting: RunningOperation,
  options: CollectOptions,
): Promise<CollectReport> {
  const { activity } = context;
  const staging = writableStaging(context);
  const limits = checkCollectOptions(options);
  // Whoever waits for a collection uses nothing yet: that one must not wait for it in turn.
  waiting.end();
  const lock = await lockCollection(context, options.signal);
  let own: RunningOperation | undefined;
  try {
    own = await (activity as Activity).begin(options.signal);
    const work = new CollectWork(context, own, options, limits);
    // Another collection may have ended just now.
    await refreshViewInPieces(context, work.pacer);
    if (options.dryRun !== true) clearDeadStaging(context.files, context.layout, staging.name);
    return await new Collection(work).run();
  } catch (error) {
    // Whatever was in the way may have been there before.
    context.unfinished.forget();
    throw error;
  } finally {
    own?.end();
    lock.release();
  }
}

/** What is needed, before anything is condemned. */
interface Marked {
  readonly findings: Findings;
  /** The snapshots of which everything is needed. */
  readonly kept: readonly SnapshotRow[];
  /** Those whose recipes differ from what is not kept: they are written once more. */
  readonly differing: readonly SnapshotRow[];
}

/** What has been condemned. */
interface AfterCondemning {
  readonly findings: Findings;
  /** Ids of the snapshots that were kept. */
  readonly known: ReadonlySet<string>;
  /** Names of packs that cannot be read, and need not be. */
  readonly unreadable: readonly string[];
}

/** One collection. */
class Collection {
  readonly #work: CollectWork;
  readonly #context: StoreContext;

  constructor(work: CollectWork) {
    this.#work = work;
    this.#context = work.context;
  }

  async run(): Promise<CollectReport> {
    const { tally, options } = this.#work;
    const isTrial = options.dryRun === true;
    try {
      await (isTrial ? this.#try() : this.#collect());
      this.#context.unfinished.forget();
    } catch (error) {
      if (!(error instanceof TimeIsOver)) throw error;
      tally.isComplete = false;
    }
    return await tally.report(this.#context, isTrial);
  }

  /** Counts what a collection would do now. */
  async #try(): Promise<void> {
    const { tally, limits } = this.#work;
    const inventory = await takeInventory(this.#context, this.#work.pacer);
    const rows = await this.#work.rows();
    const marked = await this.#markKept(rows);
    const { packs } = await this.#surveyAll(inventory, marked);
    const plan = planCollection(packs, limits);
    if (plan.leavesOut) tally.isComplete = false;
    const gone = [...plan.drop, ...plan.compact.flat()];
    tally.condemnedSnapshots = condemnable(rows, marked.kept).length;
    tally.droppedPacks = plan.drop.length;
    tally.compactedPacks = plan.compact.flat().length;
    tally.writtenBytes = sumOf(plan.compact.flat(), ({ liveBytes }) => liveBytes);
    tally.unlinkedBytes = sumOf(gone, ({ sizeBytes }) => sizeBytes);
  }

  async #collect(): Promise<void> {
    const { generation } = this.#context.catalog;
    const before = this.#context.condemned.now;
    await this.#work.unlink();
    const condemned = await this.#condemn();
    if (await this.#awaitOlderWork()) await this.#finish(condemned);
    else if (!hasOlderWork(this.#context, this.#work.own, generation)) await this.#goOn(before);
  }

  async #finish({ findings, known, unreadable }: AfterCondemning): Promise<void> {
    const { signal } = this.#work.options;
    await bury(this.#context, [...known], this.#work.pacer, signal);
    // What older work has committed meanwhile may refer to what is condemned.
    const inventory = await takeInventory(this.#context, this.#work.pacer);
    const rows = await this.#work.rows();
    const since = rows.filter((row) => !row.condemned && !known.has(row.id));
    await this.#work.mark(findings.marking, since);
    const condemned = this.#context.condemned.now;
    const needs = { live: findings.marking.live, rows, condemned };
    const plan = await this.#plan(findings, inventory, {
      ...needs,
      lostPacks: new Set(unreadable),
    });
    await carryOut(this.#work, plan);
    this.#work.time.check();
    await tidy(this.#context, await this.#work.rows(), this.#work.pacer);
  }

  /**
   * Where older work takes its time: drops what an earlier collection has condemned, of which that
   * work knew. Otherwise long operations that overlap would keep all space for ever.
   */
  async #goOn(condemned: CondemnedThen): Promise<void> {
    const inventory = await takeInventory(this.#context, this.#work.pacer);
    const rows = await this.#work.rows();
    const { pacer, time } = this.#work;
    const { segments } = await findUnknownNeeds(this.#context, rows, pacer, time);
    const findings = this.#work.findings('all', rows, segments);
    // What was condemned just now as well: older work may still need it.
    await this.#work.mark(findings.marking, rows, { whole: segments });
    const { live } = findings.marking;
    const needs = { live, rows, condemned, lostPacks: new Set<string>() };
    await carryOut(this.#work, await this.#plan(findings, inventory, needs));
  }

  /** Marks what is needed of all that is not removed, or that unknown packs refer to. */
  async #markKept(rows: readonly SnapshotRow[]): Promise<Marked> {
    const { pacer, time } = this.#work;
    const unknown = await findUnknownNeeds(this.#context, rows, pacer, time);
    // Condemned ones too: an older catalog may be of the moment before a commit.
    const kept = rows.filter(({ id, removed }) => !removed || unknown.bases.has(id));
    const held = new Set<string>();
    const findings = this.#work.findings('kept', kept, unknown.segments);
    await this.#work.mark(findings.marking, kept, { whole: unknown.segments, held });
    const others = rows.filter((row) => held.has(row.id) && !row.condemned && !kept.includes(row));
    await this.#work.mark(findings.marking, others, { held });
    const all = [...kept, ...others];
    const ids = new Set<string | undefined>([undefined, ...all.map(({ id }) => id)]);
    const differing = all.filter(({ id, baseId }) => !ids.has(baseId) && !held.has(id));
    return { findings, kept: all, differing };
  }

  /** What of each pack is needed, if all that is not goes. */
  async #surveyAll(inventory: Inventory, marked: Marked): Promise<Survey> {
    const { findings, kept, differing } = marked;
    const needs = { ...ANY, live: findings.marking.live, rows: without(kept, differing) };
    const packs: PackSurvey[] = (this.#work.tally.packs = []);
    return await this.#work.survey(inventory, needs, { known: findings.surveys, packs });
  }

  /** Marks and condemns, again where a snapshot was undeleted in between. */
  async #condemn(): Promise<AfterCondemning> {
    const { tally, pacer, time, options } = this.#work;
    for (let attempt = 1; ; attempt++) {
      const { statesChanged, generation } = this.#context.catalog;
      const inventory = await takeInventory(this.#context, this.#work.pacer);
      const rows = await this.#work.rows();
      const marked = await this.#markKept(rows);
      const { kept, differing, findings } = marked;
      const { packs, unreadable, states } = await this.#surveyAll(inventory, marked);
      time.check();
      const what = { rows, kept, differing, packs, unreadable, states, statesChanged };
      const found = await condemn(this.#context, what, pacer, options.signal);
      tally.writtenBytes += found.writtenBytes;
      tally.condemnedSnapshots += found.snapshots;
      if (found.isDone) {
        if (this.#context.catalog.generation !== generation) time.worked();
        await refreshViewInPieces(this.#context, pacer);
        return { findings, known: new Set(kept.map(({ id }) => id)), unreadable };
      }
      if (attempt === MAX_ATTEMPTS) throw new Error('snapshots are undeleted all the time');
    }
  }

  async #awaitOlderWork(): Promise<boolean> {
    const { own, time, tally, options } = this.#work;
    const { generation } = this.#context.catalog;
    const patience = time.patience(options.signal);
    const isAlone = await awaitOlderWork(this.#context, own, generation, patience);
    if (!isAlone) tally.isComplete = false;
    return isAlone;
  }

  /** From here on nothing new refers to what is not live: the plan stays right. */
  async #plan(findings: Findings, inventory: Inventory, needs: Needs): Promise<CollectPlan> {
    const { limits, tally } = this.#work;
    const known = findings.condemnedSurveys;
    const { packs } = await this.#work.survey(inventory, needs, { known });
    const plan = planCollection(packs, limits);
    if (plan.leavesOut) tally.isComplete = false;
    return plan;
  }
}

/** Takes the rows of condemned snapshots away, some in each transaction. */
async function bury(
  { catalog }: StoreContext,
  held: readonly string[],
  pacer: Pacer,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let isLeft = true; isLeft;) {
    isLeft = (await catalog.collections.bury(signal, held, BURIED_IN_ONE_GO)).length > 0;
    await pacer.pause();
  }
}

/** The snapshots whose manifests stay where they are. */
function without(kept: readonly SnapshotRow[], differing: readonly SnapshotRow[]): SnapshotRow[] {
  const others = new Set(differing);
  return kept.filter((row) => !others.has(row));
}
