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
import { isDamage, type StoreError } from '../errors.ts';
import type { Activity, RunningOperation } from './activity.ts';
import { monotonicMs, Pacer } from './clock.ts';
import {
  checkCollectOptions,
  type CollectLimits,
  type CollectOptions,
  type CollectReport,
} from './collect-options.ts';
import { planCollection, type CollectPlan } from './collect-plan.ts';
import { tidy } from './collect-tidy.ts';
import { Compaction } from './compact.ts';
import { condemn, condemnable } from './condemn.ts';
import type { CondemnedThen } from './condemned.ts';
import { writableStaging, type StoreContext } from './context.ts';
import type { LiveSlots } from './live-slots.ts';
import { lockCollection } from './locks.ts';
import { markLive, type MarkOptions } from './mark.ts';
import { awaitOlderWork, hasOlderWork } from './older-work.ts';
import { publishPack } from './publish.ts';
import { unlinkRetired, type Patience } from './retired.ts';
import { StagedPack } from './staged-pack.ts';
import { clearDeadStaging } from './staging.ts';
import { statesBlock } from './states-block.ts';
import {
  surveyPacks,
  takeInventory,
  type Inventory,
  type Needs,
  type PackSurvey,
  type Survey,
} from './survey.ts';
import { findUnknownNeeds } from './unknown-needs.ts';
import { unknownPacks } from './unknown-packs.ts';
import { refreshView } from './view.ts';

/** Before anything is condemned, all that is not live may go. */
const ANY = { condemned: undefined, lostPacks: undefined } as const;
const PATIENCE_MS = 5000;
/** Snapshots that are undeleted in between begin it again: at most. */
const MAX_ATTEMPTS = 10;

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
    // Another collection may have ended just now.
    refreshView(context);
    const collection = new Collection(context, own, limits, options);
    if (options.dryRun === true) return await collection.dryRun();
    clearDeadStaging(context.files, context.layout, staging.name);
    return await collection.run();
  } finally {
    own?.end();
    lock.release();
  }
}

/** What is needed, before anything is condemned. */
interface Marked {
  /** The snapshots of which everything is needed. */
  readonly kept: readonly SnapshotRow[];
  readonly live: LiveSlots;
  /** Those whose recipes differ from what is not kept: they are written once more. */
  readonly differing: readonly SnapshotRow[];
}

/** One collection. */
class Collection {
  readonly #context: StoreContext;
  readonly #own: RunningOperation;
  readonly #limits: CollectLimits;
  readonly #options: CollectOptions;
  readonly #pacer: Pacer;
  #unlinkedBytes = 0;
  #droppedPacks = 0;
  #compactedPacks = 0;
  #writtenBytes = 0;
  #isComplete = true;
  readonly #damage = new Set<string>();

  constructor(
    context: StoreContext,
    own: RunningOperation,
    limits: CollectLimits,
    options: CollectOptions,
  ) {
    this.#context = context;
    this.#own = own;
    this.#limits = limits;
    this.#options = options;
    this.#pacer = new Pacer(options.signal);
  }

  /** What a collection would do now. */
  async dryRun(): Promise<CollectReport> {
    const inventory = takeInventory(this.#context);
    const rows = this.#rows();
    const { kept, live, differing } = await this.#markKept(rows);
    const needs = { ...ANY, live, rows: without(kept, differing) };
    const survey = await this.#survey(inventory, needs);
    const plan = planCollection(survey.packs, this.#limits);
    const gone = [...plan.drop, ...plan.compact.flat()];
    this.#droppedPacks = plan.drop.length;
    this.#compactedPacks = plan.compact.flat().length;
    this.#writtenBytes = sumOf(plan.compact.flat(), ({ liveBytes }) => liveBytes);
    this.#unlinkedBytes = sumOf(gone, ({ sizeBytes }) => sizeBytes);
    return this.#report(survey, condemnable(rows, kept).length, true);
  }

  async run(): Promise<CollectReport> {
    const { generation } = this.#context.catalog;
    const before = this.#context.condemned.now;
    await this.#unlink();
    const { survey, condemned, known, live } = await this.#condemn();
    if (await this.#awaitOlderWork()) await this.#finish(known, live, survey);
    else if (!hasOlderWork(this.#context, this.#own, generation)) await this.#goOn(before);
    return this.#report(survey, condemned, false);
  }

  async #finish(
    known: ReadonlySet<string>,
    live: LiveSlots,
    { unreadable }: Survey,
  ): Promise<void> {
    await this.#context.catalog.collections.bury(this.#options.signal, [...known]);
    // What older work has committed meanwhile may refer to what is condemned.
    const inventory = takeInventory(this.#context);
    const rows = this.#rows();
    const since = rows.filter((row) => !row.condemned && !known.has(row.id));
    await this.#mark(since, { live });
    const needs = { live, rows, lostPacks: new Set(unreadable) };
    const condemned = this.#context.condemned.now;
    await this.#carryOut(await this.#plan(inventory, { ...needs, condemned }));
    await tidy(this.#context, this.#rows(), this.#pacer);
  }

  /**
   * Where older work takes its time: drops what an earlier collection has condemned, of which that
   * work knew. Otherwise long operations that overlap would keep all space for ever.
   */
  async #goOn(condemned: CondemnedThen): Promise<void> {
    const inventory = takeInventory(this.#context);
    const rows = this.#rows();
    const unknown = await findUnknownNeeds(this.#context, rows, this.#pacer);
    // What was condemned just now as well: older work may still need it.
    const live = await this.#mark(rows, { whole: unknown.segments });
    const needs = { live, rows, condemned, lostPacks: new Set<string>() };
    await this.#carryOut(await this.#plan(inventory, needs));
  }

  async #carryOut(plan: CollectPlan): Promise<void> {
    await this.#drop(plan);
    await this.#compact(plan);
    await this.#unlink();
  }

  #rows(): SnapshotRow[] {
    const damage: StoreError[] = [];
    const rows = this.#context.catalog.snapshots.all(damage);
    // What a damaged row needs cannot be known.
    if (damage[0] !== undefined) throw damage[0];
    return rows;
  }

  async #mark(
    rows: readonly SnapshotRow[],
    more: Pick<MarkOptions, 'live' | 'whole' | 'held'>,
  ): Promise<LiveSlots> {
    const { onProgress } = this.#options;
    const damage: StoreError[] = [];
    const options = { pacer: this.#pacer, onProgress, damage, ...more };
    const live = await markLive(this.#context, rows, options);
    for (const { message } of damage) this.#damage.add(message);
    if (damage.length > 0) this.#isComplete = false;
    return live;
  }

  /** Marks what is needed of all that is not removed, or that unknown packs refer to. */
  async #markKept(rows: readonly SnapshotRow[]): Promise<Marked> {
    const unknown = await findUnknownNeeds(this.#context, rows, this.#pacer);
    // Condemned ones too: an older catalog may be of the moment before a commit.
    const kept = rows.filter(({ id, removed }) => !removed || unknown.bases.has(id));
    const held = new Set<string>();
    const live = await this.#mark(kept, { whole: unknown.segments, held });
    const others = rows.filter((row) => held.has(row.id) && !row.condemned && !kept.includes(row));
    await this.#mark(others, { live, held });
    const all = [...kept, ...others];
    const ids = new Set<string | undefined>([undefined, ...all.map(({ id }) => id)]);
    const differing = all.filter(({ id, baseId }) => !ids.has(baseId) && !held.has(id));
    return { kept: all, live, differing };
  }

  async #survey(inventory: Inventory, needs: Needs): Promise<Survey> {
    const survey = await surveyPacks(this.#context, inventory, needs, this.#pacer);
    for (const { message } of survey.damage) this.#damage.add(message);
    return survey;
  }

  /** Marks and condemns, again where a snapshot was undeleted in between. */
  async #condemn(): Promise<{
    survey: Survey;
    condemned: number;
    known: Set<string>;
    live: LiveSlots;
  }> {
    for (let attempt = 1; ; attempt++) {
      const { statesChanged } = this.#context.catalog;
      const inventory = takeInventory(this.#context);
      const rows = this.#rows();
      const { kept, live, differing } = await this.#markKept(rows);
      const needs = { ...ANY, live, rows: without(kept, differing) };
      const survey = await this.#survey(inventory, needs);
      const { packs, unreadable, states } = survey;
      const what = { rows, kept, differing, packs, unreadable, states, statesChanged };
      const { signal } = this.#options;
      const writtenBytes = await condemn(this.#context, what, this.#pacer, signal);
      if (writtenBytes !== undefined) {
        this.#writtenBytes += writtenBytes;
        refreshView(this.#context);
        const known = new Set(kept.map(({ id }) => id));
        return { survey, condemned: condemnable(rows, kept).length, known, live };
      }
      if (attempt === MAX_ATTEMPTS) throw new Error('snapshots are undeleted all the time');
    }
  }

  get #patience(): Patience {
    const deadlineMs = Math.min(this.#limits.deadlineMs, monotonicMs() + PATIENCE_MS);
    return { deadlineMs, signal: this.#options.signal };
  }

  async #awaitOlderWork(): Promise<boolean> {
    const { generation } = this.#context.catalog;
    const isAlone = await awaitOlderWork(this.#context, this.#own, generation, this.#patience);
    if (!isAlone) this.#isComplete = false;
    return isAlone;
  }

  /** From here on nothing new refers to what is not live: the plan stays right. */
  async #plan(inventory: Inventory, needs: Needs): Promise<CollectPlan> {
    const { packs } = await this.#survey(inventory, needs);
    const plan = planCollection(packs, this.#limits);
    const all = planCollection(packs, { ...this.#limits, maxBytes: Infinity });
    if (plan.compact.length < all.compact.length) this.#isComplete = false;
    return plan;
  }

  async #drop({ drop }: CollectPlan): Promise<void> {
    if (drop.length === 0) return;
    await this.#context.catalog.collections.replace(
      {
        packs: drop.map(({ name }) => name),
        pack: undefined,
        segments: [],
        goneSegments: drop.flatMap(({ segments }) => segments.map(({ number }) => number)),
        manifests: [],
      },
      this.#options.signal,
    );
    refreshView(this.#context);
    this.#droppedPacks = drop.length;
    // Before anything is written: on a full disk this makes the room.
    await this.#unlink();
  }

  async #compact({ compact }: CollectPlan): Promise<void> {
    const total = compact.flat().length;
    for (const group of compact) {
      if (monotonicMs() >= this.#limits.deadlineMs) {
        this.#isComplete = false;
        return;
      }
      try {
        await this.#compactGroup(group);
        this.#compactedPacks += group.length;
      } catch (error) {
        if (!isDamage(error)) throw error;
        this.#damage.add(error instanceof Error ? error.message : String(error));
        this.#isComplete = false;
        // Its neighbours are not to wait for what may never be mended.
        if (group.length > 1) await this.#compactOneByOne(group);
      }
      this.#options.onProgress?.({ phase: 'packs', done: this.#compactedPacks, total });
    }
  }

  async #compactOneByOne(group: readonly PackSurvey[]): Promise<void> {
    for (const pack of group) {
      // By itself, one without waste would only become itself again.
      if (pack.deadBytes > 0) await this.#compact({ drop: [], compact: [[pack]] });
    }
  }

  async #compactGroup(group: readonly PackSurvey[]): Promise<void> {
    const context = this.#context;
    const staged = new StagedPack(context);
    try {
      const compaction = new Compaction(context, staged.writer, this.#pacer);
      for (const survey of group) await compaction.add(survey);
      if (group.some(({ statesGeneration }) => statesGeneration !== undefined)) {
        const generation = context.catalog.generation + 1;
        staged.writer.addStates(statesBlock(context, this.#rows(), generation));
      }
      const pack = staged.seal();
      await this.#pacer.pause();
      const packs = group.map(({ name }) => name);
      const { written, manifestDigests } = compaction;
      await publishPack(
        context,
        { path: staged.path, name: pack.name, manifests: manifestDigests },
        () => {
          const { signal } = this.#options;
          return context.catalog.collections.replace({ packs, pack, ...written }, signal);
        },
        () => context.catalog.packs().some(({ name }) => name === pack.name),
      );
      this.#writtenBytes += pack.sizeBytes;
      refreshView(context);
    } catch (error) {
      staged.discard();
      throw error;
    }
  }

  async #unlink(): Promise<void> {
    this.#unlinkedBytes += await unlinkRetired(this.#context, this.#own, this.#patience);
  }

  #report(survey: Survey, condemnedSnapshots: number, dryRun: boolean): CollectReport {
    const retired = this.#context.catalog.collections.retired();
    return {
      dryRun,
      deadPages: sumOf(survey.packs, ({ segments }) => sumOf(segments, (s) => s.deadPages)),
      deadBytes: sumOf(survey.packs, ({ deadBytes }) => deadBytes),
      condemnedSnapshots,
      droppedPacks: this.#droppedPacks,
      compactedPacks: this.#compactedPacks,
      writtenBytes: this.#writtenBytes,
      unlinkedBytes: this.#unlinkedBytes,
      waitingPacks: retired.length,
      waitingBytes: sumOf(retired, ({ sizeBytes }) => sizeBytes),
      unknownPacks: unknownPacks(this.#context),
      damage: [...this.#damage],
      complete: this.#isComplete && retired.length === 0,
    };
  }
}

/** The snapshots whose manifests stay where they are. */
function without(kept: readonly SnapshotRow[], differing: readonly SnapshotRow[]): SnapshotRow[] {
  const others = new Set(differing);
  return kept.filter((row) => !others.has(row));
}

function sumOf<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((sum, item) => sum + valueOf(item), 0);
}
